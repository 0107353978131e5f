"""How asking a directory ends without an answer, and what one login may cost: its deadline, and how much is read."""

from __future__ import annotations

import ssl
import time

MAX_BYTES = 4 * 1024 * 1024
"""Of all answers to one login. A user in a thousand groups needs a tenth of it; sixteen logins are asked at a time."""

MAX_MESSAGES = 20_000
"""In all answers to one login: each entry is one, and each reference to another server."""


class ConnectionFailed(Exception):
    """The server cannot be asked, or gave no answer. `step` is where it failed, the text says how.

    `step` is one of `resolve`, `connect`, `tls`, `send` (nothing of the request was answered) and `answer`.
    """

    def __init__(self, step: str, reason: str) -> None:
        self.step = step
        self.reason = reason
        super().__init__(reason)


class Unanswerable(Exception):
    """The server works, but not for this question: another server or another try would come to the same.

    It cannot be written, the server tells only a part of the answer, or the answer is larger than what is read of it.
    `advice` is what the operator can change.
    """

    def __init__(self, reason: str, advice: str) -> None:
        self.reason = reason
        self.advice = advice
        super().__init__(reason)


class Deadline:
    """A moment after which nothing is waited for any more, and what may still be read until then."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._allowance = _Allowance()

    def left(self) -> float:
        """The seconds until then, never none: a socket that is given 0 would not wait at all.

        Raises:
            TimeoutError: it has passed.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left

    def part(self, fraction: float) -> Deadline:
        """A deadline after this fraction of what is left. What may be read is not divided: it is one sum for both."""
        part = Deadline(max(self._end - time.monotonic(), 0.0) * fraction)
        part._allowance = self._allowance
        return part

    def read(self, size: int) -> None:
        """Take note of a message of so many bytes, before it is read.

        Raises:
            Unanswerable: with it, the answers to this login are more than `MAX_BYTES` or `MAX_MESSAGES`.
        """
        self._allowance.size += size
        self._allowance.messages += 1
        if self._allowance.size > MAX_BYTES or self._allowance.messages > MAX_MESSAGES:
            reason = f"the answer is larger than a login may cost ({MAX_BYTES} bytes, {MAX_MESSAGES} messages)"
            raise Unanswerable(reason, "make user_filter and groups.base narrower, or the entry smaller")


class _Allowance:
    """What was read so far for one login."""

    __slots__ = ("messages", "size")

    def __init__(self) -> None:
        self.size = 0
        self.messages = 0


def reason_of(error: Exception) -> str:
    """What an error says, without its number and without what it repeats of the data."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "the handshake failed").replace("_", " ").lower()
    if isinstance(error, OSError):
        return (error.strerror or type(error).__name__).lower()
    return type(error).__name__
