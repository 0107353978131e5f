"""The main function of a worker process: its listeners, each with granian's threads, from the start to a graceful stop.

Further listeners have connections and threads of their own, so none can exhaust those of another. With TLS it is the
descriptors of the process that run out first (`connections_for`), and these are common to all.

granian reads the certificate when a listener starts. For a new one, another listener starts on the same socket, and
then the old one stops: connections that wait to be accepted stay in the queue of the socket, and requests in progress
end on the old certificate.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from granian._granian import CallbackScheduler, ListenerSpec, RSGIWorker, SocketHolder, WorkerSignal
from granian.server.common import WORKERS_METHODS
from granian.server.mp import WorkerProcess

from tokenserver.process.body_reader import WorkerLoop
from tokenserver.process.certificate_renewal import CertificateRenewal
from tokenserver.process.gateway import Gateway
from tokenserver.process.process_limits import end_at_the_latest
from tokenserver.process.supervisor import HANG_AT_STOP_SECONDS, report_orphan
from tokenserver.web.routes import TokenFront

if TYPE_CHECKING:
    from tokenserver.web.application import ReconfigurableApplication


logger = logging.getLogger("tokenserver")

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


class _Socket:
    """A listening socket that outlives the listeners which take their connections from it."""

    def __init__(self, spec: Any) -> None:
        *_, self._backlog = spec.__getstate__()
        self._descriptor: int | None = spec.build().get_fd()

    def shared(self) -> tuple[None, Any]:
        """The socket for one more listener, which closes its own descriptor of it."""
        if self._descriptor is None:
            raise OSError("the worker is stopping")
        new: Any = SocketHolder  # granian's stubs know no arguments of it
        return (None, new(os.dup(self._descriptor), False, self._backlog))

    def close(self) -> None:
        """Without listeners, a socket that is open would still be given connections by the kernel."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class _Stop:
    """The graceful stop of a process: SIGTERM or SIGINT ends its listeners, each when its requests are answered."""

    def __init__(self, loop: WorkerLoop) -> None:
        self._loop = loop
        self._listeners: dict[WorkerSignal, asyncio.Event] = {}
        self._told: set[WorkerSignal] = set()
        self.sockets: list[_Socket] = []
        self.is_stopping = False
        self._master = os.getppid()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._begin)

    def _begin(self) -> None:
        self.is_stopping = True
        end_at_the_latest(HANG_AT_STOP_SECONDS)
        for socket in self.sockets:
            socket.close()
        for each in self._listeners:
            self.end(each)
        if os.getppid() != self._master:
            report_orphan(self._master)  # last, since nobody may read the log any more

    def end(self, listener: WorkerSignal) -> None:
        """End a listener when its requests are answered, however often it is called.

        A signal of granian that is set again holds the GIL until the listener has ended, which needs the GIL for its
        requests: the process would hang.
        """
        if listener not in self._told:
            self._told.add(listener)
            listener.set()

    def of_listener(self) -> WorkerSignal:
        """The signal that ends one more listener, which reports by it that it has ended."""
        new, ended = WorkerSignal(), asyncio.Event()
        new.add_cb(lambda: self._loop.call_soon_threadsafe(self._ended, new))
        self._listeners[new] = ended
        return new

    def _ended(self, listener: WorkerSignal) -> None:
        self._told.discard(listener)
        self._listeners.pop(listener).set()

    def forget(self, listener: WorkerSignal) -> None:
        """A listener that did not start will not end."""
        del self._listeners[listener]

    async def wait(self) -> None:
        """Wait for the end of all listeners."""
        while self._listeners:
            await next(iter(self._listeners.values())).wait()


class _Listener:
    """A listener of the process, which `start` starts with the certificate that its file contains now."""

    def __init__(self, start: Callable[[], WorkerSignal], end: Callable[[WorkerSignal], None]) -> None:
        self._start = start
        self._end = end
        self._current = start()

    def renew(self) -> None:
        """Start another one, and then stop the current one.

        Raises:
            BaseException: granian cannot read the files, which have changed again meanwhile; it panics.
        """
        old, self._current = self._current, self._start()
        self._end(old)


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
    is_renewable = tls[0] and sock[0] is not None  # without a specification, the master shares its socket (not Linux)

    def listener(front: TokenFront, sock: Any, threads: int, connections: int) -> _Listener:
        places = (*runtime_threads, threads, idle, connections)
        gateway = Gateway(front, loop, threads=threads)
        if is_renewable:
            stop.sockets.append(_Socket(sock[0]))
        shared = stop.sockets[-1].shared if is_renewable else lambda: sock

        def start() -> WorkerSignal:
            one = shared()
            worker = new_worker(
                worker_id, one, ipc, *places, http_mode, http1, http2, websockets, static_path, *tls, metrics
            )
            serve = getattr(worker, WORKERS_METHODS[runtime_mode][(one[0] or one[1]).is_uds()])
            ended = stop.of_listener()
            try:
                serve(_Direct(loop, gateway), loop, ended)
            except BaseException:
                stop.forget(ended)
                raise
            return ended

        return _Listener(start, stop.end)

    fronts = application.fronts
    certificate = None
    if is_renewable:
        presented = application.parts.presented
        certificate = CertificateRenewal(Path(tls[1]), Path(tls[2]), presented, is_first=worker_id == 1)
    listeners = [listener(fronts[0], sock, threads, connections)]
    for front, one in zip(fronts[1:], further, strict=True):
        spec = ListenerSpec(*one.address, min(BACKLOG, one.connections))
        listeners.append(listener(front, (spec, None), one.threads, one.connections))
    if certificate is not None:
        _keep_renewed(certificate, listeners, loop, stop)
    loop.run_until_complete(stop.wait())
    application.finish()


def _keep_renewed(certificate: CertificateRenewal, listeners: list[_Listener], loop: WorkerLoop, stop: _Stop) -> None:
    """Start the thread that looks for a new certificate, for which it has the listeners renewed."""

    def renew() -> bool:
        done: Future[bool] = Future()

        def renew_all() -> None:
            try:
                for each in listeners if not stop.is_stopping else ():
                    each.renew()
                done.set_result(not stop.is_stopping)
            except BaseException:  # granian panics if files have changed since they were checked
                logger.exception("server.tls: the previous certificate stays in force")
                done.set_result(False)

        try:
            loop.call_soon_threadsafe(renew_all)
        except RuntimeError:  # the loop is closed, because the worker is stopping
            return False
        return done.result()

    threading.Thread(target=certificate.watch, args=(renew, threading.Event()), name="certificate", daemon=True).start()
