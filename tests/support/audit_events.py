"""Audit events as a log has them, whole and in parts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from tokenserver.patterns import parse_pattern
from tokenserver.policy.index import build_index
from tokenserver.policy.model import Condition, Effect, Groups, PolicySet, Principals, Rule
from tokenserver.policy.terms import parse_network


def event(asked: str, granted: str = "", /, **fields: Any) -> dict[str, Any]:
    """An event as the audit trail writes it; scopes are separated by spaces."""
    whole = {
        "time": "2026-05-01T12:00:00.000Z",
        "event": "exchange",
        "client": "10.1.2.3",
        "asked": [f"repository:{scope}" for scope in asked.split()],
        "registry": "reg",
        "subject": "ann",
        "source": "htpasswd",
        "kind": "password",
        "groups": ["web"],
        "granted": [f"repository:{scope}" for scope in granted.split()],
        "outcome": "granted",
    }
    return {**whole, **fields}


def lines(*events: dict[str, Any]) -> list[bytes]:
    """The events as lines of a log."""
    return [json.dumps(one).encode() + b"\n" for one in events]


def parts(count: int, request: str = "r1", **fields: Any) -> list[dict[str, Any]]:
    """An exchange in so many parts: each asks for one repository and names one group."""
    return [
        event(
            f"web/{number}:push", f"web/{number}:push", groups=[f"g{number}"], request_id=request, part=number,
            parts=count, **fields,
        )
        for number in range(1, count + 1)
    ]  # fmt: skip


NOW = datetime(2026, 6, 1, tzinfo=UTC)
UNTIL = Condition(until=NOW)
OFFICE = Condition(networks=(parse_network("10.0.0.0/8"),))
RULES = (
    Rule.of("web", Effect.ALLOW, Principals(groups=frozenset({"web"})), [parse_pattern("web/**")], ["pull", "push"]),
    Rule.of("frozen", Effect.DENY, Principals(everyone=True), [parse_pattern("web/prod/*")], ["push"]),
    Rule.of("public", Effect.ALLOW, Principals(anonymous=True), [parse_pattern("public/*")], ["pull"]),
    Rule.of(
        "ended", Effect.ALLOW, Principals(users=frozenset({"ann"})), [parse_pattern("old")], ["pull"], condition=UNTIL
    ),
    Rule.of(
        "office", Effect.ALLOW, Principals(users=frozenset({"ann"})), [parse_pattern("in")], ["pull"], condition=OFFICE
    ),
    Rule.of(
        "here",
        Effect.ALLOW,
        Principals(users=frozenset({"ann"})),
        [parse_pattern("here")],
        ["pull"],
        services=frozenset({"reg"}),
    ),
)


POLICIES = PolicySet("", (), RULES, Groups.of_all([]), build_index(RULES))
