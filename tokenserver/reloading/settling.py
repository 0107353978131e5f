"""What a file holds that never keeps still: its latest content that stood whole on disk, if that can be told.

A file that is rewritten again and again is whole between two writes. A file that somebody is still writing grows: what
it held a moment ago is the beginning of what it holds now. Only the former is taken.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

from tokenserver.errors import LoadError
from tokenserver.files import Stamp, read_file, stamp_of

WINDOW_SECONDS = 0.6
"""For so long files are observed. Whoever writes a file line by line and rests no longer than the watch does (half a
second) is seen to go on within it."""

STEP_SECONDS = 0.02
"""So often; what was the same twice in a row had rested for as long."""

MAX_FILES = 1_000
"""More files are not observed at once; the others are taken to be still written."""


class Settled(NamedTuple):
    """What was found of a file: its content, and the stamp that it had then; None where it is still being written."""

    content: bytes | None
    stamp: Stamp


Given = Mapping[str, bytes | None]
"""By path, what a restless file is to be taken to hold; None: what it held at the last good load."""


def settle(
    paths: Iterable[str],
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Settled]:
    """Observe files for `WINDOW_SECONDS`. A file that is unsafe or no file in the end, or was never there, is not
    in the result."""
    paths = sorted(paths)
    observed = [_Observed(path) for path in islice(paths, MAX_FILES)]
    end = monotonic() + WINDOW_SECONDS
    while True:
        for one in observed:
            one.look()
        if monotonic() >= end:
            break
        sleep(STEP_SECONDS)
    found = {path: Settled(None, ()) for path in islice(paths, MAX_FILES, None)}
    return found | {one.path: one.settled() for one in observed if not one.is_unreadable}


def is_growing(states: Sequence[bytes]) -> bool:
    """Whether any of the contents, in the order in which they were seen, is the beginning of the next one."""
    return any(len(before) < len(after) and after.startswith(before) for before, after in pairwise(states))


class _Observed:
    """One file, and what it held whenever it was the same twice in a row."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.is_unreadable = False
        self._stamp: Stamp = ()
        self._is_read = False
        self._states: list[Settled] = []

    def look(self) -> None:
        stamp = stamp_of(self.path)
        if stamp != self._stamp:
            self._stamp, self._is_read = stamp, False
            return
        if self._is_read:
            return
        try:
            content = read_file(Path(self.path))
        except LoadError:
            # One that comes and goes, as some editors write it, is taken as it last was.
            is_away = self._states and stamp == (errno.ENOENT,)
            self._is_read, self.is_unreadable = True, not is_away
            return
        if stamp_of(self.path) == stamp:
            self._is_read, self.is_unreadable = True, False
            self._states.append(Settled(content, stamp))

    def settled(self) -> Settled:
        contents = [state.content or b"" for state in self._states]
        # An empty file is a file that was just opened for writing; an empty one on purpose keeps still.
        if not contents or not contents[-1] or is_growing(contents):
            return Settled(None, ())
        return self._states[-1]
