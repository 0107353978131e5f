"""Parses the parameters of a token request: a query or a form of limited size, with no single-valued one repeated.

Credentials are never read from a query. The body is read from the WSGI input directly, at most one byte more than
allowed, because a chunked body has no length to check beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from tokenserver.errors import InvalidRequest, RequestError

MAX_BODY = 64 * 1024
MAX_QUERY = 64 * 1024
MAX_FIELDS = 256

# Longer queries are not cached, so that the cache is bounded in bytes as well.
_LONGEST_CACHED = 512

SINGLE = frozenset(
    {
        *("service", "account", "client_id", "grant_type", "username", "password", "refresh_token"),
        *("access_type", "offline_token", "explain"),
    }
)
_HARMLESS = frozenset({"service", "username", "client_id"})
SECRETS = frozenset({"password", "refresh_token", "client_secret", "id_token", "access_token", "token", "assertion"})


class RequestTooLarge(RequestError):
    """The body is larger than `MAX_BODY`."""


class BodyTooSlow(RequestError):
    """The body did not arrive in time."""


class UnsupportedMediaType(RequestError):
    """The body is not a form."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Decoded parameters. `scope` may repeat; the other known ones appear at most once."""

    single: Mapping[str, str]
    scopes: tuple[str, ...]

    def get(self, name: str) -> str | None:
        """The value of a single-valued parameter; an empty one counts as absent."""
        return self.single.get(name) or None


class UnreadableForm(InvalidRequest):
    """A form that breaks a rule. `read` is what can be read of it nevertheless, without any secret."""

    def __init__(self, message: str, read: Parameters) -> None:
        self.read = read
        super().__init__(message)


def read_leniently(text: str) -> Parameters:
    """Who asks for what, by parameters that need not be valid: of a repeated one the first value. Never raises."""
    fields = text[:MAX_QUERY].split("&", MAX_FIELDS)[:MAX_FIELDS]
    single: dict[str, str] = {}
    scopes: list[str] = []
    for name, value in parse_qsl("&".join(fields), errors="replace"):
        if name == "scope":
            scopes.append(value)
        elif name in _HARMLESS:
            single.setdefault(name, value)
    return Parameters(single, tuple(scopes))


def parse_parameters(text: str, *, forbidden: frozenset[str] = frozenset()) -> Parameters:
    """Parse `application/x-www-form-urlencoded` text (WHATWG URL, section 5.1).

    Raises:
        InvalidRequest: too many fields, bytes that are not UTF-8, a single-valued parameter that repeats, or one
            that is forbidden here. The message names parameters, never values.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidRequest("the parameters are not UTF-8") from error
    except ValueError as error:
        raise InvalidRequest(f"more than {MAX_FIELDS} parameters") from error
    single: dict[str, str] = {}
    scopes: list[str] = []
    for name, value in pairs:
        if name in forbidden:
            raise InvalidRequest(f"{name}: secrets do not belong in a URL; fix: send them in the header or the form")
        if name == "scope":
            scopes.append(value)
        elif name in SINGLE:
            if name in single:
                raise InvalidRequest(f"{name}: is given twice")
            single[name] = value
    return Parameters(single, tuple(scopes))


def parse_query(query: str) -> Parameters:
    """The parameters of a query string as in WSGI (RFC 3986, percent-encoded, so ASCII).

    Raises:
        InvalidRequest: as `parse_parameters`, and for credentials or secrets in the query.
    """
    if len(query) > MAX_QUERY:
        raise InvalidRequest("the query is too long")
    return _parse_query(query) if len(query) > _LONGEST_CACHED else _cached_query(query)


def _parse_query(query: str) -> Parameters:
    return parse_parameters(query, forbidden=SECRETS)


# Clients repeat the same queries. One that is refused, for instance because of a secret, is not cached.
_cached_query = lru_cache(maxsize=2048)(_parse_query)


def announced_form(environ: Mapping[str, Any]) -> int | None:
    """The length of a POST's form as announced by its headers; None if it is chunked and has no length.

    Raises:
        UnsupportedMediaType, RequestTooLarge, InvalidRequest: reasons not to read it.
    """
    media_type = str(environ.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise UnsupportedMediaType("the body must be application/x-www-form-urlencoded")
    length_text = str(environ.get("CONTENT_LENGTH") or "")
    if not length_text:
        return None if environ.get("wsgi.input_terminated") else 0
    if not (length_text.isascii() and length_text.isdigit()):
        raise InvalidRequest("Content-Length is not a number")
    # The number of digits first: Python refuses to convert thousands of them.
    if len(length_text) > len(str(MAX_BODY)) or int(length_text) > MAX_BODY:
        raise too_large()
    return int(length_text)


def too_large() -> RequestTooLarge:
    """The error for a body of more than `MAX_BODY` bytes."""
    return RequestTooLarge(f"the body is larger than {MAX_BODY} bytes")


def parse_form(environ: Mapping[str, Any]) -> Parameters:
    """The parameters of a POST's form.

    Raises:
        UnsupportedMediaType, RequestTooLarge: before anything is parsed.
        UnreadableForm: for the reasons of `parse_parameters`.
        InvalidRequest: the body is incomplete.
    """
    body = _read_body(environ, announced_form(environ))
    try:
        text = body.decode("ascii") if body.isascii() else body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableForm("the form is not UTF-8", read_leniently(body.decode("utf-8", "replace"))) from error
    try:
        return parse_parameters(text)
    except InvalidRequest as error:
        raise UnreadableForm(str(error), read_leniently(text)) from error


def _read_body(environ: Mapping[str, Any], announced: int | None) -> bytes:
    """The whole body. One that ends before its announced length was truncated in transit (RFC 9112, section 8), and
    half a password must not be tried. A truncated chunked body cannot be detected here: WSGI does not report it.
    """
    length = MAX_BODY + 1 if announced is None else announced
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
    if len(body) > MAX_BODY:
        raise too_large()
    return body
