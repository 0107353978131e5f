"""The live snapshot: what requests read now, and the watch that replaces it as a whole when a file changes.

A watch looks at the files' metadata, not at events, because that also sees a rename over, a rename away and
back, and the symlink swap of a mounted volume. A change is loaded when two looks in a row agree, so that a file
that is still being written waits. What does not load changes nothing: the last good snapshot stays.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tokenserver.errors import Fault, LoadError
from tokenserver.pace import Pace, unpaced
from tokenserver.policy.folder import MAX_DEPTH
from tokenserver.policy.gating import note_lines
from tokenserver.service import Snapshot

logger = logging.getLogger("tokenserver.live")

Fingerprint = frozenset[tuple[str, int, int, int]]


class Live:
    """Holds the snapshot. `load` makes a new one from the files, `watched` names them (files and folders).

    The watch works at this `pace`, which should be that of `load` as well.
    """

    def __init__(self, load: Callable[[], Snapshot], watched: Iterable[Path], pace: Pace | None = None) -> None:
        self._load = load
        self._watched = tuple(watched)
        self._pace = pace or Pace()
        self._seen = fingerprint(self._watched)
        self._pending: Fingerprint | None = None
        self._snapshot = load()
        self._fault: str | None = None
        self._faults: tuple[Fault, ...] = ()
        self.reloads = 0
        """How many changes went live since the start."""
        self.reload_failures = 0
        """How many were refused."""

    def snapshot(self) -> Snapshot:
        """The snapshot to use for one whole exchange."""
        return self._snapshot

    def policy(self) -> str:
        """The digest of the live policies."""
        return self._snapshot.policies.digest

    @property
    def fault(self) -> str | None:
        """Why the files as they are now were refused, or None where the snapshot is what the files say."""
        return self._fault

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults behind `fault`, as far as it has places."""
        return self._faults

    def look(self) -> bool:
        """Look at the files once; True where a new snapshot was put in place."""
        current = fingerprint(self._watched, self._pace)
        if current == self._seen:
            self._pending = None
            return False
        if current != self._pending:
            self._pending = current
            return False
        self._seen, self._pending = current, None
        try:
            snapshot = self._load()
        except LoadError as error:
            self._refuse(str(error), error.faults)
            return False
        except Exception as error:  # the server must outlive any file; the kind is all that is safe to tell
            self._refuse(f"unexpected {type(error).__name__}")
            return False
        if fingerprint(self._watched, self._pace) != current:
            # A file changed while it was read: what was loaded may be of two ages. Look again.
            self._seen = frozenset()
            return False
        self._snapshot, self._fault, self._faults = snapshot, None, ()
        self.reloads += 1
        logger.info("files changed: new policies, users and keys are live, policy %s", snapshot.policies.digest[:12])
        for line in note_lines(snapshot.policies.notes):
            logger.warning("policies: %s", line)
        return True

    def watch(self, stop: threading.Event, *, every: float = 0.5) -> None:
        """Look again and again until `stop` is set; runs in a thread of its own."""
        while not stop.wait(every):
            with self._pace.stepping_aside():
                self.look()

    def _refuse(self, fault: str, faults: tuple[Fault, ...] = ()) -> None:
        self._fault, self._faults = fault, faults
        self.reload_failures += 1
        logger.error("files changed but were refused; the last good ones stay live: %s", fault)


def fingerprint(watched: Iterable[Path], pace: Callable[[], None] = unpaced) -> Fingerprint:
    """What tells a changed file from an unchanged one: target, size, time of change, inode. Reads no content."""
    return frozenset(entry for path in watched for entry in _entries(str(path), pace))


def _entries(
    path: str, pace: Callable[[], None], above: tuple[tuple[int, int], ...] = ()
) -> Iterator[tuple[str, int, int, int]]:
    """The entry of a path and, if it is a folder, of all in it; links are followed, as they are when it is read.

    `above` are the folders that lead here: a link that leads back to one of them would never end.
    """
    yield _entry(path)
    try:
        status = os.stat(path)  # noqa: PTH116 - see `_entry`
        inode = (status.st_dev, status.st_ino)
        if not stat.S_ISDIR(status.st_mode) or inode in above or len(above) > MAX_DEPTH:
            return
        inside = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in inside:
        pace()
        is_hidden = entry.name.startswith(".")
        if is_hidden and entry.name != "..data":
            continue
        try:
            is_folder = not is_hidden and entry.is_dir(follow_symlinks=True)
        except OSError:
            is_folder = False
        if is_folder:
            yield from _entries(entry.path, pace, (*above, inode))
        else:
            yield _entry(entry.path)


def _entry(path: str) -> tuple[str, int, int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116 - for each of thousands of files a `Path` would cost as much again
    except OSError:
        return (path, -1, -1, -1)
    return (path, status.st_size, max(status.st_mtime_ns, status.st_ctime_ns), status.st_ino)
