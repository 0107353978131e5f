"""The observer of reloads: it is told which version of a part goes live, before it does, and what was rejected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tokenserver.errors import Fault
from tokenserver.server.reload.watch import FileStates, ReloadablePart


class ReloadObserver(Protocol):
    """Follows what is in force. Nothing here raises, or can keep a version from going live."""

    def started(self, part: ReloadablePart, value: object) -> None:
        """The process has started with this version."""
        ...

    def going_live(
        self, part: ReloadablePart, before: object, after: object, files: tuple[FileStates, FileStates]
    ) -> None:
        """Another version is about to be in force; `files` are the states of its files before and now.

        It may be the same as before, if its files were only written again. `before` is None for a new part.
        """
        ...

    def rejected(self, part: ReloadablePart, value: object, fault: str, faults: Sequence[Fault]) -> None:
        """The current files were rejected, so `value` stays in force. `faults` are those that have a place."""
        ...


class _Unobserved:
    """Observes nothing."""

    def started(self, part: ReloadablePart, value: object) -> None:
        """See `ReloadObserver`."""

    def going_live(
        self, part: ReloadablePart, before: object, after: object, files: tuple[FileStates, FileStates]
    ) -> None:
        """See `ReloadObserver`."""

    def rejected(self, part: ReloadablePart, value: object, fault: str, faults: Sequence[Fault]) -> None:
        """See `ReloadObserver`."""


UNOBSERVED = _Unobserved()
