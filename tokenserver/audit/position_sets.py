"""Sets of positions in a chunk of events, as the index keeps them: short lists as numbers, long ones as bits. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence

CHUNK_EVENTS = 65_536
"""The most events of a chunk: a position has two bytes."""

_BITS = CHUNK_EVENTS // 8


def packed(positions: Sequence[int]) -> bytes:
    """Ascending positions as bytes: two for each, or a bit for each event of a chunk, whichever is shorter."""
    if 2 * len(positions) < _BITS:
        return struct.pack(f"<{len(positions)}H", *positions)
    bits = bytearray(_BITS)
    for position in positions:
        bits[position >> 3] |= 1 << (position & 7)
    return bytes(bits)


def united(sets: Iterable[bytes]) -> int:
    """The union of packed sets, as a number whose bits are the positions."""
    found = 0
    short: bytearray | None = None
    for one in sets:
        if len(one) == _BITS:
            found |= int.from_bytes(one, "little")
            continue
        short = bytearray(_BITS) if short is None else short
        for (position,) in struct.iter_unpack("<H", one):
            short[position >> 3] |= 1 << (position & 7)
    return found if short is None else found | int.from_bytes(short, "little")


def positions_of(bits: int) -> Iterator[int]:
    """The positions of the bits that are set, in order."""
    digits = bin(bits)[:1:-1]
    at = digits.find("1")
    while at >= 0:
        yield at
        at = digits.find("1", at + 1)


def last_positions(bits: int, most: int) -> list[int]:
    """The positions of the last set bits, at most `most` of them, the last one first."""
    digits = bin(bits)[2:]
    found: list[int] = []
    at = digits.find("1")
    while at >= 0 and len(found) < most:
        found.append(len(digits) - 1 - at)
        at = digits.find("1", at + 1)
    return found


def between(first: int, end: int) -> int:
    """All positions from `first` on, before `end`."""
    return (1 << end) - (1 << first) if first < end else 0
