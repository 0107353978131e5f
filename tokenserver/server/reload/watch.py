"""The watch over one part of what is live (a user source, a folder of keys, policies): when a change of it is loaded.

Files are looked at, not their events, because that also sees a rename over, a rename away and back, and the symlink
swap of a mounted volume. A change is loaded when two looks in a row agree, so that a file that is still being written
waits. Where files have not kept still for `UNREST_SECONDS`, what keeps still is loaded anyway, beside what `settling`
finds of the others.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from tokenserver.documents.files import FilesMoved
from tokenserver.errors import Fault, LoadError
from tokenserver.runtime.background_pacing import Pace
from tokenserver.server.reload.settling import Given, Settled, settle

logger = logging.getLogger("tokenserver.live")

UNREST_SECONDS = 5.0
"""After so long without rest, files are loaded as they are; and whatever takes longer is reported."""

RETRY_SECONDS = 10.0
"""Refused files are loaded again after so long, though they look the same: the reason may have passed, as a lack of
descriptors. A load that took long is retried less often, so that it takes a twentieth of the time at most."""

Looks = Mapping[str, tuple[object, ...]]
"""What a look sees: by path, what tells each file and folder that is read from a changed one. Equal looks, equal
content."""


class Part(Protocol):
    """What is watched and loaded separately. `kind` is one of `RELOADED`; kind and `name` together are unique.

    `settles` says that single files can be given, `has_lines` that each line of a file stands by itself, as each user
    does. `pace` is that of `look` and `load`.
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
    def pace(self) -> Pace: ...

    def look(self) -> Looks:
        """The files as they are now; nothing is read."""
        ...

    def load(self, seen: Looks | None, given: Given | None = None) -> object:
        """The part as its files are.

        `seen` are the files as they have to be (None: as they are now). With `given`, files may differ: those that
        it names are taken to hold what it says, and of others that moved the content of the last good load is taken.

        Raises:
            LoadError: every fault of every file.
            FilesMoved: the files are not as in `seen`, or there is nothing to load in what was given.
        """
        ...


class Loaded(NamedTuple):
    """A part as its files are now."""

    value: object


class Delay(NamedTuple):
    """What a part waits for: `state` is `changing` or `loading`, for so many seconds; `files` are those that change."""

    state: str
    seconds: float
    files: tuple[str, ...]


class Watch:
    """The watch over one part; one thread looks, any may read. `fault` tells why the files as they are were refused,
    `failures` how often files were."""

    def __init__(
        self,
        part: Part,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        settle: Callable[[Iterable[str]], dict[str, Settled]] = settle,
    ) -> None:
        self.part = part
        self.fault: str | None = None
        self.faults: tuple[Fault, ...] = ()
        self.failures = 0
        self._monotonic = monotonic
        self._settle = settle
        self._seen: Looks = {}
        self._before: Looks = {}
        self._restless: frozenset[str] = frozenset()
        self._moving: frozenset[str] = frozenset()
        self._changing_since: float | None = None
        self._loading_since: float | None = None
        self._due = 0.0
        self._retry_at = 0.0
        self._half: dict[str, int] = {}
        self._was_small: frozenset[str] = frozenset()

    def first(self) -> object:
        """The part at the start.

        Raises:
            LoadError: at the start there is no last good one.
        """
        # Looked at before it is loaded, so that a change in between is seen.
        self._seen = self._before = self.part.look()
        return self.part.load(None)

    def look(self) -> Loaded | None:
        """Look once; the new version of the part if it has changed and could be loaded."""
        try:
            return self._look()
        except FilesMoved:
            return None
        except Exception as error:  # the server must outlive any file; only the kind is safe to log
            fault = f"unexpected {type(error).__name__}"
            if fault != self.fault:
                self._refuse(fault)
            return None

    @property
    def delays(self) -> list[Delay]:
        """For how long files have been changing without going live, and for how long they have been loading."""
        now = self._monotonic()
        since = (("changing", self._changing_since), ("loading", self._loading_since))
        files = tuple(sorted(self._moving | self._restless))
        return [Delay(state, now - begun, files) for state, begun in since if begun is not None]

    def _look(self) -> Loaded | None:
        before = self._before
        try:
            current = self._before = self.part.look()
        except Exception:
            self._seen = {}  # loaded again as soon as there is something to see
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
        # Once it is known which files never rest, nothing else has to wait for them.
        others_wait = self._moving <= self._restless and not _differing(current, self._seen) <= self._restless
        return self._load_restless(current) if others_wait or now >= self._due else None

    def _load_calm(self, current: Looks) -> Loaded | None:
        is_again = current == self._seen
        since, self._changing_since = self._changing_since, None
        try:
            value = self._load(current)
        except FilesMoved:
            self._changing_since = since
            raise
        except LoadError as error:
            if not is_again or str(error) != self.fault:
                self._refuse(str(error), error.faults)
            loaded = None
        except Exception:
            self._seen = current  # not tried again before something changes
            raise
        else:
            self.fault, self.faults = None, ()
            loaded = Loaded(value)
        self._seen = current
        self._rest()
        return loaded

    def _load_restless(self, current: Looks) -> Loaded | None:
        """Load what keeps still, and of what moves what it is found to hold; None where nothing came of it."""
        found = self._settle(self._moving) if self.part.settles else {}
        self._restless |= self._moving
        self._seen = {**current, **{path: one.stamp for path, one in found.items()}}
        given = {path: self._content(path, one) for path, one in found.items()}
        begun = self._monotonic()
        try:
            return self._load_given(current if self.part.settles else None, given)
        finally:
            end = self._monotonic()
            self._due = end + max(UNREST_SECONDS, end - begun)  # what takes long is not done all the time

    def _content(self, path: str, found: Settled) -> bytes | None:
        """The content to load of a restless file; None: that of the last good load.

        A file to which lines are added is whole at the end of each. A file that is written from its first line on is
        not, and is small in the beginning: less than half of what it was before.
        """
        so_far = found.so_far
        if so_far is None or not self.part.has_lines or not so_far.endswith(b"\n"):
            return found.content
        return so_far if self._half.get(path, 0) > 0 and path not in self._was_small else None

    def _load_given(self, seen: Looks | None, given: Given) -> Loaded | None:
        try:
            loaded = Loaded(self._load(seen, given))
        except LoadError as error:
            if str(error) != self.fault:
                self._refuse(str(error), error.faults)
            faulty = {fault.file for fault in error.faults} & {path for path, content in given.items() if content}
            if not faulty:
                return None
            with contextlib.suppress(LoadError):
                return Loaded(self._load(seen, {**given, **dict.fromkeys(faulty)}))
            return None
        self.fault, self.faults = None, ()
        return loaded

    def _load(self, seen: Looks | None, given: Given | None = None) -> object:
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
        logger.error("%s: files changed but were refused; the last good ones stay live: %s", self.part.kind, self.fault)


def _size(stamp: tuple[object, ...] | None) -> int:
    """The size of a regular file in bytes; 0 for anything else."""
    size = stamp[3] if stamp is not None and len(stamp) == 6 else 0
    return size if isinstance(size, int) else 0


def _differing(one: Looks, other: Looks) -> frozenset[str]:
    return frozenset(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))
