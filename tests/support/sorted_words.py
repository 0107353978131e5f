"""A word list as an attacker sorts it who thinks that logins are told apart by a short digest under a known key."""

from __future__ import annotations

import hashlib
import itertools
from functools import cache


@cache
def words_of_one_tag(user: str, count: int) -> tuple[str, ...]:
    """So many passwords whose logins have the same first 16 bits under the key that stands in the source."""
    keyed = hashlib.blake2b(key=b"throttle", digest_size=32)
    found: dict[bytes, list[str]] = {}
    for number in itertools.count():
        word = f"{number:08x}"
        digest = keyed.copy()
        digest.update(f"{len(user)},{len(word)}:{user}{word}".encode())
        alike = found.setdefault(digest.digest()[:2], [])
        alike.append(word)
        if len(alike) == count:
            return tuple(alike)
    raise AssertionError("numbers do not end")
