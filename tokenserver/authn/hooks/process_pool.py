"""The processes of a program that is a hook: started when they are needed, reused, and replaced when they fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil

from tokenserver.authn.hooks.child import END_SECONDS, ProgramFailed
from tokenserver.authn.hooks.line_process import LineProcess
from tokenserver.errors import BackendUnavailable, Overloaded

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds until a process that failed is replaced; doubled with each failure in a row."""


SHORT_END_SECONDS = 0.1
"""How long a process may take to end where a login waits for it."""


class ProcessPool:
    """At most `size` processes, each started by `start`. Thread-safe; to be made after a worker is forked, or before
    and not used.

    `monotonic` gives seconds.
    """

    def __init__(
        self,
        name: str,
        start: Callable[[], LineProcess],
        *,
        size: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._start = start
        self._size = size
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._idle: list[LineProcess] = []
        self._count = 0
        self._failures = 0
        self._paused_until = float("-inf")
        self._summary = ""
        self._is_retired = False

    @contextmanager
    def process(self, ends: float) -> Iterator[LineProcess]:
        """A process that nobody else asks meanwhile. If the block raises `ProgramFailed`, it is killed.

        Raises:
            Overloaded: all are busy until `ends`.
            BackendUnavailable: it failed, or one has just failed and is not replaced yet.
        """
        process = self._taken(ends)
        try:
            yield process
        except ProgramFailed as error:
            process.child.kill()
            self._failed(error)
            raise error.of_source(self._name) from None
        except BaseException:
            process.child.kill()
            self._gone()
            raise
        self._give_back(process)

    def retire(self) -> None:
        """End all processes, those that are busy after their answers. Requests that come later each have their own."""
        with self._changed:
            self._is_retired = True
            idle, self._idle = self._idle, []
            self._count -= len(idle)
        for process in idle:
            process.child.end_input()  # of all first, so that they end concurrently
        ends = self._monotonic() + END_SECONDS
        for process in idle:
            process.child.end(max(0.0, ends - self._monotonic()))

    def _taken(self, ends: float) -> LineProcess:
        while True:
            process = self._free_or_counted(ends)
            if process is None:
                return self._started()
            if process.is_usable:
                return process
            process.child.kill()
            self._gone()

    def _free_or_counted(self, ends: float) -> LineProcess | None:
        """An idle process; None if one may be started, which is counted already."""
        with self._changed:
            while True:
                if self._idle:
                    return self._idle.pop()
                now = self._monotonic()
                pause = self._paused_until - now
                if self._count < self._size and pause <= 0:
                    self._count += 1
                    return None
                if self._count == 0:
                    reason = f"{self._summary}; it is started again in {pause:.1f} s"
                    raise BackendUnavailable(self._name, reason, max(1, ceil(pause)), summary=self._summary)
                left = ends - now
                if left <= 0:
                    raise Overloaded(self._name, "all processes of its program are busy")
                self._changed.wait(left if self._count >= self._size else min(left, pause))

    def _started(self) -> LineProcess:
        try:
            return self._start()
        except ProgramFailed as error:
            self._failed(error)
            raise error.of_source(self._name) from None
        except BaseException:
            self._gone()
            raise

    def _give_back(self, process: LineProcess) -> None:
        with self._changed:
            self._failures = 0
            if not self._is_retired:
                self._idle.append(process)
                self._changed.notify()
                return
        process.child.end(SHORT_END_SECONDS)
        self._gone()

    def _failed(self, error: ProgramFailed) -> None:
        with self._changed:
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**self._failures)
            self._failures = min(self._failures + 1, 32)
            self._paused_until = self._monotonic() + pause
            self._summary = error.summary
        self._gone()

    def _gone(self) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify()
