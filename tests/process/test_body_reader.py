"""Bodies: read whole or rejected, by length, number of chunks, how they end and when, and in which thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from queue import Queue

import pytest
from granian_requests import GranianPromise

from tokenserver.errors import InvalidRequest, RequestError
from tokenserver.process import body_reader
from tokenserver.process.body_reader import MAX_PIECES, BodyReader, Outcome, WorkerLoop, chunked_body
from tokenserver.scopes import ScopeLimits
from tokenserver.web.bodies import BodyPlaces
from tokenserver.web.parameters import BodyTooSlow, RequestTooLarge, form_limit, max_body

LIMITS = ScopeLimits(scope_bytes=40_000)
MAX_BODY = max_body(LIMITS)
LIMIT = form_limit(LIMITS)
SOON = 0.05
NEVER = 3600.0


class Proto:
    """RSGI's protocol object, as far as chunked bodies need it. After its pieces, it may be `silent`."""

    def __init__(self, *pieces: bytes, silent: bool = False) -> None:
        self.read = 0
        self._pieces = pieces
        self._silent = silent

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            self.read += 1
            yield piece
        if self._silent:
            await asyncio.sleep(NEVER)


def form() -> bytes:
    return b"a=1"


class Received:
    """A continuation: what it was called with, in which threads, and how many places were taken then."""

    def __init__(self, places: BodyPlaces) -> None:
        self._places = places
        self.outcomes: Queue[tuple[Outcome, threading.Thread, int]] = Queue()

    def __call__(self, outcome: Outcome) -> None:
        self.outcomes.put((outcome, threading.current_thread(), self._places.taken))

    def next(self) -> tuple[Outcome, threading.Thread, int]:
        return self.outcomes.get(timeout=10)


@pytest.fixture
def loop() -> Iterator[WorkerLoop]:
    """A loop that runs in a thread called `loop`."""
    loop = WorkerLoop()
    thread = threading.Thread(target=loop.run_forever, name="loop")
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def places() -> BodyPlaces:
    return BodyPlaces()


@pytest.fixture
def reader(loop: WorkerLoop, monkeypatch: pytest.MonkeyPatch) -> BodyReader:
    monkeypatch.setattr(body_reader, "LATE_SECONDS", SOON)
    return BodyReader(loop, threads=2)


def in_thread(call: Callable[[], object]) -> threading.Thread:
    """Run it in another thread, to its end."""
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return thread


@pytest.mark.parametrize("is_there", [True, False], ids=["came with its headers", "comes later"])
def test_a_body_continues_where_granian_completes_it(
    loop: WorkerLoop, reader: BodyReader, places: BodyPlaces, is_there: bool
) -> None:
    """Neither in the event loop nor in another thread, and its place is free by then."""
    received, promise = Received(places), GranianPromise(loop)
    if is_there:
        promise.complete(form)
    reader.whole(promise, places.take(None), time.monotonic() + NEVER, received)
    completing = threading.current_thread()
    if not is_there:
        assert (places.taken, received.outcomes.empty()) == (1, True)
        completing = in_thread(lambda: promise.complete(form))
    assert received.next() == (b"a=1", completing, 0)


def test_a_body_that_was_cut_off(loop: WorkerLoop, reader: BodyReader, places: BodyPlaces) -> None:
    """The client's error, and not a traceback, which would keep the promise that keeps the error: memory for ever."""
    received, promise = Received(places), GranianPromise(loop)
    kept = RuntimeError("RSGIProtocolError")

    def cut() -> bytes:
        raise kept

    reader.whole(promise, places.take(None), time.monotonic() + NEVER, received)
    in_thread(lambda: promise.complete(cut))
    outcome, _, taken = received.next()
    assert (type(outcome), str(outcome), taken) == (
        InvalidRequest,
        "the body is shorter than Content-Length says",
        0,
    )
    assert kept.__traceback__ is None


def test_late_bodies_are_given_up(loop: WorkerLoop, reader: BodyReader, places: BodyPlaces) -> None:
    """After their deadlines, not before, not in the event loop, and no matter what arrived in between."""
    received, good = Received(places), Received(places)
    waiting = [GranianPromise(loop) for _ in range(3)]
    reader.whole(waiting[0], places.take(None), time.monotonic() + SOON, received)
    reader.whole(waiting[1], places.take(None), time.monotonic() + SOON, good)
    reader.whole(waiting[2], places.take(None), time.monotonic() + NEVER, good)
    waiting[1].complete(form)
    outcome, thread, taken = received.next()
    assert (type(outcome), str(outcome), taken) == (
        BodyTooSlow,
        "the body did not arrive within 10 seconds",
        1,
    )
    assert thread.name.startswith("form")
    waiting[2].complete(form)
    assert [good.next()[::2], good.next()[::2]] == [(b"a=1", 2), (b"a=1", 0)]
    waiting[0].complete(form)
    assert received.outcomes.empty()


def test_a_body_after_a_pause_has_a_deadline_as_well(loop: WorkerLoop, reader: BodyReader, places: BodyPlaces) -> None:
    """Looking for late bodies ends when there are none in transit, and begins again."""
    for _ in range(2):
        received = Received(places)
        reader.whole(GranianPromise(loop), places.take(None), time.monotonic() + SOON, received)
        assert type(received.next()[0]) is BodyTooSlow
        time.sleep(3 * SOON)


@pytest.mark.parametrize(
    ("proto", "expected"),
    [
        pytest.param(Proto(b"a=1", b"&b=2", b""), (b"a=1&b=2", None), id="whole"),
        pytest.param(Proto(b"a=1", silent=True), (None, BodyTooSlow), id="late"),
    ],
)
def test_a_chunked_body_continues_in_a_thread(
    reader: BodyReader, places: BodyPlaces, proto: Proto, expected: tuple[bytes | None, type[RequestError] | None]
) -> None:
    """Not in the event loop, since the continuation may wait."""
    received = Received(places)
    reader.in_chunks(proto, LIMIT, places.take(None), time.monotonic() + 4 * SOON, received)
    outcome, thread, taken = received.next()
    body, error = (outcome, None) if isinstance(outcome, bytes) else (None, type(outcome))
    assert ((body, error), thread.name[:4], taken) == (expected, "form", 0)


def test_a_worker_that_is_stopping_still_answers(places: BodyPlaces) -> None:
    """A body of known length needs no event loop; a chunked one does, and says so."""
    loop = WorkerLoop()
    loop.close()
    reader, received, promise = BodyReader(loop, threads=1), Received(places), GranianPromise(loop)
    reader.whole(promise, places.take(None), time.monotonic() + NEVER, received)
    promise.complete(form)
    assert received.next() == (b"a=1", threading.current_thread(), 0)
    with pytest.raises(RuntimeError, match="closed"):
        reader.in_chunks(Proto(b""), LIMIT, places.take(None), time.monotonic() + NEVER, received)


def test_the_loop_schedules_everything_else_as_usual() -> None:
    """Only an arrival is called immediately."""
    called: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(called.append, "soon")
        loop.call_soon_threadsafe(called.append, "from a thread")
        assert called == []
        await asyncio.sleep(0)

    loop = WorkerLoop()
    loop.run_until_complete(main())
    loop.close()
    assert called == ["soon", "from a thread"]


def read(proto: Proto) -> Outcome:
    return asyncio.run(chunked_body(proto, LIMIT))


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
