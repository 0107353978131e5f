"""How asking a directory ends without an answer: the one deadline of a login, and the step that failed."""

from __future__ import annotations

import time


class ConnectionFailed(Exception):
    """The server cannot be asked, or gave no answer. `step` is where it failed, the text says how.

    `step` is one of `resolve`, `connect`, `tls`, `send` (nothing of the request was answered) and `answer`.
    """

    def __init__(self, step: str, reason: str) -> None:
        self.step = step
        self.reason = reason
        super().__init__(reason)


class Deadline:
    """A moment after which nothing is waited for any more."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

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
        """A deadline after this fraction of what is left."""
        return Deadline(max(self._end - time.monotonic(), 0.0) * fraction)
