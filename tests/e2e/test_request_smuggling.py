"""Requests that two parsers might read differently. Whatever is hidden in a body must never become a request."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness import web
from harness.proxy import Nginx, nginx
from harness.server import TokenServer

HIDDEN_SERVICE = "hidden.test"
SILENCE = 0.5
"""Seconds without a byte after which a connection counts as left open."""

HIDDEN = f"GET /token?service={HIDDEN_SERVICE} HTTP/1.1\r\nHost: localhost\r\n\r\n"
OPEN = "GET /token?service=registry2.test HTTP/1.1\r\nHost: localhost\r\n"
POST = "POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
CHUNKED = "0\r\n\r\n"

BODY = CHUNKED + HIDDEN
LENGTH = f"Content-Length: {len(BODY)}\r\n"
IN_CHUNKS = "Transfer-Encoding: chunked\r\n"

AMBIGUOUS = [
    pytest.param(f"{POST}{LENGTH}{IN_CHUNKS}\r\n{BODY}", id="length, then chunks"),
    pytest.param(f"{POST}{IN_CHUNKS}{LENGTH}\r\n{BODY}", id="chunks, then length"),
    pytest.param(f"{POST}Content-Length: 4\r\n{IN_CHUNKS}\r\n{BODY}", id="short length, and chunks"),
    pytest.param(f"{POST}{LENGTH}Transfer-Encoding: xchunked\r\n\r\n{BODY}", id="length, and an unknown coding"),
    pytest.param(f"{POST}{LENGTH}Transfer-Encoding: identity\r\n\r\n{BODY}", id="length, and identity"),
    pytest.param(f"{POST}Transfer-Encoding: identity\r\n\r\n{BODY}", id="identity alone"),
    pytest.param(f"{POST}{LENGTH}Transfer-Encoding: chunked, identity\r\n\r\n{BODY}", id="chunked, then identity"),
    pytest.param(f"{POST}{IN_CHUNKS}Transfer-Encoding: identity\r\n\r\n{BODY}", id="two codings in two lines"),
    pytest.param(f"{POST}{IN_CHUNKS}{IN_CHUNKS}\r\n{BODY}", id="chunked twice"),
    pytest.param(f"{POST}{LENGTH}Transfer-Encoding : chunked\r\n\r\n{BODY}", id="a blank before the colon"),
    pytest.param(f"{POST}{LENGTH}Transfer-Encoding:\x0bchunked\r\n\r\n{BODY}", id="a vertical tab in the value"),
    pytest.param(f"{POST}{LENGTH}Transfer-Encoding:\r\n chunked\r\n\r\n{BODY}", id="a folded line"),
    pytest.param(f"{POST}{LENGTH}X: y\r\n Transfer-Encoding: chunked\r\n\r\n{BODY}", id="folded under another header"),
    pytest.param(f"{POST}{LENGTH}X: y\nTransfer-Encoding: chunked\r\n\r\n{BODY}", id="a bare line feed"),
    pytest.param(f"{POST}{LENGTH}X: y\rTransfer-Encoding: chunked\r\n\r\n{BODY}", id="a bare carriage return"),
    pytest.param(f"{POST}Content-Length: 0\r\n{LENGTH}\r\n{BODY}", id="two lengths"),
    pytest.param(f"{POST}Content-Length: 0, {len(BODY)}\r\n\r\n{BODY}", id="a list of lengths"),
    pytest.param(f"{POST}Content-Length: +{len(BODY)}\r\n\r\n{BODY}", id="a length with a plus"),
    pytest.param(f"{POST}Content-Length: 0x{len(BODY):x}\r\n\r\n{BODY}", id="a length in hexadecimal"),
    pytest.param(f"{POST}Content-Length: -1\r\n\r\n{BODY}", id="a negative length"),
    pytest.param(f"{POST}Content-Length : {len(BODY)}\r\n\r\n{BODY}", id="a length with a blank before the colon"),
    pytest.param(
        f"{POST}{IN_CHUNKS}\r\n{len(HIDDEN):x};ext=\n\r\n{HIDDEN}\r\n0\r\n\r\n", id="a line feed in an extension"
    ),
    pytest.param(f"{POST}{IN_CHUNKS}\r\n-1\r\n{HIDDEN}", id="a negative chunk"),
    pytest.param(f"{POST}{IN_CHUNKS}\r\n0x{len(HIDDEN):x}\r\n{HIDDEN}\r\n0\r\n\r\n", id="a chunk's size with 0x"),
    pytest.param(f"{POST}{IN_CHUNKS}\r\n{'f' * 17}\r\n{HIDDEN}", id="a chunk's size that overflows"),
    pytest.param(f"{POST}{IN_CHUNKS}\r\n1\r\nxx{HIDDEN}", id="a chunk that is longer than it says"),
    pytest.param(f"{OPEN}{IN_CHUNKS}{LENGTH}\r\n{BODY}", id="a GET with both"),
    pytest.param(f"{POST.replace('1.1', '1.0', 1)}{IN_CHUNKS}{LENGTH}\r\n{BODY}", id="HTTP/1.0 with chunks"),
]
"""Two parsers could read these differently, so nothing may follow them on the same connection."""

CLEAR = [
    pytest.param(f"{POST}{LENGTH}Transfer_Encoding: chunked\r\n\r\n{BODY}", id="an underscore in the name"),
    pytest.param(f"{OPEN}{LENGTH}\r\n{BODY}", id="a GET with a body"),
    pytest.param(f"{POST}{LENGTH}Expect: 100-continue\r\nUpgrade: h2c\r\n\r\n{BODY}", id="an upgrade"),
    pytest.param(f"{POST}{LENGTH}\r\n".replace("\r\n", "\n") + BODY, id="line feeds alone"),
]
"""These have one meaning; the body is a body."""


@pytest.fixture(scope="module")
def front(tokenserver: TokenServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """nginx as the documentation puts it in front, with connections to the server kept open and shared."""
    locations = f"location / {{ proxy_pass http://127.0.0.1:{tokenserver.port}; }}"
    with nginx(tmp_path_factory.mktemp("front"), locations) as proxy:
        yield proxy


@pytest.fixture(params=["direct", "behind nginx"])
def port(request: pytest.FixtureRequest, tokenserver: TokenServer) -> int:
    """Where a client would send it, with and without the proxy."""
    if request.param == "direct":
        return tokenserver.port
    front: Nginx = request.getfixturevalue("front")
    return front.port


@pytest.mark.parametrize("payload", AMBIGUOUS)
def test_after_an_ambiguous_request_the_connection_ends(payload: str, port: int, tokenserver: TokenServer) -> None:
    """One answer at most, then the end: what is hidden is never taken for a request."""
    mark = tokenserver.audit.mark()
    received = web.raw(port, payload, seconds=SILENCE)
    assert len(received.statuses) <= 1
    assert received.closed
    assert HIDDEN_SERVICE not in services(tokenserver, mark)


@pytest.mark.parametrize("payload", CLEAR)
def test_a_body_is_a_body(payload: str, port: int, tokenserver: TokenServer) -> None:
    """One request, one answer, however much the body looks like a request."""
    mark = tokenserver.audit.mark()
    received = web.raw(port, payload, seconds=SILENCE)
    assert len(received.statuses) == 1
    assert HIDDEN_SERVICE not in services(tokenserver, mark)


def test_a_second_request_would_be_seen(port: int, tokenserver: TokenServer) -> None:
    """The same two requests one after the other are two, so that the tests above can fail."""
    mark = tokenserver.audit.mark()
    received = web.raw(port, f"{OPEN}\r\n{HIDDEN}", seconds=SILENCE)
    assert received.statuses == [200, 400]
    assert HIDDEN_SERVICE in services(tokenserver, mark)


def services(server: TokenServer, mark: int) -> set[str | None]:
    """The services that were asked for since the mark; events are written before answers leave."""
    return {event.fields.get("registry") for event in server.audit.events(mark, seconds=0)}
