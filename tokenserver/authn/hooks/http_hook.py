"""A hook that is asked by HTTP: one signed POST for each question, with a deadline and a bounded answer.

No redirect is followed, and nothing but the answers 200, 401, 404 and 501 of docs/login-hooks.md is an answer.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tokenserver.authn.hooks.exchange import (
    MAX_ANSWER,
    HookAnswer,
    HookMisbehaved,
    HookQuestion,
    HookResult,
    UnusableHookAnswer,
    question_body,
    user_answer,
)
from tokenserver.authn.hooks.signature import HEADER, signature
from tokenserver.credentials import Secret
from tokenserver.errors import BackendUnavailable
from tokenserver.runtime.http.fetch import fetch
from tokenserver.runtime.http.response import FetchFailure

_AGENT = "tokenserver"
_RESULTS = {401: HookResult.WRONG, 404: HookResult.UNKNOWN, 501: HookResult.UNSUPPORTED}
_REDIRECTS = range(300, 400)


@dataclass(frozen=True, slots=True)
class HttpHook:
    """The hook at `url`. `deadline` is in seconds, for one question; `now` gives seconds since the epoch."""

    name: str
    url: str
    secret: Secret
    context: ssl.SSLContext
    deadline: float
    now: Callable[[], float] = field(default=time.time, repr=False)
    can_find: bool = field(default=True, init=False)

    def ask(self, question: HookQuestion) -> HookAnswer:
        """See `Hook.ask`."""
        body = question_body(question)
        outcome = fetch(
            self.url,
            context=self.context,
            deadline=self.deadline,
            agent=_AGENT,
            is_plain_local=True,
            method="POST",
            body=body,
            content_type="application/json",
            headers={HEADER: signature(self.secret, body, int(self.now()))},
            most=MAX_ANSWER,
        )
        if isinstance(outcome, FetchFailure):
            raise BackendUnavailable(self.name, f"{self.url}: {outcome.reason}: {outcome.detail}")
        if outcome.status == 200:
            if outcome.is_cut:
                raise self._unusable("is longer than 64 KiB")
            try:
                return user_answer(outcome.body)
            except UnusableHookAnswer as error:
                raise self._unusable(str(error)) from None
        result = _RESULTS.get(outcome.status)
        if result is None or (result is HookResult.UNSUPPORTED and question.password is not None):
            followed = ", and redirects are not followed" if outcome.status in _REDIRECTS else ""
            summary = f"answers with status {outcome.status}{followed}"
            raise HookMisbehaved(self.name, f"{self.url}: {summary}", summary=summary)
        return HookAnswer(result)

    def retire(self) -> None:
        """See `Hook.retire`; no connection is kept."""

    def _unusable(self, problem: str) -> HookMisbehaved:
        summary = f"its answer {problem}"
        return HookMisbehaved(self.name, f"{self.url}: {summary}", summary=summary)
