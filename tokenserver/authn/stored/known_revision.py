"""The revision of the storage that a process knows: every change up to it was committed before what begins now."""

from __future__ import annotations

from collections.abc import Callable


class KnownRevision:
    """The newest known revision, kept across reloads. `followed` is the one up to which the process has read all."""

    def __init__(self, followed: Callable[[], int]) -> None:
        self._followed = followed
        self._learned = -1

    def __call__(self) -> int:
        """The revision; lower than the newest one of the database if that has just changed."""
        return max(self._followed(), self._learned)

    def learn(self, revision: int) -> None:
        """Note a revision that the database was seen to have."""
        self._learned = max(self._learned, revision)
