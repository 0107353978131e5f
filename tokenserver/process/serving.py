"""The main function of a worker process: its listeners, each with granian's threads, from the start to a graceful stop.

Further listeners have connections and threads of their own, so none can exhaust those of another. With TLS it is the
descriptors of the process that run out first (`connections_for`), and these are common to all.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from granian._granian import CallbackScheduler, ListenerSpec, RSGIWorker, WorkerSignal
from granian.server.common import WORKERS_METHODS
from granian.server.mp import WorkerProcess

from tokenserver.process.body_reader import WorkerLoop
from tokenserver.process.gateway import Gateway
from tokenserver.web.routes import TokenFront

if TYPE_CHECKING:
    from tokenserver.web.application import ReconfigurableApplication


BACKLOG = 2048
"""How many connections may wait to be accepted. With TLS they wait only while the worker is out of descriptors, which
closes them."""


class FurtherListener(NamedTuple):
    """A further listener of each worker: for management, or for notifications.

    It differs from the main one in these values alone. `connections` may be open, and as many again may wait to be
    accepted; `threads` answer requests.
    """

    address: tuple[str, int]
    connections: int
    threads: int


class _Direct(CallbackScheduler):
    """Calls `handle` where granian would schedule a coroutine: in its blocking thread, with the request."""

    def __new__(cls, loop: asyncio.AbstractEventLoop, handle: Callable[[Any], None]) -> _Direct:
        new: Callable[..., _Direct] = super().__new__  # granian's stubs know no arguments of it
        return new(cls, loop, handle, None, None, None)

    def __init__(self, _loop: asyncio.AbstractEventLoop, handle: Callable[[Any], None]) -> None:
        super().__init__()
        self._schedule_fn = handle


class _Stop:
    """The graceful stop of a process: SIGTERM or SIGINT ends its listeners, each when its requests are answered."""

    def __init__(self, loop: WorkerLoop) -> None:
        self._loop = loop
        self._signals: list[WorkerSignal] = []
        self._ends: list[asyncio.Event] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._begin)

    def _begin(self) -> None:
        for each in self._signals:
            each.set()

    def of_listener(self) -> WorkerSignal:
        """The signal that ends one more listener, which reports by it that it has ended."""
        new, ended = WorkerSignal(), asyncio.Event()
        new.add_cb(lambda: self._loop.call_soon_threadsafe(ended.set))
        self._signals.append(new)
        self._ends.append(ended)
        return new

    async def wait(self) -> None:
        """Wait for the end of all listeners."""
        for ended in self._ends:
            await ended.wait()


@WorkerProcess.wrap_target  # type: ignore[untyped-decorator]
def run_worker(
    worker_id: int,
    application: ReconfigurableApplication,
    sock: Any,
    ipc: Any,
    given_loop: asyncio.AbstractEventLoop,
    *settings: Any,
    further: Sequence[FurtherListener] = (),
) -> None:
    """The main function of a worker process, in place of granian's for WSGI (`MPServer._spawn_wsgi_worker`).

    `application` comes from `web.application.load_application`; `further` are its listeners besides the public one;
    `settings` are in the order of `MPServer._spawn_worker`. It returns when the requests in progress at all
    listeners are answered.
    """
    given_loop.close()
    loop = WorkerLoop()
    asyncio.set_event_loop(loop)
    stop = _Stop(loop)
    runtime_mode, *runtime_threads, threads, idle, connections, _task_impl = settings[:7]
    http_mode, http1, http2, websockets, static_path, _log_format, tls, _scope_options, metrics = settings[7:]
    new_worker: Any = RSGIWorker

    def listen(front: TokenFront, sock: Any, threads: int, connections: int) -> None:
        places = (*runtime_threads, threads, idle, connections)
        worker = new_worker(
            worker_id, sock, ipc, *places, http_mode, http1, http2, websockets, static_path, *tls, metrics
        )
        serve = getattr(worker, WORKERS_METHODS[runtime_mode][(sock[0] or sock[1]).is_uds()])
        serve(_Direct(loop, Gateway(front, loop, threads=threads)), loop, stop.of_listener())

    fronts = application.fronts
    listen(fronts[0], sock, threads, connections)
    for front, one in zip(fronts[1:], further, strict=True):
        spec = ListenerSpec(*one.address, min(BACKLOG, one.connections))
        listen(front, (spec, None), one.threads, one.connections)
    loop.run_until_complete(stop.wait())
    application.finish()
