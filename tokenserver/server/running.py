"""The running server without its web front: its components, background threads, health and gauges."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tokenserver.authn.protection.guard import Protection
from tokenserver.authn.workload.issuer_keys import IssuerKeys, watch_issuers
from tokenserver.config.settings import Settings
from tokenserver.documents.tls_files import PresentedCertificate
from tokenserver.errors import Fault
from tokenserver.exchange.admission import AdmissionControl
from tokenserver.exchange.audit import AuditTrail
from tokenserver.exchange.audit_chain.sealer import Sealer
from tokenserver.exchange.observers import ObservedExchange
from tokenserver.exchange.peer.observer import ShadowPeer
from tokenserver.exchange.peer.shared_keys import SharedKeys
from tokenserver.exchange.stored.device_logins import DeviceLogins
from tokenserver.keys.expiry import Expiry, expiry
from tokenserver.keys.rotator import Rotator, watch_keys
from tokenserver.metrics.recorder import Gauges, Meter
from tokenserver.runtime.clock_jumps import ClockJumpDetector
from tokenserver.server.changes.policy_snapshots import watch_policies
from tokenserver.server.changes.reporter import ChangeReporter
from tokenserver.server.notifications.secret_files import Reporter
from tokenserver.server.notifications.written_reports import WrittenReports
from tokenserver.server.registry_keys import ring_of
from tokenserver.server.reload.configuration import IN_FORCE, ConfigurationNotice
from tokenserver.server.reload.live import LiveSnapshot
from tokenserver.server.reload.watch import UNREST_SECONDS, describe
from tokenserver.server.sources.workload_sources import issuer_keys
from tokenserver.server.stored.parts import StoredParts

if TYPE_CHECKING:
    from tokenserver.server.stored.live import LiveStorage

LOOK_SECONDS = 1.0
"""How often a worker checks whether a failed audit trail accepts events again."""

SAMPLE_SECONDS = 1.0
"""How often a worker samples its gauges, if metrics are on."""

MAX_PLACES = 5
"""How many faulty places `/readyz` lists."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A complete server without its web front. Every token request passes `admission` first."""

    settings: Settings
    live: LiveSnapshot
    exchange: ObservedExchange
    trail: AuditTrail
    changes: ChangeReporter
    protection: Protection
    clock: ClockJumpDetector
    admission: AdmissionControl
    rotators: tuple[Rotator, ...] = ()
    meter: Meter | None = None
    storage: LiveStorage | None = None
    stored: StoredParts | None = None
    is_stopping: Callable[[], bool] = lambda: False
    notice: Callable[[], ConfigurationNotice] = lambda: IN_FORCE
    peer_keys: SharedKeys | None = None
    reporters: Mapping[str, Reporter] = field(default_factory=dict)
    written_reports: WrittenReports = field(default_factory=lambda: WrittenReports(shared=False))
    presented: PresentedCertificate = field(default_factory=PresentedCertificate)
    sealer: Sealer | None = None

    @property
    def device_logins(self) -> DeviceLogins | None:
        """The logins on devices; None where there are no refresh tokens."""
        if self.stored is None:
            return None
        # The end of a refresh token would be wrong after a jump of the clock.
        return self.stored.device_logins(
            self.settings,
            snapshot=self.live.snapshot,
            now=time.time,
            is_blocked=lambda: self.clock.jump() is not None,
            count=(lambda _: None) if self.meter is None else self.meter.count_device_step,
        )

    @property
    def shadow_peer(self) -> ShadowPeer | None:
        """The old token server that is asked the same, if there is one."""
        return next((one for one in self.exchange.observers if isinstance(one, ShadowPeer)), None)

    def announce(self) -> None:
        """Write what is in force to the audit trail, unless another worker has."""
        self.changes.started_with(self.settings)
        self.live.announce()

    def watch(self) -> threading.Event:
        """Start the background threads: reload, storage, key rotation, audit trail, metrics. The event stops them."""
        stop = threading.Event()
        self.watch_files(stop)
        self.tend(stop)
        return stop

    def watch_files(self, stop: threading.Event) -> list[threading.Thread]:
        """Start the reload of files and the follower of the storage, which go on when the settings change.

        The threads of the storage, which have something to write when they are stopped.
        """
        threads = [] if self.storage is None else self.storage.start(stop)
        threading.Thread(target=self.live.watch, args=(stop,), name="watch-files", daemon=True).start()
        if self.meter is not None:
            self._sample(self.meter)  # so that the first scrape is complete
        return threads

    def tend(self, stop: threading.Event) -> list[threading.Thread]:
        """Start the background threads that depend on the settings: all but the reload of files."""
        threads = [
            threading.Thread(target=watch_keys, args=(self.rotators, stop), name="rotate-keys", daemon=True),
            threading.Thread(target=watch_issuers, args=(self._issuers, stop), name="issuers", daemon=True),
            threading.Thread(target=self._look, args=(stop,), name="audit-trail", daemon=True),
        ]
        if self.meter is not None:
            threads.append(threading.Thread(target=self._samples, args=(self.meter, stop), name="metrics", daemon=True))
        kept_in = self.settings.audit.policy_snapshots
        if kept_in is not None:
            arguments = (kept_in, lambda: self.live.snapshot().policies, stop)
            threads.append(
                threading.Thread(target=watch_policies, args=arguments, name="policy-snapshots", daemon=True)
            )
        for thread in threads:
            thread.start()
        if self.shadow_peer is not None:
            self.shadow_peer.start(stop)  # nothing has to wait for its threads: they change no file
        return threads

    def reading(self) -> Gauges:
        """The gauges of this process as they are now, for metrics."""
        snapshot = self.live.snapshot()
        rings = ((key_set, ring_of(snapshot, key_set)) for key_set in self.settings.key_sets())
        return Gauges(
            policy=snapshot.policies.digest,
            reloads=self.live.reloads,
            reload_failures=self.live.reload_failures,
            reload_delays={at: delay.seconds for at, delay in self.live.delays.items()},
            rejected=self.admission.rejected,
            parts=self.readiness(),
            breakers=self.protection.breakers,
            loads={"requests": self.admission.load, **self.protection.loads},
            is_throttling_alone=self.protection.note is not None,
            jump=self.clock.jump() or 0.0,
            configuration=self.notice().state,
            ends={str(key_set.folder): (ring.active.not_after, ring.ca_not_after) for key_set, ring in rings},
            issuer_keys={one.name: (one.age, one.is_failing) for one in self._issuers()},
            storage=None if self.storage is None else self.storage.gauges,
            tls_end=self.presented.end,
        )

    def _look(self, stop: threading.Event) -> None:
        while True:
            if self.sealer is not None:
                self.sealer.check()
            if stop.wait(LOOK_SECONDS):
                return
            self.trail.check()
            self.changes.retry()
            self.changes.noticed(self.notice(), self.settings)

    def _issuers(self) -> Iterator[IssuerKeys]:
        snapshot = self.live.snapshot()
        return issuer_keys((*snapshot.workload_sources, *snapshot.oidc_sources))

    def _samples(self, meter: Meter, stop: threading.Event) -> None:
        while not stop.wait(SAMPLE_SECONDS):
            self._sample(meter)

    def _sample(self, meter: Meter) -> None:
        meter.sample(self.reading(), now=time.time(), monotonic=time.monotonic())

    def expiry(self, now: datetime) -> Expiry:
        """The time until the first of all live certificates expires, as of `now`."""
        found = [expiry(ring, now) for ring in self.live.snapshot().rings]
        return Expiry(
            active=min(one.active for one in found),
            ca=min(one.ca for one in found),
            begins=max(one.begins for one in found),
        )

    def readiness(self) -> Mapping[str, str | None]:
        """The problems of keys, policies, each user source, files and the audit trail; None for a healthy one."""
        parts: dict[str, str | None] = {"keys": self.expiry(datetime.now(UTC)).problem, "policies": None}
        parts |= {source.name: self.protection.problem(source.name) for source in self.settings.user_sources}
        parts["files"] = self._refused() if self.live.fault is not None else None
        parts["audit"] = self.trail.problem
        if self.is_stopping():
            parts["server"] = "is stopping"
        return parts

    def notes(self) -> Mapping[str, str]:
        """Components that do not work as configured but have a fallback, so that the server stays ready."""
        notes = {"throttle": self.protection.note, "clock": self.clock.note} | self._slow_reloads()
        notes["configuration"] = self.notice().text or None
        notes["storage"] = None if self.storage is None else self.storage.note
        of_policies = [note for note in (self._failing_tests(), notes.get("policies")) if note is not None]
        notes["policies"] = "; ".join(of_policies) or None
        notes |= {keys.name: keys.note for keys in self._issuers()}
        return {name: note for name, note in notes.items() if note is not None}

    def _slow_reloads(self) -> dict[str, str | None]:
        """By kind, the parts that have been changing or loading for more than five seconds; loading comes first."""
        above = self.settings.policies.parent
        return {
            kind: describe(delay, [_below(above, file) for file in delay.files])
            for (kind, _), delay in sorted(self.live.delays.items())
            if delay.seconds >= UNREST_SECONDS
        }

    def _refused(self) -> str:
        """The places of faults in the current files; the faults are only in the log, since `/readyz` is public."""
        listed = self._places(self.live.faults)
        return f"the current files were rejected ({listed or 'an unexpected error'}); see the log"

    def _failing_tests(self) -> str | None:
        """The places of failing tests in delegated files, or None; the log has the details."""
        notes = self.live.snapshot().policies.notes
        if not notes:
            return None
        return f"tests of delegated files fail ({self._places(notes)}); see the log, or run: policy test"

    def _places(self, faults: Iterable[Fault]) -> str:
        """The first few places of the faults, relative to the parent of the policy folder."""
        above = self.settings.policies.parent
        places = dict.fromkeys(
            f"{_below(above, fault.file)}:{fault.line}" if fault.line else _below(above, fault.file) for fault in faults
        )
        return ", ".join([*places][:MAX_PLACES]) + (", …" if len(places) > MAX_PLACES else "")


def _below(folder: Path, file: str) -> str:
    """The path of a file relative to `folder`, or just its name if it is elsewhere."""
    path = Path(file)
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name
