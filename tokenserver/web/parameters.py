"""Parses the parameters of a token request: a query or a form of limited size, with no single-valued one repeated.

A query or form may have twice the bytes of scope text (`limits.scope_bytes`), since percent-encoding makes it longer.

Credentials are never read from a query. A body that the server has not read yet is read from the WSGI input directly,
at most one byte more than allowed, because a chunked body has no length to check beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import repeat
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote_plus

from tokenserver.credentials import Secret
from tokenserver.errors import InvalidRequest, RequestError
from tokenserver.runtime.bounded_cache import BoundedCache
from tokenserver.scopes import DEFAULT_LIMITS, ScopeLimits, ScopeRequest

READ_BODY = "tokenserver.body"
"""In the environ, a form that the server itself read into memory within its limit; see `TokenEndpoint.admit_body`."""

MIN_BODY = 64 * 1024
"""Bytes that a form may always have, however small `limits.scope_bytes` is: a password is in it, too."""

BYTES_PER_FIELD = 16
"""A query or form has at most one field per this many bytes of its limit: `scope=repository:a:pull&` has 24."""

_LONGEST_CACHED = 4000
"""Longer queries are not cached. In a shorter one there are not too many fields, whatever the limits."""

CHARACTERS_OF_A_QUERY = 512
"""A longer query counts as several in the cache, so that it is bounded in bytes as well."""

_FIX = "; fix: ask for fewer scopes at a time, or raise limits.scope_bytes of the token server"
_NOT_IN_A_URL = "secrets do not belong in a URL; fix: send them in the header or the form"

SINGLE = frozenset(
    {
        *("service", "account", "client_id", "grant_type", "username", "password", "refresh_token"),
        *("access_type", "offline_token", "explain", "client_secret", "token", "token_type_hint"),
        *("subject_token", "subject_token_type", "actor_token", "requested_token_type", "device_code"),
    }
)
_HARMLESS = frozenset({"service", "username", "client_id"})
SECRETS = frozenset(
    {
        *("password", "refresh_token", "client_secret", "id_token", "access_token", "token", "assertion"),
        *("subject_token", "actor_token", "device_code", "code", "code_verifier", "client_assertion"),
    }
)


class RequestTooLarge(RequestError):
    """The body is larger than `max_body` allows."""


class BodyTooSlow(RequestError):
    """The body did not arrive in time."""


class BodyLimit(NamedTuple):
    """The most bytes of a body, and what is said about one that has more."""

    most: int
    message: str

    @property
    def error(self) -> RequestTooLarge:
        """A new error for a body that has more."""
        return RequestTooLarge(self.message)


class UnsupportedMediaType(RequestError):
    """The body is not a form."""


ScopeParser = Callable[[tuple[str, ...], ScopeLimits], ScopeRequest]


@dataclass(slots=True)
class Parameters:
    """Decoded parameters: those that appear at most once by name, and `scope`, which may repeat.

    `services` has the values of `service` where it may repeat, too; what is `secret` is not in `single`. Nobody changes
    them; frozen ones, which each new request would make, take three times as long."""

    single: Mapping[str, str]
    scopes: tuple[str, ...]
    services: tuple[str, ...] = ()
    secret: Secret | None = field(default=None, compare=False)
    _asked: dict[ScopeLimits, ScopeRequest] = field(default_factory=dict, repr=False, compare=False)

    def get(self, name: str) -> str | None:
        """The value of a single-valued parameter; an empty one counts as absent."""
        return self.single.get(name) or None

    def with_secret(self, secret: Secret) -> Parameters:
        """The same parameters and a secret. What is asked for is parsed once for both."""
        return Parameters(self.single, self.scopes, self.services, secret, self._asked)

    def asked(self, limits: ScopeLimits, parse: ScopeParser) -> ScopeRequest:
        """The values of `scope`, parsed once by `parse`, as long as these parameters are cached.

        Raises:
            TooManyScopes: see `parse_scopes`.
        """
        found = self._asked.get(limits)
        if found is None:
            found = parse(self.scopes, limits)
            if found.is_repeated:
                self._asked[limits] = found
        return found


def max_body(limits: ScopeLimits) -> int:
    """The most bytes of a form or a query."""
    return max(MIN_BODY, 2 * limits.scope_bytes)


class UnreadableForm(InvalidRequest):
    """A form that breaks a rule. `read` is what can be read of it nevertheless, without any secret."""

    def __init__(self, message: str, read: Parameters) -> None:
        self.read = read
        super().__init__(message)


def read_leniently(text: str, limits: ScopeLimits = DEFAULT_LIMITS) -> Parameters:
    """Who asks for what, by parameters that need not be valid: of a repeated one the first value. Never raises."""
    most = max_body(limits) // BYTES_PER_FIELD
    fields = text[: max_body(limits)].split("&", most)[:most]
    single: dict[str, str] = {}
    scopes: list[str] = []
    for name, value in parse_qsl("&".join(fields), errors="replace"):
        if name == "scope":
            scopes.append(value)
        elif name in _HARMLESS:
            single.setdefault(name, value)
    return Parameters(single, tuple(scopes))


def parse_parameters(
    text: str,
    *,
    limits: ScopeLimits = DEFAULT_LIMITS,
    forbidden: frozenset[str] = frozenset(),
    many_services: bool = False,
) -> Parameters:
    """Parse `application/x-www-form-urlencoded` text (WHATWG URL, section 5.1).

    With `many_services`, `service` may repeat.

    Raises:
        InvalidRequest: too many fields, bytes that are not UTF-8, a single-valued parameter that repeats, or one
            that is forbidden here. The message names parameters, never values.
    """
    most = max_body(limits) // BYTES_PER_FIELD
    fields = text.split("&", most)
    if len(fields) > most:
        raise InvalidRequest(f"more than {most} parameters")
    single: dict[str, str] = {}
    scopes: list[str] = []
    services: list[str] = []
    try:
        for name, _, value in _decoded_fields(text, fields):
            if name == "scope":
                scopes.append(value)
            elif name in forbidden:
                raise InvalidRequest(f"{name}: {_NOT_IN_A_URL}")
            elif name in single:
                raise InvalidRequest(f"{name}: is given twice")
            elif many_services and name == "service":
                services.append(value)
            elif name in SINGLE:
                single[name] = value
    except UnicodeDecodeError as error:
        raise InvalidRequest("the parameters are not UTF-8") from error
    return Parameters(single, tuple(scopes), tuple(filter(None, services)) if services else ())


def _decoded_fields(text: str, fields: list[str]) -> Iterable[tuple[str, str, str]]:
    """The name, anything and the value of each of the `fields` of `text`, as `parse_qsl` decodes them, but faster."""
    # The only escapes that the scopes of nearly all clients have. If there are others, all are decoded by unquote.
    plain = text.replace("%3A", ":").replace("%2F", "/") if "%" in text else text
    if "%" not in plain and "+" not in plain:
        return map(str.partition, plain.split("&"), repeat("="))
    decode = partial(unquote_plus, errors="strict")
    return ((decode(name), "", decode(value)) for name, _, value in map(str.partition, fields, repeat("=")))


def parse_query(query: str, limits: ScopeLimits = DEFAULT_LIMITS) -> Parameters:
    """The parameters of a query string as in WSGI (RFC 3986, percent-encoded, so ASCII).

    Raises:
        InvalidRequest: as `parse_parameters`, and for credentials or secrets in the query.
    """
    if len(query) <= _LONGEST_CACHED:
        found = _cached_queries.get(query)
        if found is None:
            found = parse_parameters(query, forbidden=SECRETS)
            _cached_queries.offer(query, found, 1 + len(query) // CHARACTERS_OF_A_QUERY)
        return found
    if len(query) > max_body(limits):
        raise InvalidRequest(f"the query is longer than {max_body(limits)} bytes{_FIX}")
    return parse_parameters(query, limits=limits, forbidden=SECRETS)


# Clients repeat the same queries. One that is refused, for instance because of a secret, is not cached.
_cached_queries: BoundedCache[str, Parameters] = BoundedCache(2048)


def announced_form(environ: Mapping[str, Any], limits: ScopeLimits = DEFAULT_LIMITS) -> int | None:
    """The length of a POST's form as announced by its headers; None if it is chunked and has no length.

    Raises:
        UnsupportedMediaType, RequestTooLarge, InvalidRequest: reasons not to read it.
    """
    media_type = str(environ.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise UnsupportedMediaType("the body must be application/x-www-form-urlencoded")
    return announced_length(environ, form_limit(limits))


def announced_length(environ: Mapping[str, Any], limit: BodyLimit) -> int | None:
    """The length of a body as announced by its header; None if it is chunked and has no length.

    Raises:
        RequestTooLarge, InvalidRequest: reasons not to read it.
    """
    length_text = str(environ.get("CONTENT_LENGTH") or "")
    if not length_text:
        return None if environ.get("wsgi.input_terminated") else 0
    if not (length_text.isascii() and length_text.isdigit()):
        raise InvalidRequest("Content-Length is not a number")
    # The number of digits first: Python refuses to convert thousands of them.
    if len(length_text) > len(str(limit.most)) or int(length_text) > limit.most:
        raise limit.error
    return int(length_text)


@lru_cache(maxsize=16)
def form_limit(limits: ScopeLimits) -> BodyLimit:
    """The limit of a POST's form."""
    return BodyLimit(max_body(limits), str(too_large(limits)))


def too_large(limits: ScopeLimits = DEFAULT_LIMITS) -> RequestTooLarge:
    """The error for a body of more than `max_body` bytes."""
    return RequestTooLarge(f"the body is larger than {max_body(limits)} bytes{_FIX}")


def parse_form(
    environ: Mapping[str, Any], limits: ScopeLimits = DEFAULT_LIMITS, *, many_services: bool = False
) -> Parameters:
    """The parameters of a POST's form; for `many_services` see `parse_parameters`.

    Raises:
        UnsupportedMediaType, RequestTooLarge: before anything is parsed.
        UnreadableForm: for the reasons of `parse_parameters`.
        InvalidRequest: the body is incomplete.
    """
    body = environ.get(READ_BODY)
    if body is None:
        body = read_body(environ, announced_form(environ, limits), form_limit(limits))
    try:
        text = body.decode("ascii") if body.isascii() else body.decode("utf-8")
    except UnicodeDecodeError as error:
        lenient = read_leniently(body.decode("utf-8", "replace"), limits)
        raise UnreadableForm("the form is not UTF-8", lenient) from error
    try:
        return parse_parameters(text, limits=limits, many_services=many_services)
    except InvalidRequest as error:
        raise UnreadableForm(str(error), read_leniently(text, limits)) from error


def read_body(environ: Mapping[str, Any], announced: int | None, limit: BodyLimit) -> bytes:
    """The whole body. One that ends before its announced length was truncated in transit (RFC 9112, section 8), and
    half a password must not be tried. A truncated chunked body cannot be detected here: WSGI does not report it.

    Raises:
        RequestTooLarge, InvalidRequest: it has more bytes than allowed, or fewer than announced.
    """
    length = limit.most + 1 if announced is None else announced
    chunks: list[bytes] = []
    while length > 0:
        chunk = environ["wsgi.input"].read(length)
        if not chunk:
            break
        chunks.append(chunk)
        length -= len(chunk)
    body = b"".join(chunks)
    if announced is not None and len(body) < announced:
        raise InvalidRequest("the body is shorter than Content-Length says")
    if len(body) > limit.most:
        raise limit.error
    return body
