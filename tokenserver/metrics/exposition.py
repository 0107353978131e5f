"""Exposition: the counts of all workers as one page for Prometheus. The only importer of its client library."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from tokenserver import __version__
from tokenserver.metrics.definitions import BUCKETS, Layout, Table
from tokenserver.metrics.recorder import DIGITS
from tokenserver.metrics.shared_rows import Board

CONTENT_TYPE = CONTENT_TYPE_LATEST

PREFIX = "tokenserver_"

SILENT_SECONDS = 10.0
"""A worker that has written no sample for this long is gone, or hangs."""

Row = Sequence[float]


class Page:
    """One scrape. `now` gives seconds since the epoch, `monotonic` seconds of the clock that workers use."""

    def __init__(self, board: Board, *, now: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Measured(board, now, monotonic))

    def text(self) -> bytes:
        """The current metrics, in `CONTENT_TYPE`."""
        return generate_latest(self._registry)


class _Measured(Collector):
    def __init__(self, board: Board, now: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._board = board
        self._now = now
        self._monotonic = monotonic

    def collect(self) -> Iterator[Metric]:
        """Counters are summed over all workers that ever ran, gauges over those that are alive."""
        layout, rows = self._board.layout, self._board.rows()
        oldest = self._monotonic() - SILENT_SECONDS
        alive = [row for row in rows if row[layout.heartbeat.cell] and row[layout.heartbeat.cell] >= oldest]
        yield _gauge("build_info", "The version of tokenserver.", ("version",), {(__version__,): 1})
        yield _gauge("workers", "Worker processes that are alive.", (), {(): len(alive)})
        yield from (_counter(table, rows) for table in layout.counters)
        yield _latency(layout, rows)
        summed = (
            layout.not_ready,
            layout.breakers,
            layout.load,
            layout.throttle_fallback,
            layout.issuer_failures,
        )
        yield from (_summed(table, alive) for table in summed)
        yield _highest(layout.reload_delay, alive)
        yield _highest(layout.pending, alive)
        jump = layout.clock_jump
        furthest = max((row[jump.cell] for row in alive), key=abs, default=0.0)
        yield _gauge(jump.name, jump.text, (), {(): furthest})
        yield from _policies(layout, alive, self._now())
        yield _until(layout.certificates, alive, self._now())
        yield _until(layout.tls_certificate, alive, self._now())
        yield _ages(layout.issuer_keys, alive, self._monotonic())
        yield _ages(layout.storage, alive, self._monotonic())
        yield _highest(layout.stored, alive)
        yield _until(layout.stored_ends, alive, self._now())


def _counter(table: Table, rows: Sequence[Row]) -> Metric:
    family = CounterMetricFamily(PREFIX + table.name, table.text, labels=table.labels)
    for values, cell in table.items():
        family.add_metric(values, sum(row[cell] for row in rows))
    return family


def _latency(layout: Layout, rows: Sequence[Row]) -> Metric:
    family = HistogramMetricFamily(PREFIX + layout.buckets.name, layout.buckets.text, labels=("outcome",))
    bounds = [*map(str, BUCKETS), "+Inf"]
    for outcome, (first, total) in layout.latency.items():
        counts = [sum(row[first + index] for row in rows) for index in range(len(bounds))]
        buckets = list(zip(bounds, accumulate(counts), strict=True))
        family.add_metric((outcome,), buckets, sum(row[total] for row in rows))
    return family


def _summed(table: Table, rows: Sequence[Row]) -> Metric:
    values = {labels: sum(row[cell] for row in rows) for labels, cell in table.items()}
    return _gauge(table.name, table.text, table.labels, values)


def _highest(table: Table, rows: Sequence[Row]) -> Metric:
    values = {labels: max((row[cell] for row in rows), default=0.0) for labels, cell in table.items()}
    return _gauge(table.name, table.text, table.labels, values)


def _policies(layout: Layout, rows: Sequence[Row], now: float) -> Iterator[Metric]:
    """At most one digest per worker; more than one only until all have reloaded a change."""
    digests = Counter(f"{int(row[layout.policy.cell]):0{DIGITS}x}" for row in rows)
    values: dict[tuple[str, ...], float] = {(digest,): count for digest, count in sorted(digests.items())}
    yield _gauge(layout.policy.name, layout.policy.text, ("digest",), values)
    since = layout.policy_since
    ages: dict[tuple[str, ...], float] = {(): max(0.0, now - min(row[since.cell] for row in rows))} if rows else {}
    yield _gauge(since.name, since.text, (), ages)


def _until(table: Table, rows: Sequence[Row], now: float) -> Metric:
    """The time until what is live expires; if workers differ for a moment, until the first of their ends."""
    ends = {labels: min((row[cell] for row in rows if row[cell]), default=math.nan) for labels, cell in table.items()}
    known = {labels: end - now for labels, end in ends.items() if not math.isnan(end)}
    return _gauge(table.name, table.text, table.labels, known)


def _ages(table: Table, rows: Sequence[Row], monotonic: float) -> Metric:
    """The age of the oldest; a worker that has fetched nothing yet has none."""
    since = {labels: [row[cell] for row in rows if row[cell]] for labels, cell in table.items()}
    known = {labels: max(0.0, monotonic - min(found)) for labels, found in since.items() if found}
    return _gauge(table.name, table.text, table.labels, known)


def _gauge(name: str, text: str, labels: Sequence[str], values: dict[tuple[str, ...], float]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, text, labels=labels)
    for one, value in values.items():
        family.add_metric(one, value)
    return family
