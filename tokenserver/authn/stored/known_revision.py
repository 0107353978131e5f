"""The revision of the storage that a process knows: every change up to it was committed before what begins now.

A command that changes the file of a user source ends logins after that. So users who are loaded from the file as it is
once a revision is known are those after every end up to that revision.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

from tokenserver.authn.authenticator import FromFile

NOT_LOADED_YET = "has changed a moment ago, and is not loaded yet"
"""What is wrong with users who are not those of their file."""


class KnownRevision:
    """The newest known revision, kept across reloads. `followed` is the one up to which the process has read all."""

    def __init__(self, followed: Callable[[], int]) -> None:
        self._followed = followed
        self._learned = -1
        self._confirmed: WeakKeyDictionary[FromFile, int] = WeakKeyDictionary()

    def __call__(self) -> int:
        """The revision; lower than the newest one of the database if that has just changed."""
        return max(self._followed(), self._learned)

    def learn(self, revision: int) -> None:
        """Note a revision that the database was seen to have."""
        self._learned = max(self._learned, revision)

    def of_users(self, source: FromFile) -> int:
        """The newest known revision at which these users were seen to be those of their file; -1: none."""
        known = self()
        if source.is_current():  # only then: the file may have been changed before the revision was known
            self._confirmed[source] = known
        return self._confirmed.get(source, -1)
