"""The storage of a worker: an index of all credentials, the follower that keeps it current, and the store for changes.

Importing this imports SQLAlchemy, so it is imported only where a storage is configured.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from tokenserver.authn.stored.known_revision import KnownRevision
from tokenserver.authn.stored.new_networks import NewNetworks
from tokenserver.config.settings import Settings
from tokenserver.exchange.audit_chain.record import ChainRecord
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.management.context import ManagementContext
from tokenserver.management.events import ManagementEvents
from tokenserver.management.service import Management
from tokenserver.management.sign_in import SignIn
from tokenserver.metrics.definitions import FORMS
from tokenserver.metrics.recorder import StorageGauges
from tokenserver.server.stored.chain_registrar import ChainRegistrar, server_name
from tokenserver.server.stored.logins import StoredLogins
from tokenserver.server.stored.openid import stored_openid
from tokenserver.server.stored.opening import open_engine
from tokenserver.server.stored.outbox_drain import OutboxDrain
from tokenserver.server.stored.parts import StoredParts
from tokenserver.server.stored.version_registrar import VersionRegistrar
from tokenserver.storage.boxes import Boxes
from tokenserver.storage.database import Database
from tokenserver.storage.following.chores import Chores
from tokenserver.storage.following.follower import StorageFollower
from tokenserver.storage.following.reading import CredentialReader
from tokenserver.storage.following.signals import ChangeSignal, PostgresqlSignal, SqliteSignal
from tokenserver.storage.index import CredentialIndex
from tokenserver.storage.outbox import Outbox
from tokenserver.storage.people.browser_sessions import BrowserSessions
from tokenserver.storage.people.code_guesses import CodeGuesses
from tokenserver.storage.people.flows import Flows
from tokenserver.storage.people.remembered_answers import RememberedAnswers
from tokenserver.storage.people.seen_tokens import SeenTokens
from tokenserver.storage.people.used_forms import UsedForms
from tokenserver.storage.state_keys import StateKeys, read_state_keys
from tokenserver.storage.store import CredentialStore
from tokenserver.storage.trail.chains import ChainRegister
from tokenserver.storage.trail.versions import VersionRegister
from tokenserver.storage.upkeep.pruning import prune


class LiveStorage:
    """The storage as one process has it. Nothing is connected before `start`.

    Known credentials work for `grace` seconds without the database. A line of the log is written if `is_first(line)`.
    """

    def __init__(
        self,
        database: Database,
        keys: StateKeys,
        signal: ChangeSignal,
        *,
        grace: float,
        is_first: Callable[[str], bool] = lambda _: True,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.database = database
        self._now = now
        self._is_first = is_first
        reader = CredentialReader(database)
        self.index = CredentialIndex(keys, reader.row, grace=grace, monotonic=monotonic, is_first=is_first)
        self.store = CredentialStore(database, keys, now=now, applied=self.index.apply)
        self.sessions = BrowserSessions(database, keys, now=now)
        self.used_forms = UsedForms(SeenTokens(database), now=now)
        self.answers = RememberedAnswers(database, keys, now=now)
        self._networks: NewNetworks | None = None
        self._drain: OutboxDrain | None = None
        self._registrar: ChainRegistrar | None = None
        self._versions: VersionRegistrar | None = None
        self._chores = Chores(
            self.index.uses,
            reader,
            is_first=is_first,
            prune=lambda: prune(database, now=now()),
            now=now,
            monotonic=monotonic,
        )
        self._follower = StorageFollower(
            self.index, reader, signal, learn_uses=self._chores.learn_uses, is_first=is_first, monotonic=monotonic
        )

    def parts(
        self, record: Callable[[dict[str, Any]], None], is_down: Callable[[], bool] = lambda: False
    ) -> StoredParts:
        """What exchanges need; `record` writes an audit event, `is_down` is whether that would fail, if it is known."""
        logins = StoredLogins(self.store)
        openid = stored_openid(self.store, self.sessions, now=self._now, grace=lambda: self.index.grace)
        flows = Flows(self.database, Boxes(self.store.keys), now=self._now)
        guesses = CodeGuesses(self.database, now=self._now)
        revision = KnownRevision(lambda: self.index.revision)
        parts = StoredParts(self.index, logins, logins.end, record, openid, flows, guesses, revision)
        self._networks = parts.networks
        outbox = Outbox(self.store.keys)
        self._drain = OutboxDrain(self.database, outbox, record, revision=lambda: self.index.revision, is_down=is_down)
        return parts

    def record_chain(self, listen: str) -> ChainRecord:
        """The record of the chain of this worker, for its seals; the server listens at this address."""
        record = ChainRecord(server_name(listen))
        register = ChainRegister(self.store.keys)
        self._registrar = ChainRegistrar(self.database, register, record, is_first=self._is_first)
        return record

    def versions(self, listen: str) -> VersionRegistrar:
        """What this server, which listens at this address, has in force; see there."""
        register = VersionRegister(self.store.keys)
        self._versions = VersionRegistrar(self.database, register, server_name(listen), is_first=self._is_first)
        return self._versions

    def sign_in(self, snapshot: Callable[[], Snapshot], record: Callable[[dict[str, Any]], None]) -> SignIn:
        """The logins of browsers; see `SignIn`."""
        return SignIn(self.sessions, snapshot, record)

    def management(
        self,
        settings: Settings,
        snapshot: Callable[[], Snapshot],
        record: Callable[[dict[str, Any]], None],
        *,
        is_blocked: Callable[[], bool] = lambda: False,
    ) -> Management:
        """The management of credentials by these settings; `record` writes an audit event. See `ManagementContext`."""
        events = ManagementEvents(record)
        context = ManagementContext(settings, snapshot, self.store, self.sessions, events, self._now, is_blocked)
        return Management(context)

    def start(self, stop: threading.Event) -> list[threading.Thread]:
        """Load the credentials and follow their changes until `stop` is set; waits a moment for the first load.

        The threads that do so, which write the last uses before they end.
        """
        threads = [one.start(stop) for one in (self._registrar, self._versions) if one is not None]
        threads += [self._follower.start(stop), self._chores.start(stop)]
        return threads if self._drain is None else [*threads, self._drain.start(stop)]

    @property
    def note(self) -> str | None:
        """One sentence for `/readyz`, without any name of a host; None if the storage answers."""
        age = self.index.age
        if self.index.outage is None:
            return None if age is not None else "has not been read yet; stored credentials get 503"
        if age is None:
            return "has not answered since the start; stored credentials get 503; see the log"
        left = self.index.grace - age
        if left <= 0:
            return f"has not answered for {_minutes(age)}; stored credentials get 503; see the log"
        return (
            f"does not answer; stored credentials work for another {_minutes(left)}, unless they are new; see the log"
        )

    @property
    def gauges(self) -> StorageGauges:
        """The state for metrics."""
        totals = {FORMS[form]: total for form, total in self._chores.totals.items() if form in FORMS}
        ends = {form: total.soonest for form, total in totals.items() if total.soonest is not None}
        live = {form: total.live for form, total in totals.items()}
        networks = 0 if self._networks is None else self._networks.reported
        return StorageGauges(self.index.age, live, ends, self.index.refused_rows, networks)


def live_storage(settings: Settings, is_first: Callable[[str], bool] = lambda _: True) -> LiveStorage:
    """The storage that the settings name, for a worker; nothing is connected.

    Raises:
        LoadError: none is configured, or its state key or password cannot be read, or its driver is missing.
    """
    engine = open_engine(settings)
    file = None if settings.storage is None else settings.storage.file
    signal: ChangeSignal = PostgresqlSignal(engine) if file is None else SqliteSignal(file)
    keys = read_state_keys(settings.keys.folder)
    return LiveStorage(Database(engine), keys, signal, grace=settings.storage_grace, is_first=is_first)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
