"""Settings -> running parts. The only file that knows every backend."""

from __future__ import annotations

import ctypes
import os
import resource
import secrets
import ssl
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from tokenserver.audit import AuditedExchange, AuditTrail, DescriptorSink, Sink
from tokenserver.authn import Chain
from tokenserver.authn.htpasswd import Decoy, Htpasswd, load_htpasswd
from tokenserver.config.settings import Settings, Tls, UserSource
from tokenserver.errors import Fault, LoadError
from tokenserver.files import read_file
from tokenserver.keys.ring import KeyRing
from tokenserver.keys.store import key_warnings, load_keys
from tokenserver.live import Live
from tokenserver.policy.load import load_policies
from tokenserver.policy.model import PolicySet
from tokenserver.service import Snapshot, TokenService
from tokenserver.tokens.claims import Compat, Registry
from tokenserver.tokens.issuer import TokenIssuer, compat_problem, compat_warning

_Part = TypeVar("_Part")

_PR_SET_DUMPABLE = 4


@dataclass(frozen=True, slots=True)
class Parts:
    """A whole server without its web."""

    settings: Settings
    live: Live
    exchange: AuditedExchange
    trail: AuditTrail

    def watch(self) -> threading.Event:
        """Start to follow changes of the files in a thread; setting the event ends it."""
        stop = threading.Event()
        threading.Thread(target=self.live.watch, args=(stop,), name="watch-files", daemon=True).start()
        return stop

    def readiness(self) -> Mapping[str, str | None]:
        """For keys, policies and each user source: None where it is well, else what is wrong."""
        snapshot = self.live.snapshot()
        now = datetime.now(UTC)
        ring = snapshot.issuer.ring
        expired = ring.active.not_after <= now
        parts: dict[str, str | None] = {
            "keys": f"the signing certificate expired at {ring.active.not_after:%Y-%m-%d}" if expired else None,
            "policies": None,
        }
        parts |= dict.fromkeys((source.name for source in self.settings.authentication), None)
        parts["files"] = "the files as they are now were refused; see the log" if self.live.fault else None
        return parts


def build(settings: Settings, *, sink: Sink | None = None) -> Parts:
    """Load everything and put it together.

    Raises:
        LoadError: every fault of every file.
    """
    live = Live(lambda: load_snapshot(settings), watched_files(settings))
    trail = AuditTrail(sink or DescriptorSink(sys.stdout.fileno()), now=time.time)
    service = TokenService(live.snapshot, now=time.time)
    return Parts(settings, live, AuditedExchange(service, trail, monotonic=time.perf_counter), trail)


def load_snapshot(settings: Settings) -> Snapshot:
    """Users, policies and keys as the files are now.

    Raises:
        LoadError: every fault of every file, not only of the first.
    """
    now = datetime.now(UTC)
    services = frozenset(registry.service for registry in settings.registries)
    faults: list[Fault] = []
    sources = [_attempt(partial(_user_source, source), faults) for source in settings.authentication]
    policies: PolicySet | None = _attempt(lambda: load_policies(settings.policies, services=services, now=now), faults)
    ring: KeyRing | None = _attempt(lambda: load_keys(settings.keys, now=now), faults)
    known = [source for source in sources if source is not None]
    faults.extend(_overlaps(known))
    if ring is not None:
        faults.extend(_unfit_algorithms(settings, ring))
    if settings.server.tls is not None:
        faults.extend(_tls_faults(settings.server.tls))
    if faults or policies is None or ring is None:
        raise LoadError(faults)
    return Snapshot(
        registries={entry.service: _registry(settings, entry.service) for entry in settings.registries},
        chain=Chain(known, anonymous=settings.anonymous, decoy=_decoy(known)),
        policies=policies,
        issuer=TokenIssuer(ring, now=time.time, new_id=new_id),
    )


def warnings(settings: Settings, snapshot: Snapshot) -> list[str]:
    """What works now but deserves a look, as sentences."""
    found = list(key_warnings(snapshot.issuer.ring, datetime.now(UTC)))
    found.extend(str(warning) for source in user_sources(snapshot) for warning in source.warnings)
    algorithm = snapshot.issuer.ring.active.algorithm
    for registry in settings.registries:
        warning = compat_warning(algorithm, Compat(registry.compat))
        if warning is not None:
            found.append(f"registry {registry.service}: {warning}")
    host = settings.server.url.partition("://")[2].partition(":")[0].partition("/")[0]
    if settings.server.url.startswith("http://") and host != "localhost":
        found.append(
            f"server.url is {settings.server.url}: passwords travel in clear text; use https:// outside of this machine"
        )
    if not settings.authentication:
        found.append("authentication is empty: every client is anonymous")
    return found


def user_sources(snapshot: Snapshot) -> list[Htpasswd]:
    """The htpasswd files of the snapshot."""
    return [source for source in snapshot.chain.authenticators if isinstance(source, Htpasswd)]


def watched_files(settings: Settings) -> list[Path]:
    """The files and folders whose change makes a new snapshot."""
    users = [source.htpasswd.file for source in settings.authentication if source.htpasswd is not None]
    return [*users, settings.policies, settings.keys]


def new_id() -> str:
    """A random id of 128 bits, from the system's cryptographic source."""
    return secrets.token_hex(16)


def harden_process() -> None:
    """Keep keys and passwords out of core files and away from debuggers of the same user (Linux)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0)


def worker_count(settings: Settings) -> int:
    """As configured, else one worker for each core that this process may use."""
    return settings.server.workers or len(os.sched_getaffinity(0))


def _user_source(source: UserSource) -> Htpasswd:
    assert source.htpasswd is not None  # noqa: S101 - the settings have seen to it
    return load_htpasswd(source.htpasswd.file, source.htpasswd.name)


def _decoy(sources: list[Htpasswd]) -> Decoy | None:
    """The work of a wrong password for a user whom none of the sources knows."""
    return sources[0].decoy.joined_with(*(source.decoy for source in sources[1:])) if sources else None


def _registry(settings: Settings, service: str) -> Registry:
    entry = next(entry for entry in settings.registries if entry.service == service)
    return Registry(entry.service, settings.issuer, Compat(entry.compat), entry.token_lifetime)


def _overlaps(sources: list[Htpasswd]) -> list[Fault]:
    """One name in two sources: nobody could say who that is."""
    owner: dict[str, Htpasswd] = {}
    faults = []
    for source in sources:
        for user in sorted(source.users):
            first = owner.setdefault(user, source)
            if first is not source:
                message = f"the user {user!r} is in the source {first.name!r} as well; one name must mean one person"
                faults.append(Fault(source.file, 0, "", message))
    return faults


def _unfit_algorithms(settings: Settings, ring: KeyRing) -> list[Fault]:
    faults = []
    for entry in settings.registries:
        problem = compat_problem(ring.active.algorithm, Compat(entry.compat))
        if problem is not None:
            faults.append(Fault(str(settings.keys), 0, f"registry {entry.service}", problem))
    return faults


def _tls_faults(tls: Tls) -> list[Fault]:
    faults: list[Fault] = []
    _attempt(lambda: read_file(tls.certificate), faults)
    key = _attempt(lambda: read_file(tls.key, private=True), faults)
    if faults or key is None:
        return faults
    if b"-----BEGIN PRIVATE KEY-----" not in key:
        mend = f"openssl pkcs8 -topk8 -nocrypt -in {tls.key} -out NEW"
        return [Fault(str(tls.key), 0, "", f"must be an unencrypted PKCS#8 PEM key; convert it with: {mend}")]
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key)
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error.strerror
        faults.append(Fault(str(tls.certificate), 0, "", f"does not work with {tls.key}: {reason}"))
    return faults


def _attempt(load: Callable[[], _Part], faults: list[Fault]) -> _Part | None:
    try:
        return load()
    except LoadError as error:
        faults.extend(error.faults)
        return None
