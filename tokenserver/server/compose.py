"""Composition root: builds a running server from settings. The only module that knows every backend."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from tokenserver.authn.htpasswd.backend import Htpasswd
from tokenserver.authn.protection.guard import Protection
from tokenserver.authn.protection.plan import Plan
from tokenserver.config.settings import KeySet, Settings
from tokenserver.documents.tls_files import check_server_files
from tokenserver.errors import Fault, LoadError
from tokenserver.exchange.admission import AdmissionControl
from tokenserver.exchange.audit import Sink
from tokenserver.exchange.audit_chain.sealer import Sealer
from tokenserver.exchange.audit_chain.sink import ChainedSink
from tokenserver.exchange.audit_sink import DescriptorSink
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.keys.expiry import key_warnings
from tokenserver.keys.layout import KeyFolder
from tokenserver.keys.rotator import Rotator, rotation_warnings
from tokenserver.keys.store import load_keys
from tokenserver.metrics.setup import worker_meter
from tokenserver.metrics.shared_rows import Board
from tokenserver.policy.lint.robot_secrets import long_secrets
from tokenserver.policy.loading.gating import note_lines
from tokenserver.runtime.clock_jumps import ClockJumpDetector, steady_seconds
from tokenserver.runtime.cpu_affinity import core_count
from tokenserver.runtime.random_ids import RandomIds
from tokenserver.server.changes.journal import ChangeJournal
from tokenserver.server.changes.reporter import ChangeReporter
from tokenserver.server.exchanges.observed import compose_exchange, trail_kind
from tokenserver.server.exchanges.peer import peer_context
from tokenserver.server.login_plan import plan_for, provisioned, worker_count
from tokenserver.server.notifications.secret_files import reporters, require_secrets
from tokenserver.server.notifications.written_reports import WrittenReports
from tokenserver.server.registry_keys import key_changes, key_faults, registry_warnings, ring_of, rotators_for
from tokenserver.server.reload.configuration import notice_in
from tokenserver.server.reload.live import LiveSnapshot
from tokenserver.server.reload.observer import UNOBSERVED, ReloadObserver
from tokenserver.server.reload.parts import FilesPart, PoliciesPart, ShadowPart
from tokenserver.server.reload.watch import ReloadablePart
from tokenserver.server.running import RunningServer
from tokenserver.server.shared_state import NOTHING_SHARED, SharedState, shared_counters, sharing_warnings
from tokenserver.server.snapshots import Composer
from tokenserver.server.sources.directory_files import (
    attempt,
    certificate_warnings,
)
from tokenserver.server.sources.hook_sources import hook_warnings
from tokenserver.server.sources.oidc_sources import files_of_provider, watched_provider
from tokenserver.server.sources.password_sources import files_of_source, watched_source
from tokenserver.server.sources.shared_namespaces import namespace_warnings
from tokenserver.server.sources.workload_sources import files_of_workloads, watched_workloads
from tokenserver.server.stored.optional import optional_storage
from tokenserver.server.stored.parts import StoredParts, require_findable_owners
from tokenserver.server.url_warnings import url_warnings
from tokenserver.tokens.issuer import TokenIssuer

MANY_KINDS = 3
"""More kinds and costs of password hashes than this are reported: a wrong login costs one of each (`equal_work`)."""


def build(
    settings: Settings, *, sink: Sink | None = None, board: Board | None = None, shared: SharedState = NOTHING_SHARED
) -> RunningServer:
    """Load everything and put it together. Metrics go to a row of `board`; without one, nothing is measured.

    `shared` is the state that this process shares with the server's other workers.

    Raises:
        LoadError: every fault of every file.
    """
    together = shared_counters(settings, workers=worker_count(settings), fallback=shared.counters)
    plan = login_plan(settings)
    admission = AdmissionControl(logins=provisioned(plan).threads, monotonic=time.monotonic)
    protection = Protection(
        plan,
        secret=secrets.token_bytes(64),
        monotonic=time.monotonic,
        together=together,
        checks=shared.checks,
        slot_released=admission.slot_released,
    )
    is_first = shared.first_line or (lambda _: True)
    storage = optional_storage(settings, is_first)
    sealer = None
    if isinstance(sink, ChainedSink):
        record = None if storage is None else storage.record_chain(settings.server.listen)
        sealer = Sealer(sink, lambda: live.snapshot().issuer.ring.active, now=time.time, record=record)
    audited = trail_kind(settings)
    trail = audited(sink or DescriptorSink(sys.stdout.fileno()), now=time.time, policy=lambda: live.policy())  # noqa: PLW0108 - it is made below
    stored = None if storage is None else storage.parts(trail.record, lambda: trail.problem is not None)
    changes = ChangeReporter(
        trail.record,
        shared.journal or ChangeJournal(shared=False),
        is_down=lambda: trail.problem is not None,
        versions=None if storage is None else storage.versions(settings.server.listen),
    )
    live = _live(settings, protection, is_first, stored, changes)
    clock = ClockJumpDetector(now=time.time, monotonic=steady_seconds)
    meter = worker_meter(settings, board) if board is not None else None
    exchange = compose_exchange(settings, live, trail, meter, clock, stored, shared.peer_keys)
    rotators = compose_rotators(settings, live, clock)
    notice = partial(notice_in, shared.bulletin)
    parts = (settings, live, exchange, trail, changes, protection, clock, admission, rotators, meter, storage, stored)
    reporting = reporters(settings, monotonic=time.monotonic)
    return RunningServer(
        *parts,
        notice=notice,
        peer_keys=shared.peer_keys,
        reporters=reporting,
        written_reports=shared.written_reports or WrittenReports(shared=False),
        sealer=sealer,
    )


def compose_rotators(settings: Settings, live: LiveSnapshot, clock: ClockJumpDetector) -> tuple[Rotator, ...]:
    """The rotators of all key sets."""
    # After a clock jump, a step may not really be due; a process that rejected the folder could not load the change.
    return rotators_for(settings, live.snapshot, is_blocked=lambda: live.is_refused("keys") or clock.jump() is not None)


def load_snapshot(settings: Settings, protection: Protection | None = None) -> Snapshot:
    """Users, policies and keys from the current files. Without `protection`, no login is cached or throttled.

    Raises:
        LoadError: every fault of every file, not just of the first.
    """
    return _live(settings, protection).snapshot()


def _live(
    settings: Settings,
    protection: Protection | None,
    is_first: Callable[[str], bool] = lambda _: True,
    stored: StoredParts | None = None,
    observer: ReloadObserver = UNOBSERVED,
) -> LiveSnapshot:
    """The live snapshot with its watched parts, loaded.

    Raises:
        LoadError: every fault of every file, including those that are only read at the start.
    """
    faults: list[Fault] = []
    attempt(partial(check_tls, settings), faults)
    attempt(partial(peer_context, settings), faults)
    attempt(partial(require_secrets, settings), faults)
    attempt(partial(require_findable_owners, settings), faults)
    composer = Composer(settings, protection, stored)
    parts = watched_parts(settings, protection)
    live = attempt(partial(LiveSnapshot, parts, composer, is_first=is_first, observer=observer), faults)
    if faults or live is None:
        raise LoadError(faults)
    return live


def check_tls(settings: Settings) -> None:
    """Check the certificate and key of `server.tls`, which are only read at the start.

    Raises:
        LoadError: every fault of the two.
    """
    tls = settings.server.tls
    if tls is not None:
        check_server_files(tls.certificate, tls.key)


def watched_parts(
    settings: Settings, protection: Protection | None = None, *, marked: Collection[str] = ()
) -> list[ReloadablePart]:
    """The parts of a snapshot; each is watched and loaded independently of the others.

    `marked` are the kinds of policies whose files are known to end with the marker, so that they must.
    """
    users: list[ReloadablePart] = [watched_source(source, protection) for source in settings.user_sources]
    workloads = [watched_workloads(source, settings.server.url) for source in settings.workload_sources]
    providers = [watched_provider(source, settings.server.pages_url) for source in settings.oidc_sources]
    keys = [_watched_keys(key_set) for key_set in settings.key_sets()]
    policies = [_watched_policies(settings, PoliciesPart, "policies", settings.policies, marked)]
    if settings.shadow_policies is not None:
        policies.append(_watched_policies(settings, ShadowPart, "shadow_policies", settings.shadow_policies, marked))
    return [*users, *workloads, *providers, *keys, *policies]


def _watched_policies(
    settings: Settings, part: type[PoliciesPart], kind: str, folder: Path, marked: Collection[str]
) -> PoliciesPart:
    return part(
        kind,
        folder,
        services=frozenset(registry.service for registry in settings.registries),
        marked=kind in marked,
        namespaces=settings.namespaces,
        workload_sources=settings.workload_claims,
    )


def _watched_keys(key_set: KeySet) -> FilesPart:
    place = KeyFolder(key_set.folder)

    def load(_: bytes | None) -> TokenIssuer:
        ring = load_keys(key_set.folder, now=datetime.now(UTC))
        faults = key_faults(key_set, ring)
        if faults:
            raise LoadError(faults)
        return TokenIssuer(ring, now=time.time, new_id=new_id)

    return FilesPart("keys", str(place.path), load, place.read_at_load, folders=(place.path, place.signing))


def warnings(settings: Settings, snapshot: Snapshot) -> list[str]:
    """Warnings about settings and files that work now, as sentences."""
    now = datetime.now(UTC)
    found = [warning for ring in snapshot.rings for warning in key_warnings(ring, now)]
    for key_set in settings.key_sets():
        found.extend(rotation_warnings(ring_of(snapshot, key_set), key_changes(key_set), now))
    found.extend(str(warning) for source in user_sources(snapshot) for warning in source.warnings)
    if settings.namespaces is not None:
        found.extend(namespace_warnings(user_sources(snapshot)))
    found.extend(f"registry {service}: {warning}" for service, warning in registry_warnings(settings, snapshot))
    kinds = {kind for source in user_sources(snapshot) for kind in source.decoy.kinds}
    if len(kinds) > MANY_KINDS:
        found.append(
            f"the users' passwords are hashed in {len(kinds)} ways ({', '.join(sorted(kinds))}): each wrong login costs"
            " one hash of each; fix: rehash them with tokenserver users set"
        )
    found.extend(f"policies: {line}" for line in note_lines(snapshot.policies.notes))
    found.extend(url_warnings(settings))
    found.extend(long_secrets(snapshot.policies, now, timedelta(seconds=settings.robots.max_lifetime)))
    if settings.shadow_policies is not None and snapshot.candidate is None:
        found.append(f"shadow_policies: {settings.shadow_policies} was rejected (see the log); nothing is compared")
    found.extend(certificate_warnings(settings, now))
    found.extend(hook_warnings(settings))
    found.extend(sharing_warnings(settings))
    if not settings.authentication:
        others = " or a robot" if snapshot.policies.robots else ""
        found.append(f"authentication is empty: every client is anonymous{others}")
    return found


def user_sources(snapshot: Snapshot) -> list[Htpasswd]:
    """The htpasswd files of the snapshot."""
    return [source for source in snapshot.chain.authenticators if isinstance(source, Htpasswd)]


def watched_files(settings: Settings) -> list[Path]:
    """The files and folders whose changes are reloaded."""
    users = [file for source in settings.user_sources for file in files_of_source(source)]
    workloads = [file for source in settings.workload_sources for file in files_of_workloads(source)]
    providers = [file for source in settings.oidc_sources for file in files_of_provider(source)]
    candidate = [settings.shadow_policies] if settings.shadow_policies is not None else []
    folders = [settings.policies, *candidate, *(keys.folder for keys in settings.key_sets())]
    secrets_of_reports = [one.notifications.secret_file for one in settings.reporters if one.notifications]
    return [*users, *workloads, *providers, *secrets_of_reports, *folders]


new_id = RandomIds()
"""Returns a new random id from the system's cryptographic source."""


def login_plan(settings: Settings) -> Plan:
    """The login protection plan of each worker process."""
    return plan_for(settings, workers=worker_count(settings), cores=core_count())
