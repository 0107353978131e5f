"""The registrar of versions: keeps in the storage what a server has in force, so that its next start says what differs.

Importing this imports SQLAlchemy, so it is imported only where a storage is configured.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from tokenserver.exchange.audit_events import spell_time
from tokenserver.storage.connections.attempts import Attempts
from tokenserver.storage.database import Database
from tokenserver.storage.trail.versions import VersionRegister, VersionRow, subject_key

logger = logging.getLogger("tokenserver.audit")

LOOK_SECONDS = 0.5
RETRY_SECONDS = 10.0

FAILED = "audit: the storage does not keep which versions are in force"


class VersionRegistrar:
    """The versions of the server of this name. A line of the log is written if `is_first(line)`."""

    def __init__(
        self,
        database: Database,
        register: VersionRegister,
        server: str,
        *,
        is_first: Callable[[str], bool] = lambda _: True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._register = register
        self._server = server
        self._attempts = Attempts(FAILED, logger, is_first=is_first, rest=RETRY_SECONDS, monotonic=monotonic)
        self._lock = threading.Lock()
        self._known: dict[str, VersionRow] | None = None
        self._waiting: dict[str, VersionRow] = {}

    def before(self, subject: str) -> tuple[str, str] | None:
        """The digest that was last in force before this start, and since when; None if that is not known.

        The storage is asked once, and waited for two seconds at most.
        """
        if self._known is None:
            self._attempts.run(self._learn)
        if self._known is None:
            self._known = {}  # the event of the start is written without
        row = self._known.get(subject_key(subject))
        return None if row is None else (row.digest, spell_time(row.moment / 1000))

    def came(self, subject: str, digest: str, moment: float) -> None:
        """A version has come into force, at `moment` in seconds since the epoch. It is kept by the thread, soon."""
        key = subject_key(subject)
        with self._lock:
            self._waiting[key] = VersionRow(self._server, key, digest, int(moment * 1000))

    def start(self, stop: threading.Event) -> threading.Thread:
        """Start the thread, which works until `stop` is set, and then once more."""
        thread = threading.Thread(target=self._work, args=(stop,), name="audit versions", daemon=True)
        thread.start()
        return thread

    def look(self) -> None:
        """Keep what waits. An outage leaves it for later."""
        if self._waiting and not self._attempts.is_resting:
            self._attempts.run(self._keep)

    def _learn(self) -> None:
        self._known = self._register.of_server(self._database, self._server)

    def _keep(self) -> None:
        with self._lock:
            waiting = dict(self._waiting)
        for key, row in waiting.items():
            self._register.put(self._database, row)
            with self._lock:
                if self._waiting.get(key) == row:
                    del self._waiting[key]

    def _work(self, stop: threading.Event) -> None:
        while not stop.wait(LOOK_SECONDS):
            self.look()
        self.look()
