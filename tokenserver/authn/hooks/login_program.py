"""A hook that is a program written for `ext_auth` of docker_auth: a process for each login, with an exit code.

Its input is the user, a blank and the password, so it cannot tell which blank separates them: users with one are not
its own. It is for migrations; a `ProgramHook` does not start a process for each login.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Sequence

from tokenserver.authn.hooks.child import Child, ProgramFailed
from tokenserver.authn.hooks.exchange import (
    MAX_ANSWER,
    HookAnswer,
    HookQuestion,
    HookResult,
    UnusableHookAnswer,
    labelled_answer,
)
from tokenserver.authn.hooks.program_log import LineBudget, ProgramLog
from tokenserver.errors import Overloaded

ALLOWED, DENIED, NO_MATCH = 0, 1, 2
"""The exit codes; any other means that the program cannot tell."""


class LoginProgram:
    """Starts `command` for each login, at most `workers` concurrently. `deadline` is in seconds, for one login.

    The values of the labels `plain` are groups by themselves.
    """

    can_find = False

    def __init__(
        self, name: str, command: Sequence[str], *, workers: int, deadline: float, plain: Collection[str] = ()
    ) -> None:
        self._name = name
        self._command = tuple(command)
        self._deadline = deadline
        self._plain = frozenset(plain)
        self._budget = LineBudget(name)
        self._slots = threading.BoundedSemaphore(workers)

    def ask(self, question: HookQuestion) -> HookAnswer:
        """See `Hook.ask`. A name or a password that the program would read as another one is nobody's."""
        if question.password is None:
            return HookAnswer(HookResult.UNSUPPORTED)
        password = question.password.reveal()
        if " " in question.user or "\n" in password:
            return HookAnswer(HookResult.UNKNOWN)
        ends = time.monotonic() + self._deadline
        if not self._slots.acquire(timeout=self._deadline):
            raise Overloaded(self._name, "all processes of its program are busy")
        try:
            return self._answer(question.user, f"{question.user} {password}".encode(), ends)
        except ProgramFailed as error:
            raise error.of_source(self._name) from None
        finally:
            self._slots.release()

    def retire(self) -> None:
        """See `Hook.retire`; each process ends with its login."""

    def _answer(self, user: str, sent: bytes, ends: float) -> HookAnswer:
        child = Child(self._command, ProgramLog(self._budget))
        try:
            code, output = _run(child, sent, ends)
        finally:
            child.kill()
        if code == DENIED:
            return HookAnswer(HookResult.WRONG)
        if code == NO_MATCH:
            return HookAnswer(HookResult.UNKNOWN)
        if code != ALLOWED:
            how = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
            raise ProgramFailed(f"its program {how}")
        try:
            return labelled_answer(output, user, self._plain)
        except UnusableHookAnswer as error:
            raise ProgramFailed(f"the output of its program {error}") from None


def _run(child: Child, sent: bytes, ends: float) -> tuple[int, bytes]:
    """The exit code of a process that is given this input, and its output."""
    output = b""
    while (code := child.exit_code()) is None:
        left = ends - time.monotonic()
        if left <= 0:
            raise ProgramFailed("its program does not end in time", is_late=True)
        sent, written = child.turn(sent, left, until_exit=True)
        if not sent:
            child.end_input()
        output = _bounded(output + written)
    while written := child.turn(b"", 0.0)[1]:  # what it has written before it ended
        output = _bounded(output + written)
    return code, output


def _bounded(output: bytes) -> bytes:
    if len(output) > MAX_ANSWER:
        raise ProgramFailed("its program writes more than 64 KiB")
    return output
