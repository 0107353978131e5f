"""The gateway of a worker: passes requests from granian's RSGI interface to the WSGI application.

granian's own WSGI interface merges `X-Forwarded-For` and `X_Forwarded_For` into one variable of the environ, and its
bodies block a thread without a deadline. Its RSGI interface keeps header names as sent and has awaitable bodies, but
runs everything in one event loop. So requests arrive by RSGI and run in granian's blocking threads, as with WSGI; and
while a body arrives, its request holds no thread (`process/body_reader.py`).
"""

from __future__ import annotations

import asyncio
import io
import logging
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from granian._granian import CallbackScheduler, RSGIWorker
from granian._signals import set_loop_signals
from granian.server.common import WORKERS_METHODS
from granian.server.mp import WorkerProcess

from tokenserver.errors import RequestError, TokenserverError
from tokenserver.process.body_reader import BodyReader, Outcome, WorkerLoop
from tokenserver.web.bodies import BODY_SECONDS, Place
from tokenserver.web.environ import RsgiScope, decisive_environ, environ_of
from tokenserver.web.pages.guard import BODY_ERROR
from tokenserver.web.parameters import READ_BODY, BodyLimit, form_limit
from tokenserver.web.routes import TokenFront, wants_body
from tokenserver.web.token_endpoint import TokenAnswer

logger = logging.getLogger("tokenserver")

BASE = {
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "granian",
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,
    "wsgi.multiprocess": True,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
}


_NO_BODY = io.BytesIO()


class Gateway:
    """Answers granian's requests with `front`. granian calls the instance for each request, in one of its threads.

    `loop` and `threads` are for the bodies, see `BodyReader`.
    """

    def __init__(self, front: TokenFront, loop: WorkerLoop, *, threads: int) -> None:
        self._front = front
        self._bodies = BodyReader(loop, threads=threads)

    def __call__(self, watcher: Any) -> None:
        """Answer one request. `watcher` has RSGI's `scope` and `proto`."""
        scope: RsgiScope = watcher.scope
        try:
            path = scope.path
            if not self._front.owns(path):
                self._page(environ_of(scope, BASE), watcher.proto)
                return
            environ = decisive_environ(scope, scope.method, path)
            if wants_body(environ) and _has_body(environ):
                self._read(environ, watcher.proto)
            else:
                self._token(environ, watcher.proto)
        except Exception as error:  # granian ignores exceptions here, and the client would wait forever
            _fail(watcher.proto, error)

    def _token(self, environ: dict[str, Any], proto: Any) -> None:
        environ.setdefault("wsgi.input", _NO_BODY)
        answer = self._front.token(environ)
        proto.response_bytes(answer.status, answer.headers, answer.body)

    def _page(self, environ: dict[str, Any], proto: Any) -> None:
        environ["wsgi.input"] = io.BytesIO()
        deadline = time.monotonic() + BODY_SECONDS
        limit = self._front.page_body(environ) if _has_body(environ) else None
        if limit is None:
            self._other(environ, proto)
            return
        try:
            place = self._front.admit_page_body(environ, limit)
        except TokenserverError as error:
            self._other(environ | {BODY_ERROR: error}, proto)
            return
        self._start(environ, proto, limit, place, deadline, partial(self._after_page_body, environ, proto))

    def _after_page_body(self, environ: dict[str, Any], proto: Any, outcome: Outcome) -> None:
        try:
            if isinstance(outcome, RequestError):
                environ[BODY_ERROR] = outcome
            else:
                environ |= {"wsgi.input": io.BytesIO(outcome), "CONTENT_LENGTH": str(len(outcome))}
                environ.pop("HTTP_TRANSFER_ENCODING", None)
            self._other(environ, proto)
        except Exception as error:
            _fail(proto, error)

    def _other(self, environ: dict[str, Any], proto: Any) -> None:
        found: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _error: object = None) -> Callable[..., None]:
            found[:] = int(status[:3]), headers
            return _no_write

        parts = self._front(environ, start_response)
        try:
            body = b"".join(parts)
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()
        proto.response_bytes(found[0], found[1], body)

    def _read(self, environ: dict[str, Any], proto: Any) -> None:
        deadline = time.monotonic() + BODY_SECONDS
        admitted = self._front.admit_body(environ)
        if isinstance(admitted, TokenAnswer):
            _send(proto, admitted)
            return
        limit = form_limit(self._front.endpoint.limits)
        self._start(environ, proto, limit, admitted, deadline, partial(self._after_body, environ, proto))

    def _start(  # noqa: PLR0917 - all that is known about the body
        self,
        environ: dict[str, Any],
        proto: Any,
        limit: BodyLimit,
        place: Place,
        deadline: float,
        then: Callable[[Outcome], None],
    ) -> None:
        try:
            if "CONTENT_LENGTH" in environ:
                self._bodies.whole(proto(), place, deadline, then)
            else:
                self._bodies.in_chunks(proto, limit, place, deadline, then)
        except Exception:  # the loop is closed, because the worker is stopping
            place.leave()
            raise

    def _after_body(self, environ: dict[str, Any], proto: Any, outcome: Outcome) -> None:
        try:
            if isinstance(outcome, RequestError):
                _send(proto, self._front.give_up(environ, outcome))
                return
            environ[READ_BODY] = outcome
            self._token(environ, proto)
        except Exception as error:
            _fail(proto, error)


def _has_body(environ: dict[str, Any]) -> bool:
    return "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ


def _send(proto: Any, answer: TokenAnswer) -> None:
    proto.response_bytes(answer.status, answer.headers, answer.body)


def _fail(proto: Any, error: Exception) -> None:
    # The text of an error may hold anything, so only its type is logged.
    logger.error("unexpected %s while answering a request", type(error).__name__)
    proto.response_bytes(500, [("Content-Type", "text/plain"), ("Connection", "close")], b"internal error\n")


def _no_write(_data: bytes) -> None:
    raise NotImplementedError("WSGI's write is not offered")


class _Direct(CallbackScheduler):
    """Calls `handle` where granian would schedule a coroutine: in its blocking thread, with the request."""

    def __new__(cls, loop: asyncio.AbstractEventLoop, handle: Callable[[Any], None]) -> _Direct:
        new: Callable[..., _Direct] = super().__new__  # granian's stubs know no arguments of it
        return new(cls, loop, handle, None, None, None)

    def __init__(self, _loop: asyncio.AbstractEventLoop, handle: Callable[[Any], None]) -> None:
        super().__init__()
        self._schedule_fn = handle


@WorkerProcess.wrap_target  # type: ignore[untyped-decorator]
def run_worker(
    worker_id: int,
    application: Any,
    sock: Any,
    ipc: Any,
    given_loop: asyncio.AbstractEventLoop,
    *settings: Any,
) -> None:
    """The main function of a worker process, in place of granian's for WSGI (`MPServer._spawn_wsgi_worker`).

    `application` comes from `web.application.load_application`; `settings` are in the order of
    `MPServer._spawn_worker`.
    """
    given_loop.close()
    loop = WorkerLoop()
    asyncio.set_event_loop(loop)
    front = application.flask.wsgi_app
    assert isinstance(front, TokenFront)  # noqa: S101 - see web/routes.py
    runtime_mode, *threads_and_places, _task_impl = settings[:7]
    http_mode, http1, http2, websockets, static_path, _log_format, tls, _scope_options, metrics = settings[7:]
    blocking_threads = threads_and_places[2]
    stopped = asyncio.Event()

    async def until_stopped() -> None:
        await stopped.wait()

    signals = set_loop_signals(loop)  # type: ignore[no-untyped-call]
    signals.add_cb(lambda: loop.call_soon_threadsafe(stopped.set))
    new_worker: Any = RSGIWorker
    worker = new_worker(
        worker_id, sock, ipc, *threads_and_places, http_mode, http1, http2, websockets, static_path, *tls, metrics
    )
    serve = getattr(worker, WORKERS_METHODS[runtime_mode][(sock[0] or sock[1]).is_uds()])
    serve(_Direct(loop, Gateway(front, loop, threads=blocking_threads)), loop, signals)
    loop.run_until_complete(until_stopped())
    application.finish()
