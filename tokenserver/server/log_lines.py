"""Log lines that all workers of a server would write about the same change: the first of them writes it."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable

from tokenserver.runtime.shared_memory import TAG_BYTES, LastSeenTable, SharedMemory

WINDOW_SECONDS = 60.0
"""How much later than the first worker the last one may write the same line: as long as the largest reload takes."""

_ENTRIES = 256
_MAX_LINES = 1_000

STUCK = "log: another worker holds the lock of the shared log lines; a line may be written twice"


class FirstInServer:
    """Whether a line is the first of its kind among the processes that share this object, because they were forked.

    What happens twice in each worker is written twice: the second time of one worker is compared with the second time
    of the others. A line is never lost: if in doubt, it is written again. `monotonic` is a clock of the machine.

    Raises:
        OSError: there is no memory.
    """

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._memory = SharedMemory([_ENTRIES * (8 + TAG_BYTES)], stuck=STUCK)
        self._written = LastSeenTable(self._memory.parts[0])
        self._times: Counter[str] = Counter()
        self._counting = threading.Lock()

    def __call__(self, line: str) -> bool:
        """Whether this process is the first to write the line."""
        with self._counting:
            if len(self._times) >= _MAX_LINES:
                self._times.clear()
            self._times[line] += 1
            text = f"{self._times[line]}:{line}".encode("utf-8", "backslashreplace")
        tag = hashlib.blake2b(text, digest_size=TAG_BYTES).digest()
        with self._memory.alone() as is_alone:
            if not is_alone:
                return True
            now = self._monotonic()
            if self._written.is_within(tag, now, WINDOW_SECONDS):
                return False
            self._written.put(tag, now)
            return True
