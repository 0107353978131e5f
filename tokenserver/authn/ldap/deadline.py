"""The deadline and the read limit of one login at a directory, and the errors of an unanswered request."""

from __future__ import annotations

import ssl
import time

MAX_BYTES = 4 * 1024 * 1024
"""Of all answers to one login. A user in a thousand groups needs a tenth of it; sixteen logins run concurrently."""

MAX_MESSAGES = 20_000
"""In all answers to one login: each entry is one, and each reference to another server."""


class ConnectionFailed(Exception):
    """The server cannot be reached, or did not answer. `step` is where it failed, the text says how.

    `step` is one of `resolve`, `connect`, `tls`, `send` (nothing of the request was answered) and `answer`.
    """

    def __init__(self, step: str, reason: str) -> None:
        self.step = step
        self.reason = reason
        super().__init__(reason)


class Unanswerable(Exception):
    """The server works, but cannot answer this request; another server or a retry would give the same result.

    The request cannot be encoded, or the answer is incomplete or larger than the read limit. `advice` is what the
    operator can change.
    """

    def __init__(self, reason: str, advice: str) -> None:
        self.reason = reason
        self.advice = advice
        super().__init__(reason)


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
            reason = f"the answer is larger than a login may cost ({MAX_BYTES} bytes, {MAX_MESSAGES} messages)"
            raise Unanswerable(reason, "make user_filter and groups.base narrower, or the entry smaller")


class _Allowance:
    """The bytes and messages read so far for one login."""

    __slots__ = ("messages", "size")

    def __init__(self) -> None:
        self.size = 0
        self.messages = 0


def reason_of(error: Exception) -> str:
    """The text of an error, without its number and without any data."""
    if isinstance(error, ssl.SSLError):
        return (getattr(error, "reason", None) or "the handshake failed").replace("_", " ").lower()
    if isinstance(error, OSError):
        return (error.strerror or type(error).__name__).lower()
    return type(error).__name__
