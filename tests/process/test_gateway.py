"""The gateway's bodies: read whole or rejected, by length, number of chunks, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tokenserver.errors import InvalidRequest, RequestError
from tokenserver.process.gateway import MAX_PIECES, YIELDS, body_at_hand, chunked_body, whole_body
from tokenserver.scopes import ScopeLimits
from tokenserver.web.parameters import RequestTooLarge, max_body

LIMITS = ScopeLimits(scope_bytes=40_000)
MAX_BODY = max_body(LIMITS)


class Proto:
    """RSGI's protocol object, as far as bodies need it."""

    def __init__(self, *pieces: bytes, is_cut: bool = False) -> None:
        self.read = 0
        self._pieces = pieces
        self._is_cut = is_cut

    async def __call__(self) -> bytes:
        if self._is_cut:
            raise RuntimeError("RSGIProtocolError")
        return b"".join(self._pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            self.read += 1
            yield piece


def read(proto: Proto, *, announced: bool = False) -> bytes | RequestError:
    return asyncio.run(whole_body(proto()) if announced else chunked_body(proto, LIMITS))


@pytest.mark.parametrize(
    ("pieces", "body"),
    [
        pytest.param((b"",), b"", id="empty"),
        pytest.param((b"a=1", b"&b=2", b""), b"a=1&b=2", id="chunks"),
        pytest.param((b"x" * MAX_BODY, b""), b"x" * MAX_BODY, id="largest"),
        pytest.param((*[b"x"] * (MAX_PIECES - 1), b""), b"x" * (MAX_PIECES - 1), id="most-chunks"),
    ],
)
def test_whole_bodies(pieces: tuple[bytes, ...], body: bytes) -> None:
    """The chunks in their order."""
    assert read(Proto(*pieces)) == body


def test_a_body_of_known_length() -> None:
    """It is awaited as a whole; one that is cut off is the client's error."""
    assert read(Proto(b"a=1"), announced=True) == b"a=1"
    cut = read(Proto(is_cut=True), announced=True)
    assert (type(cut), str(cut)) == (InvalidRequest, "the body is shorter than Content-Length says")


class Promise:
    """Granian's awaitable, which is done when it has been asked so many times."""

    def __init__(self, after: int, *, is_cut: bool = False) -> None:
        self.asked = 0
        self._after = after
        self._is_cut = is_cut

    def done(self) -> bool:
        self.asked += 1
        return self.asked > self._after

    def result(self) -> bytes:
        if self._is_cut:
            raise RuntimeError("RSGIProtocolError")
        return b"a=1"


@pytest.mark.parametrize(
    ("after", "body"),
    [
        pytest.param(0, b"a=1", id="there"),
        pytest.param(YIELDS - 1, b"a=1", id="in-a-moment"),
        pytest.param(YIELDS, None, id="later"),
    ],
)
def test_a_body_that_came_with_its_headers(after: int, body: bytes | None) -> None:
    """It is taken without the event loop; another one is left to it."""
    promise = Promise(after)
    assert (body_at_hand(promise), promise.asked) == (body, min(after + 1, YIELDS))


def test_a_body_that_was_cut_off_with_its_headers() -> None:
    """The client's error, returned and not raised; an awaitable of another kind is left to the event loop."""
    cut = body_at_hand(Promise(0, is_cut=True))
    assert (type(cut), str(cut)) == (InvalidRequest, "the body is shorter than Content-Length says")
    waiting = Proto(b"a=1")()
    assert body_at_hand(waiting) is None
    waiting.close()


@pytest.mark.parametrize(
    ("pieces", "kind", "read_pieces"),
    [
        pytest.param((b"x" * MAX_BODY, b"y", b"z", b""), RequestTooLarge, 2, id="too-large"),
        pytest.param((b"x",) * (MAX_PIECES + 50), InvalidRequest, MAX_PIECES + 1, id="too-many-chunks"),
        pytest.param((b"x", b"", b""), InvalidRequest, 3, id="cut-off-or-trailers"),
    ],
)
def test_rejected_bodies(pieces: tuple[bytes, ...], kind: type[RequestError], read_pieces: int) -> None:
    """The error is returned and not raised, and no more is read than needed."""
    proto = Proto(*pieces)
    assert type(read(proto)) is kind
    assert proto.read == read_pieces
