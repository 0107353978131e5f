"""The audit trail: one JSON line per exchange, written before the token leaves. Wraps the service.

The line is built from named fields and never from a request as it came, so that no secret can be in it. It is
ASCII, with every control character escaped, so that nothing a client sends can forge a line or move a cursor.
"""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Protocol

from tokenserver.credentials import Password
from tokenserver.errors import AuditUnavailable, InvalidCredentials, PlainHttp, TokenserverError
from tokenserver.exchange.audit_events import MAX_EVENT, cited, members, split
from tokenserver.exchange.audit_outage import Outage, reason_of_errno
from tokenserver.exchange.audit_sink import DescriptorSink
from tokenserver.exchange.outcomes import outcome_of, outcome_of_ruling
from tokenserver.exchange.service import RULINGS, Exchange, Explain, Ruling, TokenRequest, TokenResult
from tokenserver.policy.decision import Decision, Reason
from tokenserver.runtime.bounded_cache import BoundedCache
from tokenserver.scopes import RejectedScope

MAX_TEXT = 256

MAX_REMEMBERED = 8 * 1024
"""Characters of a ruling's part of an event that is remembered; a longer one is spelled each time."""

_quoted = json.encoder.encode_basestring_ascii


class Sink(Protocol):
    """Where lines go."""

    def write(self, line: bytes) -> None:
        """Write one whole line, newline included, or raise `OSError`."""
        ...


class AuditTrail:
    """Builds the events and hands them to a sink.

    `now` gives seconds since the epoch, `policy` the digest of the live policies, for events without a decision. An
    event that is too large for one line becomes several; see `audit_events`.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        now: Callable[[], float],
        policy: Callable[[], str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sink = sink
        self._shared = sink if isinstance(sink, DescriptorSink) else None
        self._outage = Outage(now=now, monotonic=monotonic)
        self._now = now
        self._policy = policy
        self._spelled: BoundedCache[Ruling, _Spelled] = BoundedCache(RULINGS)
        self._second = (-1, "")  # the last one that was spelled

    def record(self, event: dict[str, Any]) -> None:
        """Write one event with its time in front.

        Raises:
            AuditUnavailable: the sink did not take it.
        """
        self._write(members(event))

    def ruled(self, request: TokenRequest, ruling: Ruling, *, ms: float, jti: str | None = None) -> None:
        """Record what came of a request that was decided; without a token (`jti`) it was explained.

        The same ruling reads the same in every event, so its part is spelled once.

        Raises:
            AuditUnavailable: the sink did not take it.
        """
        spelled = self._spelled.get(ruling)
        if spelled is None:
            spelled = _Spelled(members(_facts(ruling)), outcome_of_ruling(ruling))
            if ruling.is_memorable and len(spelled.members) <= MAX_REMEMBERED:
                self._spelled.put(ruling, spelled)
        # Spelled by hand, because these few stand in every event: both ids are the server's own.
        client = "null" if request.client is None else _spelled_address(request.client)
        start = f'"event":"exchange","request_id":"{request.request_id}","method":{_quoted(request.method)}'
        end = '"outcome":"explained"' if jti is None else f'"jti":"{jti}","outcome":"{spelled.outcome}"'
        self._write(f'{start},"client":{client},{spelled.members},{end},"ms":{ms:.3f}')

    def refused(self, *, request_id: str, method: str, client: object, error: TokenserverError, ms: float) -> None:
        """Record a request that did not come as far as the service."""
        event = {
            "event": "exchange",
            "request_id": request_id,
            "method": cut(method),
            "client": None if client is None else str(client),
            "policy": self._policy(),
            "outcome": outcome_of(error),
            "reason": cut(reason_of(error)),
            "ms": round(ms, 3),
        }
        self.record(event)

    def failed(self, request: TokenRequest, error: Exception, *, ms: float) -> None:
        """Record an exchange that ended without a decision; raises as `record` does."""
        self.record(_failure(request, error, self._policy(), ms))

    @property
    def problem(self) -> str | None:
        """Why no events are written, as far as is known; None where they are."""
        error = self._outage.error or (0 if self._shared is None else self._shared.error)
        return f"standard output takes no events: {reason_of_errno(error)}" if error else None

    def look(self) -> None:
        """Whether an outage is over, and whether one has begun that no request has met yet; to be called once a second.

        Writes the event about an outage that is over, which finds out that it is.
        """
        try:
            if self._shared is not None:
                self._shared.check()
            gap = self._outage.gap()
            if gap is None and self._shared is not None and self._shared.error:
                self._outage.failed(self._shared.error, events=0)  # another process was hit, and may be gone
                gap = self._outage.gap()
            if gap is not None:
                self._sink.write(self._line(members(gap)))
                self._outage.told(gap)
        except OSError as error:
            self._outage.failed(error.errno or errno.EIO, events=0)

    def _write(self, spelled: str) -> None:
        line = self._line(spelled)
        try:
            if len(line) <= MAX_EVENT:
                self._sink.write(line)
            else:
                self._write_split(line)
        except OSError as error:
            self._outage.failed(error.errno or errno.EIO)
            raise AuditUnavailable(f"the audit event could not be written: {error.strerror}") from error
        if self._outage.is_on:
            self._outage.is_over()

    def _write_split(self, line: bytes) -> None:
        event = json.loads(line)
        moment = event.pop("time")
        lines = [f'{{"time":"{moment}",{members(part)}}}\n'.encode("ascii") for part in split(event)]
        if self._shared is not None:
            self._shared.write_all(lines)
        else:
            for one in lines:
                self._sink.write(one)

    def _line(self, members_of_event: str) -> bytes:
        now = self._now()
        second = int(now)
        spelled = self._second
        if spelled[0] != second:
            spelled = self._second = (second, datetime.fromtimestamp(second, UTC).isoformat()[:-6])
        return f'{{"time":"{spelled[1]}.{int((now - second) * 1000):03d}Z",{members_of_event}}}\n'.encode("ascii")


@lru_cache(maxsize=4096)
def _spelled_address(address: IPv4Address | IPv6Address) -> str:
    return _quoted(str(address))


@dataclass(frozen=True, slots=True)
class _Spelled:
    """How a ruling reads in every event, and what came of it."""

    members: str
    outcome: str


class AuditedExchange:
    """An exchange that leaves one line behind, whatever happens. `monotonic` gives seconds for durations."""

    def __init__(self, inner: Exchange, trail: AuditTrail, *, monotonic: Callable[[], float]) -> None:
        self._inner = inner
        self._trail = trail
        self._monotonic = monotonic

    def exchange(self, request: TokenRequest) -> TokenResult:
        """As the wrapped exchange; `AuditUnavailable` instead of a token whose line could not be written."""
        start = self._monotonic()
        try:
            result = self._inner.exchange(request)
        except Exception as error:
            self._trail.failed(request, error, ms=(self._monotonic() - start) * 1000)
            raise
        self._trail.ruled(request, result.ruling, ms=(self._monotonic() - start) * 1000, jti=result.token.jti)
        return result


class AuditedExplain:
    """Explanations that leave one line behind as exchanges do; the outcome of a good one is `explained`."""

    def __init__(self, inner: Explain, trail: AuditTrail, *, monotonic: Callable[[], float]) -> None:
        self._inner = inner
        self._trail = trail
        self._monotonic = monotonic

    def explain(self, request: TokenRequest) -> Ruling:
        """As the wrapped one; `AuditUnavailable` instead of an explanation whose line could not be written."""
        start = self._monotonic()
        try:
            ruling = self._inner.explain(request)
        except Exception as error:
            self._trail.failed(request, error, ms=(self._monotonic() - start) * 1000)
            raise
        self._trail.ruled(request, ruling, ms=(self._monotonic() - start) * 1000)
        return ruling


def _facts(ruling: Ruling) -> dict[str, Any]:
    reasons = [(decision, *cited(decision.reasons)) for decision in ruling.decisions]
    omitted = sum(count for _, _, count in reasons)
    return {
        "asked": [str(decision.scope) for decision in ruling.decisions],
        **_rejected(ruling.rejected),
        "registry": ruling.registry.service,
        # Only where it is so: the client asked for the registry under another of its names.
        **({"asked_as": ruling.registry.asked_as} if ruling.registry.asked_as is not None else {}),
        "subject": ruling.identity.subject,
        "source": ruling.identity.source,
        "kind": ruling.identity.kind.value,
        "groups": sorted(ruling.identity.groups),
        "granted": [str(access) for access in ruling.access],
        "rules": [_rule(decision, reason) for decision, named, _ in reasons for reason in named],
        **({"rules_omitted": omitted} if omitted else {}),
        "policy": ruling.policy,
        # Only where it is so: the source could not be asked, and what it said a while ago was used.
        **({"stale": True} if ruling.identity.stale else {}),
        # Likewise: groups of which the source could not tell the name.
        **({"lost": list(ruling.identity.lost)} if ruling.identity.lost else {}),
    }


def _rule(decision: Decision, reason: Reason) -> dict[str, str]:
    rule = {
        "resource": str(decision.scope.resource),
        "action": reason.action,
        "effect": reason.effect.value,
        "rule": reason.rule,
        "at": f"{reason.file}:{reason.line}",
    }
    return rule if reason.message is None else {**rule, "message": reason.message}


def _failure(request: TokenRequest, error: Exception, policy: str, ms: float) -> dict[str, Any]:
    username = request.credentials.username if isinstance(request.credentials, Password) else None
    return {
        **_asking(request),
        "asked": [str(scope) for scope in request.scopes.scopes],
        **_rejected(request.scopes.rejected),
        "registry": None if request.service is None else cut(request.service),
        "username": None if username is None else cut(username),
        "policy": policy,
        "outcome": outcome_of(error),
        "reason": cut(reason_of(error)),
        "ms": round(ms, 3),
    }


def reason_of(error: BaseException) -> str:
    """What went wrong, for people who read the log. Of an unexpected error only the kind: its text is unknown."""
    if isinstance(error, (InvalidCredentials, PlainHttp)):
        return error.reason
    return str(error) if isinstance(error, TokenserverError) else type(error).__name__


def cut(text: str) -> str:
    """A client's text at a bearable length."""
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"


def _asking(request: TokenRequest) -> dict[str, Any]:
    return {
        "event": "exchange",
        "request_id": request.request_id,
        "method": request.method,
        "client": None if request.client is None else str(request.client),
    }


def _rejected(rejected: tuple[RejectedScope, ...]) -> dict[str, Any]:
    return {"rejected": [{"scope": cut(one.text), "reason": one.reason} for one in rejected]} if rejected else {}
