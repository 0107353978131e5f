"""Events of many kinds, and questions that tell them apart, for what must answer as `AuditQuestion.is_met_by`."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

from audit_lines import exchange, report
from hypothesis import strategies as st

from tokenserver.audit.question import AuditQuestion
from tokenserver.patterns import parse_pattern


def at(text: str) -> datetime:
    """A moment of 3 November 2026 in UTC."""
    return datetime.fromisoformat(f"2026-11-03T{text}+00:00").astimezone(UTC)


_MANAGEMENT = {"event": "management", "action": "end", "actor": "root", "credential": "AAAABBBBCCCC", "client": "::1"}

EVENTS: tuple[dict[str, Any], ...] = (
    exchange(),
    exchange(time="2026-11-03T12:00:01.000Z", jti="b04a", method="POST"),
    exchange(time="2026-11-03T12:00:02Z", granted=["repository:web/site:pull"], outcome="partial", policy="b" * 64),
    exchange(time="2026-11-03T12:00:00.000Z", asked=["repository:web/x:*"], granted=["repository:web/x:pull"]),
    exchange(asked=["repository:web/x:*"], granted=[], outcome="denied", rules=["writers", 5, {"rule": 7}]),
    exchange(asked=["registry:catalog:*"], granted=["registry:catalog:*"], subject="robot:ci", groups=[]),
    exchange(asked=["nonsense", 5, "registry:web/x:*", "repository:infra/x:pull"], granted=None, rules="writers"),
    exchange(asked=["repository:web/site:pull", "repository:web/site:push"], granted=["repository:web/site:pull"]),
    exchange(subject=None, username="bob", outcome="invalid_credentials", granted=None, client=None),
    exchange(workloads=["release", "any"], subject="robot:", client="fe80::1%eth0", asked_as="old.example.com"),
    exchange(displaced=["AAAABBBBCCCC"], issued="DDDDEEEEFFFF", client="somewhere", credentials="x"),
    exchange(time="yesterday", request_id="f00d"),
    exchange(time="2026-11-03T12:00:05.000Z", outcome="throttled", granted=None, subject="\ud800", username="ä\n"),
    {**_MANAGEMENT, "time": "2026-11-03T12:00:03.000Z", "owner": "ann", "robot": "ci"},
    {**_MANAGEMENT, "time": "2026-11-03T12:00:04.000Z", "owner": "robot:ci", "outcome": "denied", "policy": 5},
    report(time="2026-11-03T12:00:00.900Z"),
    report(2, action="mount", used=["repository:web/x:push", "repository:infra/x:pull"], subject="robot:ci"),
    report(3, action="delete", used=["repository:web/x:delete"], subject=None, client="fe80::1"),
    report(4, action="unreadable", used=None, granted=["repository:web/x:push"], subject=None, reason="it has no id"),
    report(5, used=["nonsense", 5], asked=["repository:web/x:*"], outcome="granted"),
)

_VALUES: dict[str, tuple[Any, ...]] = {
    "since": (at("12:00:01"), at("12:00:00.250"), at("12:00:00.250001")),
    "until": (at("12:00:01"), at("12:00:00.250"), at("12:00:00.250001"), at("11:00:00")),
    "event": ("exchange", "management", "registry", "device"),
    "user": ("ann", "bob", "root", "Ann", "\ud800", "robot:ci"),
    "robot": ("ci", "other", ""),
    "workload": ("release", "none"),
    "group": ("web-devs", "web"),
    "repository": tuple(map(parse_pattern, ("web/**", "web/site", "**", "w*/x", "*/x", "infra/*", "we/**"))),
    "action": ("pull", "push", "delete", "*"),
    "outcome": ("granted", "denied", "partial", "throttled", "invalid_credentials"),
    "registry": ("registry.example.com", "old.example.com", "x"),
    "network": tuple(map(ip_network, ("10.0.0.0/8", "10.1.2.3/32", "::/0", "0.0.0.0/0", "::1/128", "fe80::/10"))),
    "rule": ("writers", "readers", "write"),
    "credential": ("AAAABBBBCCCC", "DDDDEEEEFFFF", "none"),
    "request_id": ("0123456789abcdef", "f00d", "0"),
}

SINGLE = [AuditQuestion(**{name: value}) for name, values in _VALUES.items() for value in values]
"""A question for each value of each condition."""

questions = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in _VALUES.items()}).map(
    lambda conditions: AuditQuestion(**conditions)
)
"""Questions of any conditions together."""
