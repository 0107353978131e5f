"""The gateway of a worker: passes requests from granian's RSGI interface to the WSGI application.

granian's own WSGI interface merges `X-Forwarded-For` and `X_Forwarded_For` into one variable of the environ, and its
bodies block a thread without a deadline. Its RSGI interface keeps header names as sent and has awaitable bodies, but
runs everything in one event loop. So requests arrive by RSGI and run in granian's blocking threads, as with WSGI; and
while a body arrives, its request holds no thread (`process/body_reader.py`).
"""

from __future__ import annotations

import io
import logging
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from tokenserver.errors import RequestError, TokenserverError
from tokenserver.process.body_reader import BodyReader, Outcome, WorkerLoop
from tokenserver.web.bodies import BODY_SECONDS, Place
from tokenserver.web.environ import RsgiScope, decisive_environ, environ_of
from tokenserver.web.pages.guard import BODY_ERROR
from tokenserver.web.parameters import READ_BODY, BodyLimit
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
        limit = self._front.body_limit(environ)
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
