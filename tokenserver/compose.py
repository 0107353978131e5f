"""Settings -> running parts. The only file that knows every backend."""

from __future__ import annotations

import logging
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TypeVar

from tokenserver.audit import AuditedExchange, AuditedExplain, AuditTrail, DescriptorSink, Sink
from tokenserver.authn import Chain
from tokenserver.authn.directory.backend import LdapDirectory
from tokenserver.authn.htpasswd import Htpasswd, HtpasswdFile
from tokenserver.authn.protection import Plan, Protection
from tokenserver.clock import Clock, steady_seconds
from tokenserver.config.directories import Ldap
from tokenserver.config.plan import plan_for, worker_count
from tokenserver.config.settings import Htpasswd as HtpasswdSettings
from tokenserver.config.settings import Settings, UserSource
from tokenserver.counters import ALONE, Shared, shared_counters
from tokenserver.credentials import Password, Secret
from tokenserver.door import Door
from tokenserver.errors import Fault, LoadError
from tokenserver.files import read_text
from tokenserver.ids import Ids
from tokenserver.keys.expiry import key_warnings
from tokenserver.keys.rotator import rotation_warnings
from tokenserver.keys.store import load_keys
from tokenserver.live import Live
from tokenserver.machine import Roaming, core_count
from tokenserver.measuring import Observed, metered
from tokenserver.metrics.board import Board
from tokenserver.pace import Pace, unpaced
from tokenserver.parts import Parts
from tokenserver.policy.load import PolicyLoader, note_lines
from tokenserver.policy.model import PolicySet
from tokenserver.registries import key_changes, key_faults, registries_of, registry_warnings, ring_of, rotators_for
from tokenserver.service import Exchange, Snapshot, TokenService
from tokenserver.shadow import ShadowedExchange
from tokenserver.tls import check_server_files, client_context
from tokenserver.tokens.issuer import TokenIssuer
from tokenserver.tokens.reuse import Reuse

logger = logging.getLogger("tokenserver.compose")

_Part = TypeVar("_Part")


def build(settings: Settings, *, sink: Sink | None = None, board: Board | None = None, shared: Shared = ALONE) -> Parts:
    """Load everything and put it together. What is measured goes to a row of `board`; without it, nothing is measured.

    `shared` is what this process has together with the server's other workers.

    Raises:
        LoadError: every fault of every file.
    """
    together = shared_counters(settings, workers=worker_count(settings), beside=shared.counters)
    plan = login_plan(settings)
    door = Door(logins=plan.threads, monotonic=time.monotonic)
    protection = Protection(
        plan,
        secret=secrets.token_bytes(64),
        monotonic=time.monotonic,
        together=together,
        checks=shared.checks,
        aside=door.aside,
    )
    pace = Pace()
    loaders = Loaders(settings, protection, pace)
    live = Live(partial(load_snapshot, settings, protection, loaders), watched_files(settings), pace)
    clock = Clock(now=time.time, monotonic=steady_seconds)
    # A step that is due by a clock that was moved may not be due at all.
    rotators = rotators_for(
        settings, live.snapshot, is_blocked=lambda: live.fault is not None or clock.jump() is not None
    )
    trail = AuditTrail(sink or DescriptorSink(sys.stdout.fileno()), now=time.time, policy=live.policy)
    reuse = Reuse(settings.token_reuse, now=time.time) if settings.token_reuse else None
    service = TokenService(live.snapshot, now=time.time, reuse=reuse)
    compared: Exchange = service
    if settings.shadow_policies is not None:
        compared = ShadowedExchange(service, live.snapshot, trail.record, now=time.time)
    observed = Observed(
        AuditedExchange(compared, trail, monotonic=time.perf_counter),
        AuditedExplain(service, trail, monotonic=time.perf_counter),
        trail,
    )
    if board is not None:
        observed = metered(observed, settings, board)
    exchange, explanation, refusals, meter = observed
    return Parts(settings, live, exchange, explanation, trail, refusals, protection, clock, door, rotators, meter)


class Loaders:
    """What remembers from one load to the next what did not change: of policies, and of the users in files."""

    def __init__(
        self, settings: Settings, protection: Protection | None = None, pace: Callable[[], None] = unpaced
    ) -> None:
        services = frozenset(registry.service for registry in settings.registries)
        shadow = settings.shadow_policies
        self.live = PolicyLoader(settings.policies, services=services, pace=pace)
        self.shadow = None if shadow is None else PolicyLoader(shadow, services=services, pace=pace)
        self.sources = [user_source_loader(source, protection) for source in settings.authentication]


def load_snapshot(settings: Settings, protection: Protection | None = None, loaders: Loaders | None = None) -> Snapshot:
    """Users, policies and keys as the files are now.

    `protection` and `loaders` are what outlives a reload; without the former every login is checked, one by one.

    Raises:
        LoadError: every fault of every file, not only of the first.
    """
    loaders = loaders or Loaders(settings, protection)
    now = datetime.now(UTC)
    faults: list[Fault] = []
    sources = [_attempt(load, faults) for load in loaders.sources]
    policies: PolicySet | None = _attempt(partial(loaders.live.load, now), faults)
    rings = {keys.folder: _attempt(partial(load_keys, keys.folder, now=now), faults) for keys in settings.key_sets()}
    known = [source for source in sources if source is not None]
    faults.extend(_overlaps(known))
    faults.extend(key_faults(settings, rings))
    tls = settings.server.tls
    if tls is not None:
        _attempt(partial(check_server_files, tls.certificate, tls.key), faults)
    if faults or policies is None:
        raise LoadError(faults)
    issuers = {
        folder: TokenIssuer(ring, now=time.time, new_id=new_id) for folder, ring in rings.items() if ring is not None
    }
    return Snapshot(
        registries=registries_of(settings),
        chain=_chain(settings, known, protection),
        policies=policies,
        issuer=issuers[settings.keys.folder],
        candidate=_candidate(loaders.shadow, now),
        own_issuers={
            entry.service: issuers[keys.folder] for keys in settings.key_sets()[1:] for entry in keys.registries
        },
    )


def warnings(settings: Settings, snapshot: Snapshot) -> list[str]:
    """What works now but deserves a look, as sentences."""
    now = datetime.now(UTC)
    found = [warning for ring in snapshot.rings for warning in key_warnings(ring, now)]
    for key_set in settings.key_sets():
        found.extend(rotation_warnings(ring_of(snapshot, key_set), key_changes(key_set), now))
    found.extend(str(warning) for source in user_sources(snapshot) for warning in source.warnings)
    found.extend(f"registry {service}: {warning}" for service, warning in registry_warnings(settings, snapshot))
    found.extend(f"policies: {line}" for line in note_lines(snapshot.policies.notes))
    host = settings.server.url.partition("://")[2].partition(":")[0].partition("/")[0]
    if settings.server.url.startswith("http://") and host != "localhost":
        refused = ", so requests from other machines are refused" if settings.server.require_https else ""
        found.append(
            f"server.url is {settings.server.url}: passwords would travel in clear text{refused}; use https://"
        )
    if settings.shadow_policies is not None and snapshot.candidate is None:
        found.append(f"shadow_policies: {settings.shadow_policies} was refused (see the log); nothing is compared")
    if not settings.authentication:
        found.append("authentication is empty: every client is anonymous")
    return found


def user_sources(snapshot: Snapshot) -> list[Htpasswd]:
    """The htpasswd files of the snapshot."""
    return [source for source in snapshot.chain.authenticators if isinstance(source, Htpasswd)]


def watched_files(settings: Settings) -> list[Path]:
    """The files and folders whose change makes a new snapshot."""
    users = [source.htpasswd.file for source in settings.authentication if source.htpasswd is not None]
    directories = [source.ldap for source in settings.authentication if source.ldap is not None]
    beside = [file for ldap in directories for file in (ldap.ca_file, ldap.bind_password_file) if file is not None]
    candidate = [settings.shadow_policies] if settings.shadow_policies is not None else []
    return [*users, *beside, settings.policies, *candidate, *(keys.folder for keys in settings.key_sets())]


new_id = Ids()
"""A new random id, from the system's cryptographic source."""


def login_plan(settings: Settings) -> Plan:
    """What each worker process keeps for its logins."""
    return plan_for(settings, workers=worker_count(settings), cores=core_count())


def _candidate(loader: PolicyLoader | None, now: datetime) -> PolicySet | None:
    """The policies that are compared with the live ones. Nothing depends on them, so their faults are told only."""
    if loader is None:
        return None
    try:
        return loader.load(now)
    except LoadError as error:
        logger.warning("shadow_policies were refused; nothing is compared until they are mended: %s", error)
        return None


def ldap_directory(ldap: Ldap) -> LdapDirectory:
    """The directory that is configured so; nothing is asked of it yet.

    Raises:
        LoadError: the file of the CA or of the password is missing, unsafe or wrong.
    """
    faults: list[Fault] = []
    password = ldap.bind_password
    if ldap.bind_password_file is not None:
        password = _attempt(partial(_password_in, ldap.bind_password_file), faults)
    context = None
    if not ldap.insecure_plaintext:
        context = _attempt(partial(client_context, ldap.ca_file), faults)
    if faults:
        raise LoadError(faults)
    return LdapDirectory(ldap.directory(password), context)


def user_source(source: UserSource) -> Htpasswd | LdapDirectory:
    """The user source that is configured so, for commands that ask it a few times.

    Raises:
        LoadError: every fault of its files.
    """
    return user_source_loader(source)()


def user_source_loader(
    source: UserSource, protection: Protection | None = None
) -> Callable[[], Htpasswd | LdapDirectory]:
    """What loads the user source that is configured so, as its files are at each call; faults are a `LoadError`."""
    match source:
        case UserSource(htpasswd=HtpasswdSettings() as htpasswd):
            if protection is None:
                return HtpasswdFile(htpasswd.file, htpasswd.name).load
            room, once = Roaming(protection.hashing), protection.once(htpasswd.name)
            return HtpasswdFile(htpasswd.file, htpasswd.name, room, once).load
        case UserSource(ldap=Ldap() as ldap):
            return partial(ldap_directory, ldap)
        case _:
            raise AssertionError("the settings have seen to it that there is exactly one kind")


def _password_in(file: Path) -> Secret:
    text = read_text(file, private=True).rstrip("\r\n")
    if not text or "\0" in text:
        problem = "must hold the password of bind_dn; an empty one would be an anonymous bind"
        raise LoadError([Fault(str(file), 0, "", problem)])
    return Secret(text)


def _chain(settings: Settings, sources: Sequence[Htpasswd | LdapDirectory], protection: Protection | None) -> Chain:
    decoy = _decoy(sources)
    if protection is None:
        return Chain(sources, anonymous=settings.anonymous, decoy=decoy)
    if sources and decoy is not None:
        decoy = protection.sheltered_decoy(sources[-1], decoy)
    sheltered = [protection.sheltered(source) for source in sources]
    return Chain(sheltered, anonymous=settings.anonymous, decoy=decoy, guard=protection)


def _decoy(sources: Sequence[Htpasswd | LdapDirectory]) -> Callable[[Password], None] | None:
    """The work of a wrong password for a user whom none of the sources knows.

    An unknown name has been looked for in every directory already. So what is left to do is what a wrong password of
    the last source costs; htpasswd files in a row count as one, since nothing is done to find out that they do not
    know a name.
    """
    last = list(takewhile(lambda source: isinstance(source, Htpasswd), reversed(sources)))
    files = [source for source in reversed(last) if isinstance(source, Htpasswd)]
    if files:
        return files[0].decoy.joined_with(*(source.decoy for source in files[1:]))
    return sources[-1].decoy if sources else None


def _overlaps(sources: Sequence[Htpasswd | LdapDirectory]) -> list[Fault]:
    """One name in two files: nobody could say who that is. Between a file and a directory, their order decides."""
    owner: dict[str, Htpasswd] = {}
    faults = []
    for source in sources:
        if isinstance(source, LdapDirectory):
            continue
        for user in sorted(source.users):
            first = owner.setdefault(user, source)
            if first is not source:
                message = f"the user {user!r} is in the source {first.name!r} as well; one name must mean one person"
                faults.append(Fault(source.file, 0, "", message))
    return faults


def _attempt(load: Callable[[], _Part], faults: list[Fault]) -> _Part | None:
    try:
        return load()
    except LoadError as error:
        faults.extend(error.faults)
        return None
