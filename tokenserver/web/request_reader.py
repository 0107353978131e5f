"""From parameters and headers to a token request, or to what is known of one that was refused. No framework, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokenserver.credentials import Password
from tokenserver.errors import InvalidRequest, PlainHttp
from tokenserver.exchange.observers import UnparsedRequest
from tokenserver.exchange.service import GrantPurpose, TokenRequest
from tokenserver.runtime.bounded_cache import BoundedCache
from tokenserver.scopes import DEFAULT_LIMITS, ScopeLimits, ScopeRequest, mark_new, parse_scopes
from tokenserver.web.authorization_header import parse_authorization, refresh_token_in
from tokenserver.web.client_address import Address
from tokenserver.web.oauth.grants import granted_by, is_offline
from tokenserver.web.parameters import CHARACTERS_OF_A_QUERY, Parameters, UnreadableForm, read_leniently

MAX_ASKED = 16
"""Scopes of a refused request that its event quotes; the rest is only counted."""

_LONGEST_CACHED = 4000
"""Longer scopes are not cached."""


def token_request(
    environ: Mapping[str, Any],
    query: Parameters,
    form: Parameters | None,
    *,
    request_id: str,
    client: Address | None,
    limits: ScopeLimits = DEFAULT_LIMITS,
) -> TokenRequest:
    """The request that a GET's query makes, or a POST's form, with the credentials of its header or form.

    Raises:
        InvalidRequest, UnsupportedGrantType: parameters are missing, contradict each other, or ask for something else.
    """
    header = environ.get("HTTP_AUTHORIZATION")
    credentials = parse_authorization(() if header is None else (header,))
    parameters, grant = query, GrantPurpose.USUAL
    if form is not None:
        for name in query.single:
            if name in form.single:
                raise InvalidRequest(f"{name}: is given in both the query and the form")
        credentials, grant = granted_by(form, credentials)
        parameters = form
    single = parameters.single
    return TokenRequest(
        request_id,
        str(environ["REQUEST_METHOD"]),
        single.get("service") or None,
        parameters.asked(limits, _parsed_scopes),
        refresh_token_in(credentials),
        single.get("account") or None,
        client,
        "explain" in single and _wants_explanation(parameters, is_query=form is None),
        single.get("client_id") or None,
        environ.get("HTTP_USER_AGENT") or None,
        ("offline_token" in single or "access_type" in single or grant is not GrantPurpose.USUAL)
        and is_offline(parameters, grant, is_query=form is None),
        grant,
    )


def _parsed_scopes(values: tuple[str, ...], limits: ScopeLimits) -> ScopeRequest:
    """As `parse_scopes`, with a cache: clients repeat the same scopes in other queries and forms."""
    length = sum(map(len, values))
    if length > _LONGEST_CACHED:
        return parse_scopes(values, limits)
    key = (values, limits)
    found = _cached_scopes.get(key)
    if found is None:
        found = parse_scopes(values, limits)
        if not _cached_scopes.offer(key, found, 1 + length // CHARACTERS_OF_A_QUERY):
            mark_new(found)
    return found


_cached_scopes: BoundedCache[tuple[tuple[str, ...], ScopeLimits], ScopeRequest] = BoundedCache(2048)


def _wants_explanation(parameters: Parameters, *, is_query: bool) -> bool:
    value = parameters.get("explain")
    if value not in (None, "1") or (value and not is_query):
        raise InvalidRequest("explain: must be explain=1, in the query of a GET")
    return value is not None


def unparsed(
    environ: Mapping[str, Any],
    error: Exception,
    form: Parameters | None = None,
    *,
    request_id: str,
    client: Address | None,
) -> UnparsedRequest:
    """The request that `error` ended, as far as it can be read: its headers, its query and, if it was read, its form.

    Nothing in it is verified, and it holds no secret. A request over plain http is not read at all.
    """
    method = str(environ["REQUEST_METHOD"])
    if isinstance(error, PlainHttp):
        return UnparsedRequest(request_id, method, client)
    if isinstance(error, UnreadableForm):
        form = error.read
    query = read_leniently(environ.get("QUERY_STRING") or "")
    read = [query] if form is None else [form, query]
    scopes = [piece for parameters in read for scope in parameters.scopes for piece in scope.split()]
    header = environ.get("HTTP_AUTHORIZATION")
    credentials = parse_authorization(() if header is None else (header,))
    username = credentials.username if isinstance(credentials, Password) else None
    return UnparsedRequest(
        request_id,
        method,
        client,
        service=_first(read, "service"),
        username=username or _first(read[:-1], "username"),
        asked=tuple(scopes[:MAX_ASKED]),
        asked_omitted=max(0, len(scopes) - MAX_ASKED),
        client_id=_first(read, "client_id"),
        user_agent=environ.get("HTTP_USER_AGENT") or None,
    )


def _first(read: Sequence[Parameters], name: str) -> str | None:
    return next((value for value in (parameters.get(name) for parameters in read) if value is not None), None)
