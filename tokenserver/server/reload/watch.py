"""File watching for one part (a user source, a key folder, policies): decides when a change is loaded.

Files are polled, without file system events, because polling also sees a rename over, a rename away and back, and the
symlink swap of a mounted volume. A change is loaded once two polls in a row agree, so that a file that is still being
written is left alone. If files have not been at rest for `UNREST_SECONDS`, those that are at rest are loaded anyway,
with what `settling` finds of the others.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from tokenserver.documents.files import FilesChanged
from tokenserver.errors import Fault, LoadError
from tokenserver.runtime.background_pacing import Pacer
from tokenserver.server.reload.settling import Given, Settled, settle

logger = logging.getLogger("tokenserver.live")

UNREST_SECONDS = 5.0
"""Files that have been changing for this long are loaded as they are; longer delays are reported."""

RETRY_SECONDS = 10.0
"""Rejected files are retried this often although they look the same: the reason may have passed, such as a lack of
descriptors. A slow load is retried less often, so that it takes at most a twentieth of the time."""

FileStates = Mapping[str, tuple[object, ...]]
"""The result of a poll: by path, a stamp of each file and folder that is read. Equal states mean equal content."""


class ReloadablePart(Protocol):
    """A part that is watched and loaded by itself. `kind` is one of `RELOADED`; `kind` and `name` together are unique.

    `settles`: the content of single files can be given. `has_lines`: each line of a file is complete in itself, like
    that of a user. `pace` is called by `look` and `load`.
    """

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def settles(self) -> bool: ...
    @property
    def has_lines(self) -> bool: ...
    @property
    def pace(self) -> Pacer: ...

    def look(self) -> FileStates:
        """The current states of the files; nothing is read."""
        ...

    def load(self, seen: FileStates | None, given: Given | None = None) -> object:
        """Load the part from its files.

        The files must be in the states `seen` (None: any). With `given`, they may differ: it provides the content of
        the files that it names, and other files that changed count as they were at the last good load.

        Raises:
            LoadError: every fault of every file.
            FilesChanged: the files are not as in `seen`, or `given` leaves nothing to load.
        """
        ...


class Loaded(NamedTuple):
    """A newly loaded version of a part, and the states of its files at the previous load and at this one."""

    value: object
    before: FileStates
    after: FileStates


class ReloadDelay(NamedTuple):
    """Why a part is not up to date: `state` is `changing` or `loading`; `files` are those that are changing."""

    state: str
    seconds: float
    files: tuple[str, ...]


def describe(delay: ReloadDelay, files: Iterable[str] | None = None) -> str:
    """A delay as a sentence; `files` replaces the names of its files."""
    names = [*(delay.files if files is None else files)]
    listed = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    place = f" ({listed})" if listed else ""
    if delay.state == "loading":
        return f"loading for {delay.seconds:.0f} s; the previous configuration stays live until it is done"
    after = "unchanged files go live now, the others as soon as they are complete"
    return f"changing for {delay.seconds:.0f} s{place}; {after}"


class PartWatcher:
    """Watches one part; one thread calls `look`, any may read. `fault` is why the current files were rejected (None:
    they were not), `failures` the number of rejections, `states` those of the files at the last two loads. A rejection
    is logged if `is_first(line)`, since all workers of a server reject the same change."""

    def __init__(
        self,
        part: ReloadablePart,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        settle: Callable[[Iterable[str]], dict[str, Settled]] = settle,
        is_first: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self.part = part
        self.fault: str | None = None
        self.faults: tuple[Fault, ...] = ()
        self.failures = 0
        self.states: tuple[FileStates, FileStates] = ({}, {})
        self._monotonic = monotonic
        self._settle = settle
        self._is_first = is_first
        self._seen: FileStates = {}
        self._before: FileStates = {}
        self._restless: frozenset[str] = frozenset()
        self._moving: frozenset[str] = frozenset()
        self._changing_since: float | None = None
        self._loading_since: float | None = None
        self._due = 0.0
        self._retry_at = 0.0
        self._half: dict[str, int] = {}
        self._was_small: frozenset[str] = frozenset()

    def first(self) -> object:
        """Load the part at the start.

        Raises:
            LoadError: every fault, since at the start there is no previous version to keep.
        """
        # Polled before it is loaded, so that a change in between is noticed.
        self._seen = self._before = self.part.look()
        self.states = (self._seen, self._seen)
        return self.part.load(None)

    def look(self) -> Loaded | None:
        """Poll once; the new version of the part if it has changed and could be loaded."""
        try:
            return self._look()
        except FilesChanged:
            return None
        except Exception as error:  # no file may stop the server; only the type is safe to log
            fault = f"unexpected {type(error).__name__}"
            if fault != self.fault:
                self._refuse(fault)
            return None

    @property
    def delays(self) -> list[ReloadDelay]:
        """How long files have been changing without going live, and how long they have been loading."""
        now = self._monotonic()
        since = (("changing", self._changing_since), ("loading", self._loading_since))
        files = tuple(sorted(self._moving | self._restless))
        return [ReloadDelay(state, now - begun, files) for state, begun in since if begun is not None]

    def _look(self) -> Loaded | None:
        before = self._before
        try:
            current = self._before = self.part.look()
        except Exception:
            self._seen = {}  # so that it is loaded again as soon as polling works
            raise
        if current == self._seen:
            self._rest()
            is_due = self.fault is not None and self._monotonic() >= self._retry_at
            return self._load_calm(current) if is_due else None
        self._moving = _differing(before, current)
        now = self._monotonic()
        if self._changing_since is None:
            self._changing_since, self._due = now, now + UNREST_SECONDS
            self._half = {path: _size(self._seen.get(path)) // 2 for path in self._moving}
            self._was_small = frozenset()
        self._was_small |= {path for path, size in self._half.items() if _size(current.get(path)) < size}
        if not self._moving:
            return self._load_calm(current)
        # Once it is known which files are never at rest, the others do not wait for them.
        others_wait = self._moving <= self._restless and not _differing(current, self._seen) <= self._restless
        return self._load_restless(current) if others_wait or now >= self._due else None

    def _load_calm(self, current: FileStates) -> Loaded | None:
        is_again = current == self._seen
        since, self._changing_since = self._changing_since, None
        try:
            value = self._load(current)
        except FilesChanged:
            self._changing_since = since
            raise
        except LoadError as error:
            if not is_again or str(error) != self.fault:
                self._refuse(str(error), error.faults)
            loaded = None
        except Exception:
            self._seen = current  # so that it is not retried before something changes
            raise
        else:
            self.fault, self.faults = None, ()
            loaded = self._loaded(value, current)
        self._seen = current
        self._rest()
        return loaded

    def _load_restless(self, current: FileStates) -> Loaded | None:
        """Load the files at rest, with the settled content of the others; None if that did not yield a new version."""
        found = self._settle(self._moving) if self.part.settles else {}
        self._restless |= self._moving
        self._seen = {**current, **{path: one.stamp for path, one in found.items()}}
        given = {path: self._content(path, one) for path, one in found.items()}
        begun = self._monotonic()
        try:
            return self._load_given(current if self.part.settles else None, given)
        finally:
            end = self._monotonic()
            self._due = end + max(UNREST_SECONDS, end - begun)  # so that a slow load does not run all the time

    def _content(self, path: str, found: Settled) -> bytes | None:
        """The content to load for a restless file; None: that of the last good load.

        A file to which lines are appended is complete after each of them. A file that is being rewritten from the start
        is not, and can be recognised by its size: at first it is less than half of the previous one.
        """
        so_far = found.so_far
        if so_far is None or not self.part.has_lines or not so_far.endswith(b"\n"):
            return found.content
        return so_far if self._half.get(path, 0) > 0 and path not in self._was_small else None

    def _load_given(self, seen: FileStates | None, given: Given) -> Loaded | None:
        try:
            loaded = self._loaded(self._load(seen, given), self._seen)
        except LoadError as error:
            if str(error) != self.fault:
                self._refuse(str(error), error.faults)
            faulty = {fault.file for fault in error.faults} & {path for path, content in given.items() if content}
            if not faulty:
                return None
            with contextlib.suppress(LoadError):
                return self._loaded(self._load(seen, {**given, **dict.fromkeys(faulty)}), self._seen)
            return None
        self.fault, self.faults = None, ()
        return loaded

    def _loaded(self, value: object, states: FileStates) -> Loaded:
        self.states = (self.states[1], states)
        return Loaded(value, *self.states)

    def _load(self, seen: FileStates | None, given: Given | None = None) -> object:
        self._loading_since = begun = self._monotonic()
        try:
            return self.part.load(seen, given)
        finally:
            self._loading_since = None
            end = self._monotonic()
            self._retry_at = end + max(RETRY_SECONDS, 20 * (end - begun))

    def _rest(self) -> None:
        self._changing_since = None
        self._restless = self._moving = frozenset()

    def _refuse(self, fault: str, faults: tuple[Fault, ...] = ()) -> None:
        self.fault, self.faults = fault, faults
        self.failures += 1
        line = f"{self.part.kind}: reload rejected, keeping the previous configuration: {fault}"
        if self._is_first(line):
            logger.error("%s", line)


def first_values(watches: Iterable[PartWatcher]) -> tuple[dict[tuple[str, str], object], list[Fault]]:
    """The first version of each part, by its kind and name, and the faults of those that do not load."""
    values: dict[tuple[str, str], object] = {}
    faults: list[Fault] = []
    for watch in watches:
        try:
            values[watch.part.kind, watch.part.name] = watch.first()
        except LoadError as error:
            faults.extend(error.faults)
    return values, faults


def _size(stamp: tuple[object, ...] | None) -> int:
    """The size of a regular file in bytes; 0 for anything else."""
    size = stamp[3] if stamp is not None and len(stamp) == 6 else 0
    return size if isinstance(size, int) else 0


def _differing(one: FileStates, other: FileStates) -> frozenset[str]:
    return frozenset(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))
