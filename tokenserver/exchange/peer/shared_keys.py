"""What the workers of a server know together about a shadow peer: what was asked, refused and reported a while ago.

Each worker alone would send a login that the peer refuses, so that the number of workers could lock an account there.
"""

from __future__ import annotations

import hashlib
import secrets

from tokenserver.runtime.shared_memory import TAG_BYTES, LastSeenTable, SharedMemory

ENTRIES = 1 << 14

STUCK = "shadow peer: another worker holds the lock of what is asked; a question may be asked twice"


class SharedKeys:
    """When keys were last added, by any of the processes that share this object, because they were forked.

    Keys are texts, of which only a keyed hash is stored; old ones are replaced by new ones. Where the memory cannot be
    locked in time, a key counts as new. `now` is in seconds of a clock of the machine that never goes back.

    Raises:
        OSError: there is no memory.
    """

    def __init__(self) -> None:
        self._memory = SharedMemory([ENTRIES * (8 + TAG_BYTES)], stuck=STUCK)
        self._seen = LastSeenTable(self._memory.parts[0])
        self._secret = secrets.token_bytes(32)

    def has(self, key: str, now: float, seconds: float) -> bool:
        """Whether the key was added within the last `seconds`."""
        tag = self._tag(key)
        with self._memory.alone() as is_alone:
            return is_alone and self._seen.is_within(tag, now, seconds)

    def add(self, key: str, now: float, seconds: float = 0.0) -> bool:
        """Add a key unless it was added within the last `seconds`; whether it was added now."""
        tag = self._tag(key)
        with self._memory.alone() as is_alone:
            if is_alone and self._seen.is_within(tag, now, seconds):
                return False
            if is_alone:
                self._seen.put(tag, now)
            return True

    def discard(self, key: str) -> None:
        """Forget a key."""
        tag = self._tag(key)
        with self._memory.alone() as is_alone:
            if is_alone:
                self._seen.put(tag, 0.0)

    def _tag(self, key: str) -> bytes:
        return hashlib.blake2b(
            key.encode("utf-8", "backslashreplace"), key=self._secret, digest_size=TAG_BYTES
        ).digest()
