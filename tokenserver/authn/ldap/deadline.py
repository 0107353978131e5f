"""The deadline and the read limit of one login at a directory, and the errors of an unanswered request."""

from __future__ import annotations

import time

from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.failure import DirectoryError

MAX_BYTES = 4 * 1024 * 1024
"""Of all answers to one login. A user in a thousand groups needs a tenth of it; sixteen logins run concurrently."""

MAX_MESSAGES = 20_000
"""In all answers to one login: each entry is one, and each reference to another server."""


class ConnectionFailed(DirectoryError):
    """The server cannot be reached, or did not answer; another one may."""


class Unanswerable(DirectoryError):
    """The server works, but cannot answer this request; another server or a retry would give the same result.

    The request cannot be encoded, or the answer is incomplete or larger than the read limit.
    """


class Deadline:
    """The moment after which nothing is waited for, and how much may still be read until then."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._allowance = _Allowance()

    def left(self) -> float:
        """The seconds until then, always more than 0, because a socket with timeout 0 would not block.

        Raises:
            TimeoutError: it has passed.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left

    def part(self, fraction: float) -> Deadline:
        """A deadline after this fraction of what is left. The read limit is shared, not divided."""
        part = Deadline(max(self._end - time.monotonic(), 0.0) * fraction)
        part._allowance = self._allowance
        return part

    def read(self, size: int) -> None:
        """Count a message of `size` bytes, before it is read.

        Raises:
            Unanswerable: with it, the answers to this login are more than `MAX_BYTES` or `MAX_MESSAGES`.
        """
        self._allowance.size += size
        self._allowance.messages += 1
        if self._allowance.size > MAX_BYTES or self._allowance.messages > MAX_MESSAGES:
            limits = f"{MAX_BYTES} bytes, {MAX_MESSAGES} messages"
            raise Unanswerable(FailureCause.ANSWER_TOO_LARGE, detail=limits)


class _Allowance:
    """The bytes and messages read so far for one login."""

    __slots__ = ("messages", "size")

    def __init__(self) -> None:
        self.size = 0
        self.messages = 0
