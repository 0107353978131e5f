"""Settling: the latest complete content of a file that is never at rest, if there is one.

A file that is rewritten repeatedly is complete between two writes. A file that is still being written grows: its
earlier content is a prefix of the current one. Only the former is used.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

from tokenserver.documents.files import Stamp, read_file, stamp_of
from tokenserver.errors import LoadError

WINDOW_SECONDS = 0.6
"""How long files are observed: longer than the half second of rest after which a file counts as complete, so that a
slow writer is caught writing."""

STEP_SECONDS = 0.02
"""How often a file is polled. A file that is unchanged at two polls in a row was at rest in between."""

MAX_FILES = 1_000
"""Number of files that are observed concurrently; any beyond count as still being written."""


class Settled(NamedTuple):
    """The content of a file and the stamp that it had then; None for a file that is still being written.

    `so_far` is the current content of a file that only grows.
    """

    content: bytes | None
    stamp: Stamp
    so_far: bytes | None = None


Given = Mapping[str, bytes | None]
"""By path, the content to load instead of the current one of a restless file; None: that of the last good load."""


def settle(
    paths: Iterable[str],
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Settled]:
    """Observe files for `WINDOW_SECONDS`. The result omits files that never existed, and those that are unsafe or not
    regular files at the end."""
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
    """Whether any of the contents, in the order in which they were seen, is a proper prefix of the next one."""
    return any(len(before) < len(after) and after.startswith(before) for before, after in pairwise(states))


def _only_grows(states: Sequence[bytes]) -> bool:
    return all(after.startswith(before) for before, after in pairwise(states))


class _Observed:
    """One file, and its content each time that it was unchanged at two polls in a row."""

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
            # A file that comes and goes, as some editors write it, keeps its last content.
            is_away = self._states and stamp == (errno.ENOENT,)
            self._is_read, self.is_unreadable = True, not is_away
            return
        if stamp_of(self.path) == stamp:
            self._is_read, self.is_unreadable = True, False
            self._states.append(Settled(content, stamp))

    def settled(self) -> Settled:
        contents = [state.content or b"" for state in self._states]
        # An empty file was probably just opened for writing; one that is empty on purpose stays at rest.
        if not contents or not contents[-1]:
            return Settled(None, ())
        if is_growing(contents):
            return Settled(None, (), contents[-1] if _only_grows(contents) else None)
        return self._states[-1]
