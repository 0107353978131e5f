"""The export of traces: batches, a bounded queue, an end within its time, and a log that does not repeat itself."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence

import pytest

from tokenserver.runtime.tracing.exporter import BATCH, LOG_SECONDS, MAX_QUEUED, TraceExporter
from tokenserver.runtime.tracing.results import EXPORTED, NOT_TAKEN, QUEUE_FULL
from tokenserver.runtime.tracing.spans import FinishedTrace, SpanKind, TraceSpan

SPAN = TraceSpan("b" * 16, "", "GET", SpanKind.SERVER, 1, 2, {})


def trace_of(spans: int) -> FinishedTrace:
    return FinishedTrace("a" * 32, "", (SPAN,) * spans)


class Collector:
    """Takes batches, or not."""

    def __init__(self) -> None:
        self.problem: str | None = None
        self.is_open = threading.Event()
        self.is_open.set()
        self.batches: list[int] = []
        self.counts: Counter[str] = Counter()

    def send(self, batch: Sequence[FinishedTrace]) -> str | None:
        """One batch."""
        self.is_open.wait(30)
        if self.problem == "raise":
            raise RuntimeError("secret")
        self.batches.append(sum(len(trace.spans) for trace in batch))
        return self.problem

    def count(self, result: str, number: int) -> None:
        """What became of spans."""
        self.counts[result] += number


def test_batches() -> None:
    """Traces are sent together, and at the end all of them."""
    collector = Collector()
    exporter = TraceExporter(collector.send, count=collector.count)
    for _ in range(300):
        exporter.put(trace_of(5))
    exporter.start()
    exporter.finish(10)
    assert sum(collector.batches) == collector.counts[EXPORTED] == 1500
    assert max(collector.batches) <= BATCH
    assert len(collector.batches) == 3


def test_a_trace_larger_than_a_batch() -> None:
    """Is sent alone rather than never."""
    collector = Collector()
    exporter = TraceExporter(collector.send, count=collector.count)
    exporter.put(trace_of(BATCH + 1))
    exporter.put(trace_of(1))
    exporter.start()
    exporter.finish(10)
    assert collector.batches == [BATCH + 1, 1]


def test_a_collector_that_hangs() -> None:
    """Costs no request any time: the queue fills up, the rest is dropped and counted, and the end is bounded."""
    collector = Collector()
    collector.is_open.clear()
    exporter = TraceExporter(collector.send, count=collector.count)
    exporter.start()
    start = time.monotonic()
    for _ in range(20_000):
        exporter.put(trace_of(1))
    assert time.monotonic() - start < 5
    dropped = collector.counts[QUEUE_FULL]
    assert 20_000 - MAX_QUEUED - BATCH <= dropped <= 20_000 - MAX_QUEUED
    start = time.monotonic()
    exporter.finish(0.2)
    assert time.monotonic() - start < 5
    collector.is_open.set()
    exporter.finish(10)
    assert collector.counts[EXPORTED] + dropped == 20_000


@pytest.mark.parametrize("problem", ["it answers with status 503", "raise"])
def test_a_collector_that_refuses(problem: str, caplog: pytest.LogCaptureFixture) -> None:
    """One line a minute and one when it works again; a bug is named by its type alone."""
    collector, now = Collector(), [0.0]
    exporter = TraceExporter(collector.send, count=collector.count, monotonic=lambda: now[0])
    caplog.set_level(logging.INFO)
    collector.problem = problem
    for moment in (0.0, 1.0, LOG_SECONDS - 1, LOG_SECONDS, LOG_SECONDS + 1):
        now[0] = moment
        exporter._export([trace_of(2)])
    collector.problem = None
    exporter._export([trace_of(2)])
    exporter._export([trace_of(2)])
    shown = "unexpected RuntimeError" if problem == "raise" else problem
    refused = f"tracing: the collector takes no traces, which are dropped: {shown}"
    assert [record.message for record in caplog.records if record.name == "tokenserver.tracing"] == [
        refused,
        refused,
        "tracing: the collector takes traces again",
    ]
    assert collector.counts == {NOT_TAKEN: 10, EXPORTED: 4}
