"""Export of traces in a thread of its own: a bounded queue, batches, and a count of what was dropped.

A request only appends to the queue. While the collector is slow or down, the queue fills up and further traces are
dropped; no request waits for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from tokenserver.runtime.tracing.results import EXPORTED, NOT_TAKEN, QUEUE_FULL
from tokenserver.runtime.tracing.spans import FinishedTrace

MAX_QUEUED = 4096
"""Spans that wait for their export; about 2 MB."""

BATCH = 512
"""Spans of one export, and the number that are exported without waiting for more."""

EXPORT_SECONDS = 2.0
"""How long a trace waits for others before it is exported."""

LOG_SECONDS = 60.0
"""How often a collector that takes nothing is logged."""

logger = logging.getLogger("tokenserver.tracing")


class TraceExporter:
    """Takes finished traces and sends them in batches.

    `send` sends one batch and returns why it was not taken, None if it was; it has a deadline of its own. `count` is
    told how many spans had which result. Make one in each worker after the fork, since it has a thread.
    """

    def __init__(
        self,
        send: Callable[[Sequence[FinishedTrace]], str | None],
        *,
        count: Callable[[str, int], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send = send
        self._count = count
        self._monotonic = monotonic
        self._queue: deque[FinishedTrace] = deque()
        self._queued = 0
        self._changed = threading.Condition()
        self._is_ending = False
        self._logged: float | None = None
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)

    def start(self) -> None:
        """Start to export."""
        self._thread.start()

    def put(self, trace: FinishedTrace) -> None:
        """Export this trace soon, or drop it if too much waits. Never blocks and never raises."""
        size = len(trace.spans)
        with self._changed:
            is_full = self._queued + size > MAX_QUEUED
            if not is_full:
                self._queue.append(trace)
                self._queued += size
                if self._queued - size < BATCH <= self._queued:
                    self._changed.notify()
        if is_full:
            self._count(QUEUE_FULL, size)

    def finish(self, seconds: float) -> None:
        """Export what waits, and end within so many seconds; what is left then is lost."""
        with self._changed:
            self._is_ending = True
            self._changed.notify()
        self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_ending or self._queued >= BATCH, EXPORT_SECONDS)
                is_last = self._is_ending
            while batch := self._batch():
                self._export(batch)
            if is_last:
                return

    def _batch(self) -> list[FinishedTrace]:
        batch: list[FinishedTrace] = []
        size = 0
        with self._changed:
            while self._queue and (not batch or size + len(self._queue[0].spans) <= BATCH):
                trace = self._queue.popleft()
                batch.append(trace)
                size += len(trace.spans)
            self._queued -= size
        return batch

    def _export(self, batch: Sequence[FinishedTrace]) -> None:
        try:
            problem = self._send(batch)
        except Exception as error:  # a thread that ends would export nothing more
            problem = f"unexpected {type(error).__name__}"
        size = sum(len(trace.spans) for trace in batch)
        self._count(EXPORTED if problem is None else NOT_TAKEN, size)
        self._log(problem)

    def _log(self, problem: str | None) -> None:
        now = self._monotonic()
        if problem is None:
            if self._logged is not None:
                logger.info("tracing: the collector takes traces again")
            self._logged = None
        elif self._logged is None or now - self._logged >= LOG_SECONDS:
            logger.warning("tracing: the collector takes no traces, which are dropped: %s", problem)
            self._logged = now
