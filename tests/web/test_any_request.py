"""Any request at all: an answer of the contract, one line in the audit trail, and no token that nobody may have."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_web_server import PASSWORDS, Server, make_server

from tokenserver.web.application import token_endpoint
from tokenserver.web.token_endpoint import TokenEndpoint

FORM = "application/x-www-form-urlencoded"
STATUSES = {200, 400, 401, 403, 413, 415, 429}

_ANN = "Basic " + base64.b64encode(f"ann:{PASSWORDS['ann']}".encode()).decode()

_latin = st.text(st.characters(max_codepoint=255), max_size=40)
_names = st.sampled_from(
    [
        *("service", "scope", "account", "client_id", "offline_token", "grant_type", "username", "password"),
        *("access_type", "explain", "refresh_token", "token", "x", ""),
    ]
)
_values = st.text(max_size=30) | st.sampled_from(
    [
        *("reg", "ann", "password", "refresh_token", "true", "1", "", "offline"),
        *("repository:team/a:pull,push", "repository:public/a:pull repository:team/x:*", "registry:catalog:*", ":::"),
        *("repository:team/../a:pull", "repository(plugin):a:pull\n", "a" * 300, "\x00", "\u2028", "%zz"),
    ]
)
_pairs = st.lists(st.tuples(_names, _values), max_size=6).map(
    lambda pairs: "&".join(f"{name}={quote_plus(value)}" for name, value in pairs)
)
_queries = _pairs | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60)
_headers = (
    st.none()
    | _latin
    | _latin.map("Basic {}".format)
    | st.sampled_from(["Basic Og==", "Basic YW5uOng=", "Bearer x", _ANN])
)
_form = urlencode({"grant_type": "password", "username": "ann", "password": PASSWORDS["ann"]})
_bodies = st.binary(max_size=60) | _pairs.map(str.encode) | _pairs.map(f"{_form}&{{}}".format).map(str.encode)


@pytest.fixture(scope="module")
def asked(server_folder: Path) -> tuple[Server, TokenEndpoint]:
    """A server that is asked by WSGI's own words, bypassing client libraries, which would fix them."""
    server = make_server(server_folder)
    return server, token_endpoint(server.parts)


@given(
    method=st.sampled_from(["GET", "POST"]),
    query=_queries,
    authorization=_headers,
    body=_bodies,
    length=st.none() | _latin | st.integers(-2, 100_000).map(str),
    media_type=st.just(FORM) | st.just(FORM + "; charset=utf-8") | _latin,
    peer=st.just("127.0.0.1") | st.sampled_from(["10.0.0.1", "192.0.2.1", ""]) | _latin,
    forwarded=st.none() | _latin,
    scheme=st.sampled_from(["http", "https"]),
)
def test_any_request_is_answered(
    asked: tuple[Server, TokenEndpoint],
    method: str,
    query: str,
    authorization: str | None,
    body: bytes,
    length: str | None,
    media_type: str,
    peer: str,
    forwarded: str | None,
    scheme: str,
) -> None:
    """Never an error of the server's, never more than one line of the audit trail, never an answer that is no JSON."""
    server, endpoint = asked
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": "/token",
        "QUERY_STRING": query,
        "CONTENT_TYPE": media_type,
        "REMOTE_ADDR": peer,
        "wsgi.url_scheme": scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
    }
    optional = {"HTTP_AUTHORIZATION": authorization, "CONTENT_LENGTH": length, "HTTP_X_FORWARDED_FOR": forwarded}
    environ |= {name: value for name, value in optional.items() if value is not None}
    server.audit.raw.clear()
    answer = endpoint.answer(environ)
    (event,) = server.audit.events
    content = json.loads(answer.body)
    assert answer.status in STATUSES, event
    assert {name for name, _ in answer.headers} >= {"Cache-Control", "X-Request-Id"}
    assert all("\n" not in value and "\r" not in value and value.isascii() for _, value in answer.headers)
    assert ("token" in content) == (event["outcome"] in ("granted", "partial", "denied", "login"))
    if answer.status == 200 and event.get("subject") == "":
        assert method == "GET"
        assert authorization in (None, "Basic Og==")
