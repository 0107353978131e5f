"""The recorder: an observer that counts in one worker, in a row of shared memory; it can neither fail nor block."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from tokenserver.authn.protection.circuit_breaker import State
from tokenserver.errors import (
    AuditUnavailable,
    BackendUnavailable,
    Incomplete,
    Overloaded,
    SigningFailed,
    TokenMismatch,
)
from tokenserver.exchange.observers import UnparsedRequest
from tokenserver.exchange.outcomes import EXPLAINED, outcome_of, outcome_of_ruling
from tokenserver.exchange.rulings import MAX_RULINGS, Ruling
from tokenserver.exchange.service import TokenRequest, TokenResult
from tokenserver.metrics.definitions import ANONYMOUS, BUCKETS, METHODS, NO_SERVICE, Layout
from tokenserver.runtime.bounded_cache import BoundedCache


class StorageGauges(NamedTuple):
    """The state of the storage: seconds since it last answered (None: never), live credentials and their first end
    (seconds since the epoch) by form. Since the worker started: how many have been refused, and uses from new networks.
    """

    age: float | None = None
    live: Mapping[str, int] = {}
    ends: Mapping[str, int] = {}
    refused: int = 0
    new_networks: int = 0


DIGITS = 12
"""Digits of a policy's digest, as in the log; a float holds that many exactly."""


@dataclass(frozen=True, slots=True)
class Gauges:
    """The state of a worker at one moment.

    `policy` is the digest of the live policies. `reloads`, `reload_failures` and `rejected` (by admission control)
    count since the worker started. `parts` is what `/readyz` shows. `loads` has how many run and how many wait, by
    bulkhead. `ends` has when the signing certificate and the CA certificate expire, by key folder. `jump` is how far
    the clock was moved, in seconds. `reload_delays` has for how many seconds files have been changing or loading, by
    kind and state. `issuer_keys` has, by workload source, the seconds since the last good fetch of the issuer's keys,
    None if there was none, and whether the last fetch failed. `storage` is None where none is configured. `tls_end` is
    when the certificate that clients see expires; None without TLS.
    """

    policy: str
    reloads: int
    reload_failures: int
    rejected: int
    parts: Mapping[str, str | None]
    breakers: Mapping[str, State]
    loads: Mapping[str, tuple[int, int]]
    is_throttling_alone: bool
    ends: Mapping[str, tuple[datetime, datetime]]
    jump: float = 0.0
    reload_delays: Mapping[tuple[str, str], float] = field(default_factory=dict)
    configuration: str = ""
    issuer_keys: Mapping[str, tuple[float | None, bool]] = field(default_factory=dict)
    storage: StorageGauges | None = None
    tls_end: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Places:
    """The cells of a ruling: by method, by source, and of a push that is to be reported; and its outcome."""

    exchange: Mapping[str, int]
    source: int | None
    push: int | None
    outcome: str


_REASONS = {Overloaded: "overloaded", Incomplete: "incomplete"}
"""Why a request got a 503 although the user source did answer."""


class Meter:
    """Counts requests in one row; thread-safe. `services` maps each service name to the registry's own,
    `pushes` has those of registries that are to report pushes.

    `latest` returns the current layout, which may have more labels after a reload; by default, it stays as it is.
    """

    def __init__(
        self,
        layout: Layout,
        row: memoryview[float],
        services: Mapping[str, str],
        *,
        pushes: Collection[str] = (),
        latest: Callable[[], Layout] | None = None,
    ) -> None:
        self._latest = latest or (lambda: layout)
        self._row = row
        self.rename(services, pushes)
        self._lock = threading.Lock()
        totals = (
            layout.reloads,
            layout.reload_failures,
            layout.sent_away,
            layout.refused_credentials,
            layout.new_networks,
        )
        self._counted = {table.cell: 0 for table in totals}

    def rename(self, services: Mapping[str, str], pushes: Collection[str] = ()) -> None:
        """Other services from now on, and which of them report pushes.

        Those that the layout does not have are counted as `NO_SERVICE`.
        """
        self._layout = self._latest()
        self._places: BoundedCache[Ruling, _Places] = BoundedCache(MAX_RULINGS)
        known = {name: service if self._has(service) else NO_SERVICE for name, service in services.items()}
        only = next(iter(services.values())) if len(set(services.values())) == 1 else NO_SERVICE
        self._pushes = frozenset(pushes)
        self._services, self._unnamed = known, only if self._has(only) else NO_SERVICE

    def _has(self, service: str) -> bool:
        return (service, METHODS[0], EXPLAINED) in self._layout.exchanges

    def observe(
        self, request: TokenRequest | UnparsedRequest, outcome: TokenResult | Exception, seconds: float
    ) -> None:
        """Count one request; see `Observer.observe`. Never raises."""
        if not isinstance(outcome, TokenResult):
            service = request.service if isinstance(request, TokenRequest) else NO_SERVICE
            self._failed(request.method, service, outcome, seconds)
            return
        # The same ruling counts in the same cells, so they are looked up once.
        ruling = outcome.ruling
        if outcome.token is None:
            places = self._places_of(ruling, EXPLAINED)
        else:
            cached = self._places.get(ruling)
            places = cached or self._places_of(ruling, outcome_of_ruling(ruling))
            if cached is None and ruling.is_kept:
                self._places.put(ruling, places)
        self._count(places.exchange.get(request.method), places.source, places.outcome, seconds, places.push)

    def count_device_step(self, step: str) -> None:
        """Count a step of a login at a terminal, one of `DEVICE_STEPS`."""
        cell = self._layout.device_logins[(step,)]
        with self._lock:
            self._row[cell] += 1

    def count_shadow_peer(self, result: str, number: int) -> None:
        """Count exchanges that were compared with the answers of the shadow peer, or not: one of `PEER_RESULTS`."""
        cell = self._layout.shadow_peer[(result,)]
        with self._lock:
            self._row[cell] += number

    def count_spans(self, result: str, number: int) -> None:
        """Count spans of traces, by what became of them: one of `SPAN_RESULTS`."""
        cell = self._layout.trace_spans[(result,)]
        with self._lock:
            self._row[cell] += number

    def count_report(self, service: str, action: str) -> None:
        """Count a report of a registry, by an action of `REPORTED`."""
        self._count_one(self._layout.reports.get((service, action)))

    def count_refused_reports(self, service: str, outcome: str) -> None:
        """Count a refused notification for a path of this service; `NO_SERVICE` counts those of unknown ones."""
        name = self._services.get(service, NO_SERVICE)
        self._count_one(self._layout.refused_reports.get((name, outcome)))

    def _count_one(self, cell: int | None) -> None:
        if cell is not None:
            with self._lock:
                self._row[cell] += 1

    def _failed(self, method: str, service: str | None, error: Exception, seconds: float) -> None:
        layout, outcome = self._layout, outcome_of(error)
        registry = self._unnamed if service is None else self._services.get(service, NO_SERVICE)
        special = None
        match error:
            case BackendUnavailable():
                reason = _REASONS.get(type(error), "no_answer")
                special = layout.unavailable.get((error.backend, reason))
            case SigningFailed() | TokenMismatch():
                special = layout.signing_failures.cell
            case AuditUnavailable():
                special = layout.audit_failures.cell
        self._count(layout.exchanges.get((registry, method, outcome)), special, outcome, seconds)

    def sample(self, reading: Gauges, *, now: float, monotonic: float) -> None:
        """Write the gauges; `now` is in seconds since the epoch. Not thread-safe."""
        layout, row = self._layout, self._row
        live = float(int(reading.policy[:DIGITS], 16))
        if row[layout.policy.cell] != live or not row[layout.policy_since.cell]:
            row[layout.policy.cell], row[layout.policy_since.cell] = live, now
        storage = reading.storage or StorageGauges()
        uses = (storage.refused, storage.new_networks)
        totals = (reading.reloads, reading.reload_failures, reading.rejected, *uses)
        for (cell, counted), total in zip(list(self._counted.items()), totals, strict=True):
            row[cell] += total - counted
            self._counted[cell] = total
        row[layout.throttle_fallback.cell] = reading.is_throttling_alone
        for (part,), cell in layout.not_ready.items():
            row[cell] = reading.parts.get(part) is not None
        for at, cell in layout.reload_delay.items():
            row[cell] = reading.reload_delays.get((at[0], at[1]), 0.0)
        for (source, state), cell in layout.breakers.items():
            row[cell] = reading.breakers.get(source) == state
        for (room, state), cell in layout.load.items():
            running, waiting = reading.loads.get(room, (0, 0))
            row[cell] = waiting if state == "waiting" else running
        for (keys, certificate), cell in layout.certificates.items():
            signing, ca = reading.ends.get(keys, (None, None))
            end = ca if certificate == "ca" else signing
            row[cell] = 0.0 if end is None else end.timestamp()
        row[layout.tls_certificate.cell] = 0.0 if reading.tls_end is None else reading.tls_end.timestamp()
        for (source,), cell in layout.issuer_keys.items():
            age, is_failing = reading.issuer_keys.get(source, (None, False))
            row[cell] = 0.0 if age is None else monotonic - age
            row[layout.issuer_failures[(source,)]] = is_failing
        row[layout.storage.cell] = 0.0 if storage.age is None else monotonic - storage.age
        for (form,), cell in layout.stored.items():
            row[cell] = storage.live.get(form, 0)
        for (form,), cell in layout.stored_ends.items():
            row[cell] = storage.ends.get(form, 0)
        row[layout.clock_jump.cell] = reading.jump
        for (state,), cell in layout.pending.items():
            row[cell] = reading.configuration == state
        row[layout.heartbeat.cell] = monotonic

    def _places_of(self, ruling: Ruling, outcome: str) -> _Places:
        source = ANONYMOUS if ruling.identity.is_anonymous else ruling.identity.source
        service = ruling.registry.service
        exchange = self._layout.of_methods(service if self._has(service) else NO_SERVICE, outcome)
        push = None
        if service in self._pushes and outcome != EXPLAINED and any("push" in one.actions for one in ruling.access):
            push = self._layout.push_tokens.get((service,))
        return _Places(exchange, self._layout.authenticated.get((source,)), push, outcome)

    def _count(
        self, exchange: int | None, special: int | None, outcome: str, seconds: float, push: int | None = None
    ) -> None:
        latency = self._layout.latency[outcome]
        bucket = latency.first_bucket + bisect_left(BUCKETS, seconds)
        row = self._row
        with self._lock:
            row[bucket] += 1
            row[latency.total] += seconds
            if exchange is not None:
                row[exchange] += 1
            if special is not None:
                row[special] += 1
            if push is not None:
                row[push] += 1
