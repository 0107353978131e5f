"""A visit, and its requests: all visits of a run end by one deadline, and each remembers what was not answered."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass, field, replace

from tokenserver.credentials import Secret
from tokenserver.doctor.checks.trial import Trial
from tokenserver.doctor.examination.fetch import fetch
from tokenserver.doctor.examination.token import Baseline
from tokenserver.doctor.http import FailureReason, FetchFailure, Outcome
from tokenserver.doctor.token import UnverifiedToken, open_unverified
from tokenserver.scopes import Scope

TIMEOUT = 12.0
"""Seconds for all requests of a run together, by default."""


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """The end of `seconds` on the monotonic clock, which visits side by side share."""

    seconds: float
    ends: float

    @classmethod
    def in_(cls, seconds: float) -> TimeLimit:
        """The deadline that is this number of seconds from now."""
        return cls(seconds, time.monotonic() + seconds)

    def half(self) -> TimeLimit:
        """The middle of the time that is left."""
        return TimeLimit.in_(self.left() / 2)

    def left(self) -> float:
        """Seconds until then; 0 if it has passed."""
        return max(0.0, self.ends - time.monotonic())


@dataclass(slots=True)
class Requests:
    """The requests of one visit. `unanswered` is the first that had no answer by the deadline, with the step's name."""

    context: ssl.SSLContext
    deadline: TimeLimit
    unanswered: FetchFailure | None = None

    def is_late(self) -> bool:
        """Whether a request had no answer by the deadline, so that nothing follows from those after it."""
        return self.unanswered is not None

    def send(
        self,
        step: str,
        url: str,
        *,
        authorization: Secret | None = None,
        method: str = "GET",
        body: bytes | None = None,
        is_optional: bool = False,
    ) -> Outcome:
        """Send one request as `fetch` does. `step` is what it is for. If `is_optional`, silence is not remembered."""
        left = self.deadline.left()
        outcome: Outcome = FetchFailure(FailureReason.TIMEOUT, "no time was left")
        if left > 0:
            outcome = fetch(
                url, context=self.context, authorization=authorization, deadline=left, method=method, body=body
            )
        if not isinstance(outcome, FetchFailure) or outcome.reason is not FailureReason.TIMEOUT:
            return outcome
        late = replace(outcome, detail=f"{step}: {outcome.detail}")
        if self.unanswered is None and not is_optional:
            self.unanswered = late
        return late


@dataclass(frozen=True, slots=True)
class GivenToken:
    """A token that our server issued or the operator brought, opened once. It is not trusted."""

    text: Secret
    opened: UnverifiedToken

    @classmethod
    def of(cls, text: str) -> GivenToken:
        """Open the token.

        Raises:
            UnreadableToken: the text is not a token.
        """
        return cls(Secret(text), open_unverified(text))


@dataclass(frozen=True, slots=True)
class Visit:
    """The registry to visit, the login, and the wanted scopes. If `token` is None, one is fetched.

    `files_at_fault`: the registry's configuration was read, and faults in it are already reported. `trials` are tried
    out if the registry accepts the token.
    """

    url: str
    baseline: Baseline
    requests: Requests = field(repr=False)
    login: tuple[str, Secret] | None = None
    wanted: tuple[Scope, ...] = ()
    token: GivenToken | None = None
    files_at_fault: bool = False
    trials: tuple[Trial, ...] = ()

    def send(self, step: str, target: str, token: Secret, *, is_optional: bool = False) -> Outcome:
        """The registry's answer to a request for `target` with this token."""
        sent = Secret(f"Bearer {token.reveal()}")
        return self.requests.send(step, f"{self.url}{target}", authorization=sent, is_optional=is_optional)
