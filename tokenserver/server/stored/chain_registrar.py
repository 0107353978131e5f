"""The registrar of a worker: keeps in the storage how far its chain of audit events is sealed.

No request, seal or start waits for it: what the storage does not take is written again later, or is not known there.
Importing this imports SQLAlchemy, so it is imported only where a storage is configured.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence

from tokenserver.exchange.audit_chain.record import ChainRecord, SealedChain
from tokenserver.exchange.audit_chain.seal_text import StatedChain
from tokenserver.exchange.audit_events import spell_time
from tokenserver.storage.connections.attempts import Attempts
from tokenserver.storage.connections.limits import ending_within
from tokenserver.storage.database import Database
from tokenserver.storage.trail.chains import ChainRegister, ChainRow

logger = logging.getLogger("tokenserver.audit")

LOOK_SECONDS = 0.5
"""How often it is looked whether there is something to keep."""

RETRY_SECONDS = 10.0

FAILED = "audit: the storage does not keep how far the chain of events is sealed"

LAST_SECONDS = 1.0
"""How long the end of a worker waits for the storage."""


def server_name(listen: str) -> str:
    """The name of a server in its seals, which is the same after a restart: its host and where it listens."""
    return f"{socket.gethostname()[:255]} {listen}"


class ChainRegistrar:
    """Keeps what a `record` says in a database. A line of the log is written if `is_first(line)`."""

    def __init__(
        self,
        database: Database,
        register: ChainRegister,
        record: ChainRecord,
        *,
        is_first: Callable[[str], bool] = lambda _: True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._register = register
        self._record = record
        self._attempts = Attempts(FAILED, logger, is_first=is_first, rest=RETRY_SECONDS, monotonic=monotonic)
        self._kept: SealedChain | None = None
        record.finish = self.finish

    def start(self, stop: threading.Event) -> threading.Thread:
        """Start the thread, which works until `stop` is set."""
        thread = threading.Thread(target=self._work, args=(stop,), name="audit chains", daemon=True)
        thread.start()
        return thread

    def look(self) -> None:
        """Read what came before, and write what is new. An outage leaves it for later."""
        if not self._attempts.is_resting:
            self._attempts.run(self._exchange)

    def finish(self) -> None:
        """Keep that the chain is closed. A storage that did not answer just now is not waited for."""
        if not self._attempts.is_failing:
            with ending_within(LAST_SECONDS):
                self.look()

    def _exchange(self) -> None:
        record = self._record
        if not record.is_known:
            found = self._register.before(self._database, record.server)
            record.came_before([_stated(row) for row in found])
        sealed = record.newest
        if sealed is not None and sealed != self._kept:
            self._register.put(self._database, _row(sealed, record.server))
            self._kept = sealed
        stated: Sequence[StatedChain] = record.stated()
        if stated:
            self._register.note_stated(self._database, [(one.chain, one.number) for one in stated])
            record.is_noted()

    def _work(self, stop: threading.Event) -> None:
        self.look()
        while not stop.wait(LOOK_SECONDS):
            self.look()


def _row(sealed: SealedChain, server: str) -> ChainRow:
    began, at = int(sealed.began * 1000), int(sealed.at * 1000)
    return ChainRow(sealed.chain, server, began, sealed.number, at, int(sealed.is_closed))


def _stated(row: ChainRow) -> StatedChain:
    return StatedChain(row.chain, row.number, spell_time(row.sealed / 1000))
