"""The follower: keeps the credential index of a worker current. A thread in each worker."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from tokenserver.runtime.background_pacing import Pacer
from tokenserver.storage.database import GENERATION
from tokenserver.storage.following.reading import CredentialReader
from tokenserver.storage.following.signals import ChangeSignal, StorageChange
from tokenserver.storage.index import CredentialIndex
from tokenserver.storage.unavailable import StorageUnavailable

logger = logging.getLogger("tokenserver.storage")

RELOAD_SECONDS = 600.0
"""How often everything is read, whatever the revisions say."""

MANY_PAGES = 4
"""After this many pages of changed rows, reading everything takes less time than reading the rest of them."""

RETRY_SECONDS = 0.5
"""How long after a failed look the next one begins."""

FIRST_LOAD_SECONDS = 3.0
"""How long a start waits for the first load, so that the first requests find their credentials."""


class StorageFollower:
    """Follows a database by its signal. `learn_uses` is called in each load before its rows are put in force, with what
    paces it.

    A line of the log is written if `is_first(line)`; `monotonic` is in seconds.
    """

    def __init__(
        self,
        index: CredentialIndex,
        reader: CredentialReader,
        signal: ChangeSignal,
        *,
        learn_uses: Callable[[Callable[[], None]], None] = lambda _: None,
        is_first: Callable[[str], bool] = lambda _: True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._index = index
        self._reader = reader
        self._signal = signal
        self._learn_uses = learn_uses
        self._is_first = is_first
        self._monotonic = monotonic
        self._pacer = Pacer()
        self._was_tried = threading.Event()
        self._reload_at = 0.0
        self._failed_at: float | None = None

    def start(self, stop: threading.Event) -> threading.Thread:
        """Start the thread, which runs until `stop` is set, and wait a moment for its first load."""
        thread = threading.Thread(target=self.follow, args=(stop,), name="storage", daemon=True)
        thread.start()
        self._was_tried.wait(FIRST_LOAD_SECONDS)
        return thread

    def follow(self, stop: threading.Event) -> None:
        """Look for changes until `stop` is set. Blocks."""
        while not stop.is_set():
            if not self.look(stop):
                stop.wait(RETRY_SECONDS)
            self._was_tried.set()
        self._signal.close()

    def look(self, stop: threading.Event) -> bool:
        """Wait for the signal and take over what has changed; false if the database does not answer."""
        try:
            change = self._signal.wait(stop)
            if self._index.revision < 0:
                self._load(lambda: None)  # no request can be in its way yet
            else:
                with self._pacer.yielding():
                    self._take_over(change)
            self._index.looked()
        except StorageUnavailable as error:
            self._failed(error.reason)
            return False
        except Exception as error:  # nothing in a database may end this thread; only the type is safe to log
            self._failed(f"unexpected {type(error).__name__}")
            return False
        self._recovered()
        return True

    def _take_over(self, change: StorageChange) -> None:
        if change is StorageChange.ALL or self._failed_at is not None or self._monotonic() >= self._reload_at:
            self._load(self._pacer)
        elif change is StorageChange.SOME:
            before, newest = self._index.revision, self._reader.revision()
            if newest < before or newest // GENERATION != before // GENERATION:
                self._load(self._pacer)  # a backup was restored, which may lack rows that are known here
            elif newest > before:
                for number, rows in enumerate(self._reader.changed(before)):
                    if number == MANY_PAGES:
                        self._load(self._pacer)
                        return
                    self._index.apply(rows)
                    self._pacer()
                self._index.revision = newest

    def _load(self, pace: Callable[[], None]) -> None:
        newest = self._reader.revision()
        self._index.begin_load()
        rows = self._reader.everything(pace)
        self._learn_uses(pace)
        self._index.replace(rows, newest)
        self._index.uses.forget_but(rows)
        self._reload_at = self._monotonic() + RELOAD_SECONDS
        # What changed during the load has a higher revision, and is read by the next look.

    def _failed(self, reason: str) -> None:
        self._index.failed(reason)
        if self._failed_at is None:
            self._failed_at = self._monotonic()
            line = f"storage: does not answer: {reason}; known credentials keep working for a while"
            if self._is_first(line):
                logger.error("%s", line)

    def _recovered(self) -> None:
        if self._failed_at is not None:
            seconds, self._failed_at = self._monotonic() - self._failed_at, None
            if self._is_first("storage: answers again"):
                logger.info("storage: answers again, after %.0f s", seconds)
