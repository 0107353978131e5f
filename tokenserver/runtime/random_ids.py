"""Random 128-bit ids, generated in batches: a system call per request would be a good part of its cost."""

from __future__ import annotations

import os
from collections.abc import Callable

BATCH = 256
BYTES = 16


class RandomIds:
    """Unguessable ids, each returned only once, in any thread. `source` is a cryptographic random source."""

    def __init__(self, source: Callable[[int], bytes] = os.urandom) -> None:
        self._source = source
        self._ready: list[str] = []
        # A forked child would return the same ids as its parent.
        os.register_at_fork(after_in_child=self._ready.clear)

    def __call__(self) -> str:
        """A new id: 32 hexadecimal digits.

        Raises:
            OSError: the system returned no random bytes.
        """
        try:
            return self._ready.pop()
        except IndexError:
            text = self._source(BYTES * BATCH).hex()
        made = [text[start : start + 2 * BYTES] for start in range(0, len(text), 2 * BYTES)]
        own = made.pop()
        self._ready.extend(made)
        return own
