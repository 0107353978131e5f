"""What a program writes to its standard error, in the log: line by line, printable, and bounded."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from tokenserver.printable import cut, one_line

MAX_LINE = 500
"""Characters of a line; the rest of it is left out."""

WINDOW_SECONDS = 60.0
MAX_LINES = 60
"""How many lines of one source are logged in this time; of further ones, only the number."""

logger = logging.getLogger("tokenserver.hooks")


class LineBudget:
    """How many lines of one source may still be logged. Thread-safe."""

    def __init__(self, name: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._begun = float("-inf")
        self._count = 0

    def log(self, line: str) -> None:
        """Log a line, unless there were too many."""
        with self._lock:
            now = self._monotonic()
            left_out = 0
            if now - self._begun >= WINDOW_SECONDS:
                left_out, self._begun, self._count = max(0, self._count - MAX_LINES), now, 0
            self._count += 1
            is_logged = self._count <= MAX_LINES
        if left_out:
            logger.warning("%s: %d more lines of its program were left out", self._name, left_out)
        if is_logged:
            logger.warning("%s: its program says: %s", self._name, cut(one_line(line), MAX_LINE))


class ProgramLog:
    """The lines of one process, which share the budget of their source."""

    def __init__(self, budget: LineBudget) -> None:
        self._budget = budget
        self._line = bytearray()

    def write(self, found: bytes) -> None:
        """Log the lines that end in these bytes."""
        *ended, last = found.split(b"\n")
        for line in ended:
            self._add(line)
            self.end()
        self._add(last)

    def end(self) -> None:
        """Log what is left, as a line."""
        text = self._line.decode("utf-8", "replace").strip()
        self._line.clear()
        if text:
            self._budget.log(text)

    def _add(self, part: bytes) -> None:
        self._line += part[: MAX_LINE * 4 - len(self._line)]
