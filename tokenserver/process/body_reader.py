"""Reads request bodies from granian's protocol objects, each until its deadline, while no thread waits for it.

granian reads a body of known length by itself and completes a promise with it, in one of its blocking threads. The
request continues there: each further switch of threads waits for the interpreter, and a POST that goes through the
event loop costs three times as much as a GET. The event loop reads chunked bodies and gives up late ones.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context
from typing import Any, Protocol, TypeVarTuple

from tokenserver.errors import InvalidRequest, RequestError
from tokenserver.web.bodies import BODY_SECONDS, Place
from tokenserver.web.parameters import BodyLimit, BodyTooSlow

_Args = TypeVarTuple("_Args")

MAX_PIECES = 1024
"""The most chunks of one body. Each costs a turn of the event loop, so 64 KiB in single bytes would block it for
seconds."""

LATE_SECONDS = 0.5
"""How often late bodies are looked for while bodies are in transit."""

Outcome = bytes | RequestError
"""A body, or why there is none. Errors are returned, not raised: a traceback would keep the protocol object alive, and
with it the connection."""


class Promise(Protocol):
    """granian's future of a body. It schedules its callback with its event loop, whichever thread completes it."""

    def add_done_callback(self, callback: Arrival, /) -> None: ...

    def result(self) -> bytes: ...

    def cancel(self) -> bool: ...


class Arrival:
    """The callback of a promise; `WorkerLoop` calls it in the thread that schedules it."""

    __slots__ = ("_arrived",)

    def __init__(self, arrived: Callable[[Arrival, Promise], None]) -> None:
        self._arrived = arrived

    def __call__(self, promise: Promise) -> None:
        """`promise` is complete or cancelled."""
        self._arrived(self, promise)


class WorkerLoop(asyncio.SelectorEventLoop):
    """The event loop of a worker, which granian schedules callbacks with."""

    def __init__(self) -> None:
        super().__init__()
        self._called = asyncio.Handle(_nothing, (), self)
        self._called.cancel()

    def call_soon(
        self, callback: Callable[[*_Args], object], *args: *_Args, context: Context | None = None
    ) -> asyncio.Handle:
        """See `asyncio.BaseEventLoop`; an `Arrival` has been called by the return."""
        called: object = callback
        if isinstance(called, Arrival):
            callback(*args)
            return self._called
        return super().call_soon(callback, *args, context=context)

    def call_soon_threadsafe(
        self, callback: Callable[[*_Args], object], *args: *_Args, context: Context | None = None
    ) -> asyncio.Handle:
        """See `asyncio.BaseEventLoop`; an `Arrival` has been called by the return."""
        called: object = callback
        if isinstance(called, Arrival):
            callback(*args)
            return self._called
        return super().call_soon_threadsafe(callback, *args, context=context)


class BodyReader:
    """Reads bodies and calls a continuation with each, which must not raise, or with the error if there is none.

    `loop` must be the one that granian schedules callbacks with, and running. A continuation runs in a thread of
    granian's or, after a chunked or late body, in one of up to `threads` others. A body holds its place until then.
    """

    def __init__(self, loop: WorkerLoop, *, threads: int) -> None:
        self._loop = loop
        self._others = ThreadPoolExecutor(threads, thread_name_prefix="form")
        self._reading: set[asyncio.Task[None]] = set()
        # Without a lock: each method of a dictionary is atomic.
        self._waiting: dict[Arrival, tuple[float, Promise]] = {}
        self._looks_for_late = False

    def whole(self, promise: Promise, place: Place, deadline: float, then: Callable[[Outcome], None]) -> None:
        """Read a body of known length, until `deadline` on the monotonic clock."""

        def arrived(arrival: Arrival, promise: Promise) -> None:
            self._waiting.pop(arrival, None)
            place.leave()
            try:
                outcome: Outcome = promise.result()
            except asyncio.CancelledError:  # this is the event loop, in `_give_up_late`
                self._continue(then, _too_slow())
                return
            except RuntimeError as error:  # RSGIProtocolError
                error.__traceback__ = None  # it has this frame, and the promise, which keeps the error
                outcome = InvalidRequest("the body is shorter than Content-Length says")
            then(outcome)

        arrival = Arrival(arrived)
        self._waiting[arrival] = deadline, promise
        promise.add_done_callback(arrival)
        if arrival in self._waiting and not self._looks_for_late:
            self._looks_for_late = True
            with suppress(RuntimeError):  # the loop is closed, because the worker is stopping
                self._loop.call_soon_threadsafe(self._loop.call_later, LATE_SECONDS, self._give_up_late)

    def _give_up_late(self) -> None:
        now = time.monotonic()
        for deadline, promise in self._waiting.copy().values():
            if deadline > now:  # later ones have later deadlines
                break
            promise.cancel()
        self._looks_for_late = False
        if self._waiting:
            self._looks_for_late = True
            self._loop.call_later(LATE_SECONDS, self._give_up_late)

    def in_chunks(
        self, proto: Any, limit: BodyLimit, place: Place, deadline: float, then: Callable[[Outcome], None]
    ) -> None:
        """Read a chunked body from RSGI's protocol object, until `deadline` on the monotonic clock.

        Raises:
            RuntimeError: the worker is stopping.
        """
        self._loop.call_soon_threadsafe(self._start, proto, limit, place, deadline, then)

    def _start(
        self, proto: Any, limit: BodyLimit, place: Place, deadline: float, then: Callable[[Outcome], None]
    ) -> None:
        task = self._loop.create_task(self._read_chunks(proto, limit, place, deadline, then))
        self._reading.add(task)  # the loop itself keeps only weak references
        task.add_done_callback(self._reading.discard)

    async def _read_chunks(
        self, proto: Any, limit: BodyLimit, place: Place, deadline: float, then: Callable[[Outcome], None]
    ) -> None:
        try:
            with place:
                async with asyncio.timeout(deadline - time.monotonic()):
                    outcome = await chunked_body(proto, limit)
        except TimeoutError:
            outcome = _too_slow()
        self._continue(then, outcome)

    def _continue(self, then: Callable[[Outcome], None], outcome: Outcome) -> None:
        try:
            self._others.submit(then, outcome)
        except RuntimeError:  # the process is exiting, so the event loop has nothing else to do
            then(outcome)


async def chunked_body(proto: Any, limit: BodyLimit) -> Outcome:
    """The body of a request from RSGI's protocol object, of at most `limit.most` bytes."""
    pieces: list[bytes] = []
    size = 0
    async for piece in proto:
        pieces.append(piece)
        size += len(piece)
        if size > limit.most:
            return limit.error
        if len(pieces) > MAX_PIECES:
            return InvalidRequest(f"the body comes in more than {MAX_PIECES} chunks")
    # granian ends with one empty piece; an error in the chunks, or a trailer, shows up as another one.
    if pieces.count(b"") > 1:
        return InvalidRequest("the body was cut off or has trailers")
    return b"".join(pieces)


def _too_slow() -> BodyTooSlow:
    return BodyTooSlow(f"the body did not arrive within {BODY_SECONDS:.0f} seconds")


def _nothing() -> None:
    """Never called."""
