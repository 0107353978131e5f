"""Statements that fail as SQLite executes them, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, event

from tokenserver.storage.connections.failures import StorageUnavailable


class Failing:
    """Counts the statements of an engine, and interrupts the one with the number `at` as SQLite executes it."""

    def __init__(self, engine: Engine) -> None:
        self.at = -1
        self.count = 0
        self._interrupted: Any = None
        event.listen(engine, "before_cursor_execute", self._before)
        event.listen(engine, "handle_error", self._after)

    def _before(self, connection: Any, *_: object) -> None:
        driver = connection.connection.dbapi_connection
        if self.count == self.at:
            driver.set_progress_handler(lambda: 1, 1)
            self._interrupted = driver
        self.count += 1

    def _after(self, _: object) -> None:
        self._interrupted.set_progress_handler(None, 1)


def error_of(work: Callable[[], object]) -> StorageUnavailable | None:
    """What the work raises; None if it works."""
    try:
        work()
    except StorageUnavailable as error:
        return error
    return None
