"""Candidates: the lines of a log that can hold an answer, found without decoding the others. Pure.

A log of a year has millions of events, and a question is about few. Decoding one costs microseconds, so blocks are
searched for a text that every answer contains, and only the lines around it are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

BLOCK = 4 * 1024 * 1024
"""Bytes that are searched together."""

MAX_LINE = 1024 * 1024
"""A longer line is no event, and is dropped; the longest event is 64 KiB, and wrapping may double that."""

_PLAIN = re.compile(r"[A-Za-z0-9._:@/-]+")


_START = b'{"time":"'
_TIME_END = len(_START) + len("2026-01-31T00:00:00.000Z")


def needle_of(text: str) -> bytes:
    """The longest part of `text` that is written the same way however often an event is wrapped in JSON; may be empty.

    Quotes, backslashes and what is not ASCII are escaped, by wrappers once more.
    """
    return max(_PLAIN.findall(text), key=len, default="").encode("ascii")


def candidate_lines(read: Callable[[int], bytes], needles: Sequence[bytes]) -> Iterator[bytes]:
    """The lines that contain all `needles`, without their newline, in their order; all lines if there are none.

    `read` returns up to that many bytes, and none at the end.
    """
    wanted = sorted({needle for needle in needles if needle}, key=len, reverse=True)
    rest = b""
    is_dropping = False  # the rest of a line that is too long
    while block := read(BLOCK):
        if is_dropping:
            start = block.find(b"\n")
            if start < 0:
                continue
            block, is_dropping = block[start + 1 :], False
        block = rest + block if rest else block
        end = block.rfind(b"\n") + 1
        rest = block[end:]
        if len(rest) > MAX_LINE:
            rest, is_dropping = b"", True
        yield from _lines(block, end, wanted)
    yield from _lines(rest, len(rest), wanted)


def is_within(line: bytes, first: bytes, last: bytes) -> bool:
    """Whether the time of an event that nothing wraps is from `first` to `last`; True for every other line."""
    moment = time_of(line)
    return moment is None or first <= moment <= last


def time_of(line: bytes) -> bytes | None:
    """The time of an event that nothing wraps, in milliseconds; None for every other line."""
    if not line.startswith(_START) or line[_TIME_END : _TIME_END + 2] != b'",':
        return None
    return line[len(_START) : _TIME_END]


def _lines(block: bytes, end: int, needles: Sequence[bytes]) -> Iterator[bytes]:
    """The lines of `block` before `end`."""
    if not needles:
        yield from (line for line in block[:end].split(b"\n") if line and len(line) <= MAX_LINE)
        return
    first, *others = needles
    at = block.find(first, 0, end)
    while at >= 0:
        start = block.rfind(b"\n", 0, at) + 1
        stop = block.find(b"\n", at, end)
        stop = end if stop < 0 else stop
        if stop - start <= MAX_LINE:
            line = block[start:stop]
            if all(other in line for other in others):
                yield line
        at = block.find(first, stop, end)
