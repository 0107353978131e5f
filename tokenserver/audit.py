"""The audit trail: one JSON line per exchange, written before the token leaves. Wraps the service.

The line is built from named fields and never from a request as it came, so that no secret can be in it. It is
ASCII, with every control character escaped, so that nothing a client sends can forge a line or move a cursor.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from tokenserver.credentials import Password
from tokenserver.errors import (
    AuthenticationRequired,
    InvalidCredentials,
    InvalidRequest,
    RequestError,
    ServiceError,
    Throttled,
    TokenserverError,
)
from tokenserver.policy.decision import Decision, Reason
from tokenserver.service import Exchange, Explain, Explanation, TokenRequest, TokenResult

MAX_TEXT = 256

_to_json = json.JSONEncoder(separators=(",", ":")).encode


class AuditUnavailable(ServiceError):
    """The line of an exchange could not be written; no token leaves."""


class Sink(Protocol):
    """Where lines go."""

    def write(self, line: bytes) -> None:
        """Write one whole line, newline included, or raise `OSError`."""
        ...


class DescriptorSink:
    """Writes to an open descriptor, a line per call, never two lines mixed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def write(self, line: bytes) -> None:
        """Write all of `line`; a short write goes on where it stopped."""
        with self._lock:
            view = memoryview(line)
            while view:
                view = view[os.write(self._descriptor, view) :]


class AuditTrail:
    """Builds the events and hands them to a sink. `now` gives seconds since the epoch."""

    def __init__(self, sink: Sink, *, now: Callable[[], float]) -> None:
        self._sink = sink
        self._now = now

    def record(self, event: dict[str, Any]) -> None:
        """Write one event with its time in front.

        Raises:
            AuditUnavailable: the sink did not take it.
        """
        moment = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds")
        line = _to_json({"time": moment.replace("+00:00", "Z"), **event})
        try:
            self._sink.write(line.replace("\x7f", "\\u007f").encode("ascii") + b"\n")
        except OSError as error:
            raise AuditUnavailable(f"the audit event could not be written: {error.strerror}") from error

    def refused(self, *, request_id: str, method: str, client: object, error: TokenserverError, ms: float) -> None:
        """Record a request that did not come as far as the service."""
        event = {
            "event": "exchange",
            "request_id": request_id,
            "method": cut(method),
            "client": None if client is None else str(client),
            "outcome": outcome_of(error),
            "reason": cut(reason_of(error)),
            "ms": round(ms, 3),
        }
        self.record(event)


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
            self._trail.record(_failure(request, error, milliseconds(start, self._monotonic())))
            raise
        self._trail.record(
            {
                **_decided(request, result, [str(access) for access in result.token.access]),
                "jti": result.token.jti,
                "outcome": _outcome(request, result),
                "ms": milliseconds(start, self._monotonic()),
            }
        )
        return result


class AuditedExplain:
    """Explanations that leave one line behind as exchanges do; the outcome of a good one is `explained`."""

    def __init__(self, inner: Explain, trail: AuditTrail, *, monotonic: Callable[[], float]) -> None:
        self._inner = inner
        self._trail = trail
        self._monotonic = monotonic

    def explain(self, request: TokenRequest) -> Explanation:
        """As the wrapped one; `AuditUnavailable` instead of an explanation whose line could not be written."""
        start = self._monotonic()
        try:
            explanation = self._inner.explain(request)
        except Exception as error:
            self._trail.record(_failure(request, error, milliseconds(start, self._monotonic())))
            raise
        granted = [str(decision.access) for decision in explanation.decisions if decision.access is not None]
        outcome = {"outcome": "explained", "ms": milliseconds(start, self._monotonic())}
        self._trail.record({**_decided(request, explanation, granted), **outcome})
        return explanation


def milliseconds(start: float, end: float) -> float:
    """The time between two readings in seconds, as events tell it."""
    return round((end - start) * 1000, 3)


def _decided(request: TokenRequest, result: TokenResult | Explanation, granted: list[str]) -> dict[str, Any]:
    return {
        **_asked(request),
        "registry": result.registry.service,
        "subject": result.identity.subject,
        "source": result.identity.source,
        "kind": result.identity.kind.value,
        "groups": sorted(result.identity.groups),
        "granted": granted,
        "rules": [_rule(decision, reason) for decision in result.decisions for reason in decision.reasons],
        "policy": result.policy,
        # Only where it is so: the source could not be asked, and what it said a while ago was used.
        **({"stale": True} if result.identity.stale else {}),
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


def _failure(request: TokenRequest, error: Exception, ms: float) -> dict[str, Any]:
    username = request.credentials.username if isinstance(request.credentials, Password) else None
    return {
        **_asked(request),
        "registry": None if request.service is None else cut(request.service),
        "username": None if username is None else cut(username),
        "outcome": outcome_of(error),
        "reason": cut(reason_of(error)),
        "ms": ms,
    }


def outcome_of(error: BaseException) -> str:
    """The one word for a failed exchange."""
    match error:
        case InvalidCredentials():
            return "invalid_credentials"
        case AuthenticationRequired():
            return "authentication_required"
        case Throttled():
            return "throttled"
        case InvalidRequest() | RequestError():
            return "invalid_request"
        case ServiceError():
            return "unavailable"
        case _:
            return "error"


def reason_of(error: BaseException) -> str:
    """What went wrong, for people who read the log. Of an unexpected error only the kind: its text is unknown."""
    if isinstance(error, InvalidCredentials):
        return error.reason
    return str(error) if isinstance(error, TokenserverError) else type(error).__name__


def cut(text: str) -> str:
    """A client's text at a bearable length."""
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"


def _asked(request: TokenRequest) -> dict[str, Any]:
    event: dict[str, Any] = {
        "event": "exchange",
        "request_id": request.request_id,
        "method": request.method,
        "client": None if request.client is None else str(request.client),
        "asked": [str(scope) for scope in request.scopes.scopes],
    }
    if request.scopes.rejected:
        event["rejected"] = [
            {"scope": cut(rejected.text), "reason": rejected.reason} for rejected in request.scopes.rejected
        ]
    return event


def _outcome(request: TokenRequest, result: TokenResult) -> str:
    """`login` (nothing asked), `granted` (all of it), `partial`, or `denied` (nothing of it)."""
    asked = request.scopes.scopes
    if not asked and not request.scopes.rejected:
        return "login"
    if not result.token.access:
        return "denied"
    whole = all(_wholly(decision.scope.actions, decision.granted) for decision in result.decisions)
    return "granted" if whole and not request.scopes.rejected else "partial"


def _wholly(asked: frozenset[str], granted: frozenset[str]) -> bool:
    """Whether all that was asked is granted; `*` asked on a repository means what the client may."""
    return asked <= granted or (asked == {"*"} and bool(granted))
