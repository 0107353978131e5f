"""DNS resolution with a deadline and a cache, so that a slow DNS server delays a caller only briefly."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

FRESH_SECONDS = 60.0
PATIENCE_SECONDS = 2.0

Found = Sequence[tuple[Any, ...]]


class Resolver:
    """Resolves host names and caches the addresses for a minute; beyond that while the name cannot be resolved.

    The system's resolver cannot be interrupted, so it runs in a thread, at most one for each name.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int], tuple[float, Found]] = {}
        self._running: dict[tuple[str, int], Future[Found]] = {}

    def __call__(self, host: str, port: int, seconds: float) -> Found:
        """The result of `socket.getaddrinfo` for a TCP connection.

        Raises:
            TimeoutError: it took longer than `seconds` or `PATIENCE_SECONDS`, and nothing is cached.
            OSError: the name cannot be resolved, and nothing is cached.
        """
        place = (host, port)
        with self._lock:
            moment, known = self._known.get(place, (0.0, ()))
            if known and time.monotonic() - moment < FRESH_SECONDS:
                return known
            running = self._running.get(place)
            if running is None:
                running = self._running[place] = Future()
                threading.Thread(target=self._run, args=(place, running), name="resolve", daemon=True).start()
        try:
            return running.result(min(seconds, PATIENCE_SECONDS))
        except FutureTimeout:
            if known:
                return known
            raise TimeoutError("the name was not resolved in time") from None
        except OSError:
            if known:
                return known
            raise

    def _run(self, place: tuple[str, int], running: Future[Found]) -> None:
        found: Found = ()
        failure: OSError | None = None
        try:
            found = socket.getaddrinfo(*place, type=socket.SOCK_STREAM)
        except OSError as error:
            failure = error
        except UnicodeError:
            failure = OSError(0, "not a host name")
        with self._lock:
            del self._running[place]
            if failure is None:
                self._known[place] = (time.monotonic(), found)
        if failure is None:
            running.set_result(found)
        else:
            running.set_exception(failure)
