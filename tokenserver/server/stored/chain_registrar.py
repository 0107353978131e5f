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
from tokenserver.storage.connections.limits import ending_within
from tokenserver.storage.database import Database
from tokenserver.storage.trail.chains import ChainRegister, ChainRow
from tokenserver.storage.unavailable import StorageUnavailable

logger = logging.getLogger("tokenserver.audit")

LOOK_SECONDS = 0.5
"""How often it is looked whether there is something to keep."""

RETRY_SECONDS = 10.0

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
        self._is_first = is_first
        self._monotonic = monotonic
        self._kept: SealedChain | None = None
        self._due = 0.0
        self._is_failing = False
        record.finish = self.finish

    def start(self, stop: threading.Event) -> threading.Thread:
        """Start the thread, which works until `stop` is set."""
        thread = threading.Thread(target=self._work, args=(stop,), name="audit chains", daemon=True)
        thread.start()
        return thread

    def look(self) -> None:
        """Read what came before, and write what is new. An outage leaves it for later."""
        if self._monotonic() < self._due:
            return
        try:
            self._exchange()
        except StorageUnavailable as error:
            self._failed(error.reason)
        except Exception as error:  # nothing in a database may end this thread; only the type is safe to log
            self._failed(f"unexpected {type(error).__name__}")
        else:
            self._is_failing, self._due = False, 0.0

    def finish(self) -> None:
        """Keep that the chain is closed. A storage that did not answer just now is not waited for."""
        if not self._is_failing:
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

    def _failed(self, reason: str) -> None:
        """Report the first failure in a row."""
        self._due = self._monotonic() + RETRY_SECONDS
        line = f"audit: the storage does not keep how far the chain of events is sealed: {reason}"
        if not self._is_failing and self._is_first(line):
            logger.warning("%s", line)
        self._is_failing = True


def _row(sealed: SealedChain, server: str) -> ChainRow:
    began, at = int(sealed.began * 1000), int(sealed.at * 1000)
    return ChainRow(sealed.chain, server, began, sealed.number, at, int(sealed.is_closed))


def _stated(row: ChainRow) -> StatedChain:
    return StatedChain(row.chain, row.number, spell_time(row.sealed / 1000))
