"""Random ids of 128 bits. Many are made at a time: a system call for each request would be a good part of its cost."""

from __future__ import annotations

import os
from collections.abc import Callable

AT_ONCE = 256
BYTES = 16


class Ids:
    """Gives unguessable ids, each of them once, in any thread. `source` is the system's cryptographic one."""

    def __init__(self, source: Callable[[int], bytes] = os.urandom) -> None:
        self._source = source
        self._ready: list[str] = []
        # A child would give the same ones as its parent.
        os.register_at_fork(after_in_child=self._ready.clear)

    def __call__(self) -> str:
        """A new id: 32 hexadecimal digits.

        Raises:
            OSError: the system gave no random bytes.
        """
        try:
            return self._ready.pop()
        except IndexError:
            text = self._source(BYTES * AT_ONCE).hex()
        made = [text[start : start + 2 * BYTES] for start in range(0, len(text), 2 * BYTES)]
        own = made.pop()
        self._ready.extend(made)
        return own
