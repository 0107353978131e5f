"""The drain of the outbox: a thread of each worker that writes the events of commands to the audit trail.

Importing this imports SQLAlchemy, so it is imported only where a storage is configured.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from tokenserver.errors import AuditUnavailable
from tokenserver.management.events import MANAGEMENT
from tokenserver.storage.database import Database
from tokenserver.storage.outbox import AT_A_TIME, Outbox
from tokenserver.storage.unavailable import StorageUnavailable

logger = logging.getLogger("tokenserver.storage")

LOOK_SECONDS = 1.0
"""How often it is looked whether anything was changed."""

REST_SECONDS = 60.0
"""How often the outbox is looked into although nothing seems to have changed."""

FORGED = "an event in the outbox was not written by this server, or with a state key that is missing here"


class OutboxDrain:
    """Empties the outbox of a database. `record` writes an event; `is_down` is whether that would fail, if it is known.

    `revision` is that of the last change that this process knows of. `monotonic` is in seconds.
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        record: Callable[[dict[str, Any]], None],
        *,
        revision: Callable[[], int],
        is_down: Callable[[], bool] = lambda: False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._record = record
        self._revision = revision
        self._is_down = is_down
        self._monotonic = monotonic
        self._seen = -1
        self._due = 0.0

    def start(self, stop: threading.Event) -> threading.Thread:
        """Start the thread, which works until `stop` is set."""
        thread = threading.Thread(target=self._work, args=(stop,), name="storage outbox", daemon=True)
        thread.start()
        return thread

    def look(self) -> int:
        """Write the events that wait, if anything has changed; how many. An outage leaves them for later."""
        revision = self._revision()
        if (revision == self._seen and self._monotonic() < self._due) or self._is_down():
            return 0
        total = 0
        try:
            if self._outbox.has_any(self._database):
                while count := self._outbox.take(self._database, self._record, self._refuse):
                    total += count
                    if count < AT_A_TIME:
                        break
        except (AuditUnavailable, StorageUnavailable):
            return total
        self._seen, self._due = revision, self._monotonic() + REST_SECONDS
        return total

    def _work(self, stop: threading.Event) -> None:
        while not stop.wait(LOOK_SECONDS):
            try:
                self.look()
            except Exception as error:  # nothing in a database may end this thread; only the type is safe to log
                logger.error("storage: events of commands wait: unexpected %s", type(error).__name__)  # noqa: TRY400 - as said

    def _refuse(self, identifier: str) -> None:
        head = {"event": MANAGEMENT, "via": "command", "change_id": identifier[:32]}
        self._record({**head, "outcome": "forged", "problem": FORGED})
        logger.error("storage: %s: %s", FORGED, identifier[:32])
