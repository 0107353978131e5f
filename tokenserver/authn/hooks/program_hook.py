"""A hook that is a program, with processes that answer many questions: a line of JSON each way."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

from tokenserver.authn.hooks.child import Child, ProgramFailed
from tokenserver.authn.hooks.exchange import (
    HookAnswer,
    HookQuestion,
    HookResult,
    UnusableHookAnswer,
    line_answer,
    question_body,
)
from tokenserver.authn.hooks.line_process import LineProcess
from tokenserver.authn.hooks.process_pool import ProcessPool
from tokenserver.authn.hooks.program_log import LineBudget, ProgramLog
from tokenserver.runtime.tracing.spans import traced


class ProgramHook:
    """Asks processes of `command`, of which there are at most `workers`. `deadline` is in seconds, for one question."""

    can_find = True

    def __init__(self, name: str, command: Sequence[str], *, workers: int, deadline: float) -> None:
        self._command = tuple(command)
        self._deadline = deadline
        self._budget = LineBudget(name)
        self._pool = ProcessPool(name, self._process, size=workers)

    @traced("hook program")
    def ask(self, question: HookQuestion) -> HookAnswer:
        """See `Hook.ask`."""
        ends = time.monotonic() + self._deadline
        number = secrets.token_hex(8)  # which no program can have guessed for an answer in advance
        with self._pool.process(ends) as process:
            line = process.ask(question_body(question, number), ends)
            try:
                answer = line_answer(line, number)
            except UnusableHookAnswer as error:
                raise ProgramFailed(f"the answer of its program {error}") from None
            if answer.result is HookResult.UNSUPPORTED and question.password is not None:
                raise ProgramFailed("its program does not support logins")
            return answer

    def retire(self) -> None:
        """See `Hook.retire`."""
        self._pool.retire()

    def _process(self) -> LineProcess:
        return LineProcess(Child(self._command, ProgramLog(self._budget)))
