"""Attempts of a thread to use a database: none ends the thread, and only the first failure in a row is reported."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from tokenserver.storage.unavailable import StorageUnavailable


class Attempts:
    """Attempts that rest for `rest` seconds after a failure. `waits` begins the line that `logger` gets about one.

    That line is written if `is_first(line)`; `monotonic` is in seconds.
    """

    def __init__(
        self,
        waits: str,
        logger: logging.Logger,
        *,
        is_first: Callable[[str], bool],
        rest: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._waits = waits
        self._logger = logger
        self._is_first = is_first
        self._rest = rest
        self._monotonic = monotonic
        self._due = 0.0
        self.is_failing = False
        """Whether the last attempt has failed."""

    @property
    def is_resting(self) -> bool:
        """Whether the next attempt should come later."""
        return self._monotonic() < self._due

    def run(self, work: Callable[[], None]) -> None:
        """Do the work. Raises nothing."""
        try:
            work()
        except StorageUnavailable as error:
            self._failed(error.reason)
        except Exception as error:  # nothing in a database may end a thread; only the type is safe to log
            self._failed(f"unexpected {type(error).__name__}")
        else:
            self.is_failing = False

    def _failed(self, reason: str) -> None:
        self._due = self._monotonic() + self._rest
        line = f"{self._waits}: {reason}"
        if not self.is_failing and self._is_first(line):
            self._logger.warning("%s", line)
        self.is_failing = True
