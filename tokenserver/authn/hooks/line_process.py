"""A long-running process that answers questions: one line of JSON each way, strictly in turn."""

from __future__ import annotations

import time

from tokenserver.authn.hooks.child import Child, ProgramFailed
from tokenserver.authn.hooks.exchange import MAX_ANSWER


class LineProcess:
    """Asks `child`. After any failure it must be killed: a late answer must not be taken for that of another login."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self._is_out_of_turn = False

    @property
    def is_usable(self) -> bool:
        """Whether it waits for a question: it runs, and has said nothing since its last answer."""
        if self._is_out_of_turn or self.child.has_exited:
            return False
        _, written = self.child.turn(b"", 0.0)
        return not written and not self.child.has_ended_output and not self.child.has_exited

    def ask(self, line: bytes, ends: float) -> bytes:
        """The line that follows this one, without its end. `ends` is by the monotonic clock.

        Raises:
            ProgramFailed: there is none in time, or it is too long.
        """
        out, answer = line + b"\n", b""
        while b"\n" not in answer:
            left = ends - time.monotonic()
            if left <= 0:
                raise ProgramFailed("its program does not answer in time", is_late=True)
            is_over = self.child.has_ended_output or self.child.has_exited
            out, written = self.child.turn(out, left * (not is_over), until_exit=True)
            answer += written
            if is_over and not written:  # what it started may hold its output open
                raise ProgramFailed(f"its program {self.child.how_it_ended()} without an answer")
            if len(answer) > MAX_ANSWER:
                raise ProgramFailed("its program answers with a line longer than 64 KiB")
        if out:
            raise ProgramFailed("its program answers before it has read the question")
        found, _, more = answer.partition(b"\n")
        self._is_out_of_turn = bool(more)
        return found
