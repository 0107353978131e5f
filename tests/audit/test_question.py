"""Questions: each condition by itself, and that the needles of a question are in each of its answers."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import pytest
from audit_lines import exchange, line, report
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.audit.question import AuditQuestion
from tokenserver.patterns import parse_pattern
from tokenserver.scopes import parse_scope

_WEB = parse_pattern("web/**")


def at(text: str) -> datetime:
    """A moment of 3 November 2026 in UTC."""
    return datetime.fromisoformat(f"2026-11-03T{text}+00:00").astimezone(UTC)


_MANAGEMENT = {
    "time": "2026-11-03T12:00:00.000Z",
    "event": "management",
    "action": "end",
    "actor": "root",
    "owner": "ann",
    "credential": "AAAABBBBCCCC",
    "client": "10.1.2.3",
}


@pytest.mark.parametrize(
    ("question", "event", "met"),
    [
        ({}, exchange(), True),
        ({}, {}, True),
        ({"event": "exchange"}, exchange(), True),
        ({"event": "management"}, exchange(), False),
        ({"user": "ann"}, exchange(), True),
        ({"user": "Ann"}, exchange(), False),
        ({"user": "ann"}, _MANAGEMENT, True),
        ({"user": "root"}, _MANAGEMENT, True),
        ({"user": "bob"}, exchange(subject=None, username="bob", outcome="invalid_credentials"), True),
        ({"robot": "ci"}, exchange(subject="robot:ci"), True),
        ({"robot": "ci"}, exchange(subject="ci"), False),
        ({"robot": "ci"}, {**_MANAGEMENT, "owner": "robot:ci"}, True),
        ({"robot": "ci"}, {**_MANAGEMENT, "robot": "ci"}, True),
        ({"workload": "release"}, exchange(workloads=["release", "any"]), True),
        ({"workload": "release"}, exchange(), False),
        ({"group": "web-devs"}, exchange(), True),
        ({"group": "web"}, exchange(), False),
        ({"registry": "registry.example.com"}, exchange(), True),
        ({"registry": "old.example.com"}, exchange(asked_as="old.example.com"), True),
        ({"registry": "x"}, exchange(), False),
        ({"request_id": "0123456789abcdef"}, exchange(), True),
        ({"request_id": "0"}, exchange(), False),
        ({"rule": "writers"}, exchange(), True),
        ({"rule": "write"}, exchange(), False),
        ({"rule": "writers"}, exchange(rules=["writers", 5]), False),
        ({"rule": "writers"}, exchange(rules="writers"), False),
        ({"credential": "AAAABBBBCCCC"}, _MANAGEMENT, True),
        ({"credential": "AAAABBBBCCCC"}, exchange(displaced=["AAAABBBBCCCC"]), True),
        ({"credential": "AAAABBBBCCCC"}, exchange(), False),
        ({"network": ip_network("10.1.0.0/16")}, exchange(), True),
        ({"network": ip_network("10.2.0.0/16")}, exchange(), False),
        ({"network": ip_network("10.1.0.0/16")}, exchange(client=None), False),
        ({"network": ip_network("::/0")}, exchange(), False),
        ({"since": at("12:00:00.250")}, exchange(), True),
        ({"since": at("12:00:00.251")}, exchange(), False),
        ({"until": at("12:00:00.250")}, exchange(), False),
        ({"until": at("12:00:00.250001")}, exchange(), True),
        ({"since": at("12:00:00")}, exchange(time="yesterday"), False),
        ({"outcome": "granted"}, exchange(), True),
        ({"outcome": "granted"}, exchange(outcome="partial"), True),
        ({"outcome": "denied"}, exchange(), False),
        ({"repository": _WEB}, exchange(), True),
        ({"repository": _WEB}, exchange(asked=["repository:webs/x:pull"], granted=[]), False),
        ({"repository": _WEB}, exchange(asked=["nonsense", 5, "registry:web/x:*"], granted=None), False),
        ({"action": "push"}, exchange(), True),
        ({"action": "delete"}, exchange(), False),
        ({"action": "delete"}, exchange(asked=["repository:web/x:*"]), True),
        ({"action": "push", "outcome": "denied"}, exchange(), False),
        ({"action": "push", "outcome": "denied"}, exchange(granted=["repository:web/site:pull"]), True),
        ({"action": "pull", "outcome": "denied"}, exchange(granted=["repository:web/site:pull"]), False),
        ({"action": "pull", "outcome": "granted"}, exchange(granted=["repository:web/site:pull"]), True),
        ({"action": "push", "outcome": "granted"}, exchange(granted=["repository:web/site:pull"]), False),
        ({"repository": _WEB, "outcome": "throttled"}, exchange(granted=None, outcome="throttled"), True),
        ({"repository": _WEB, "outcome": "throttled"}, exchange(), False),
        ({"action": "*", "outcome": "granted"}, exchange(granted=["registry:catalog:*"]), True),
        ({"repository": _WEB}, report(), True),
        ({"repository": _WEB}, report(used=["repository:infra/x:push"]), False),
        ({"repository": _WEB}, report(used=None, granted=["repository:web/x:push"]), False),
        ({"repository": _WEB}, exchange(asked=[], granted=[], used=["repository:web/x:push"]), False),
        ({"action": "push"}, report(), True),
        ({"action": "pull"}, report(), False),
        ({"action": "pull"}, report(action="mount", used=["repository:web/x:push", "repository:a/b:pull"]), True),
        ({"action": "push", "outcome": "granted"}, report(), True),
        ({"action": "push", "outcome": "denied"}, report(), False),
        ({"action": "push", "outcome": "partial"}, report(), False),
        ({"outcome": "granted"}, report(), False),
        ({"event": "registry", "user": "ann"}, report(), True),
        ({"user": "bob"}, report(), False),
        ({"robot": "ci"}, report(subject="robot:ci"), True),
        ({"robot": "ci"}, report(subject=None), False),
        ({"registry": "registry.example.com"}, report(), True),
        ({"network": ip_network("10.1.0.0/16")}, report(), True),
        ({"network": ip_network("10.0.0.0/24")}, report(), False),
        ({"group": "web-devs"}, report(), False),
        ({"rule": "writers"}, report(), False),
        ({"request_id": "fedcba9876543210"}, report(), True),
        ({"action": "push", "outcome": "denied"}, exchange(asked=["registry:catalog:*"], granted=[]), False),
        (
            {"action": "push", "outcome": "denied"},
            exchange(asked=["repository:web/x:*"], granted=["repository:web/x:pull"]),
            False,
        ),
    ],
)  # fmt: skip
def test_conditions(question: dict[str, Any], event: dict[str, Any], met: bool) -> None:
    """Whether an event meets a condition; an answer contains all needles, and is within the time of the question."""
    asked = AuditQuestion(**question)
    assert asked.is_met_by(event) is met
    if met:
        assert all(needle in line(event) for needle in asked.needles())


@pytest.mark.parametrize(
    ("network", "needles"),
    [
        ("10.1.2.3/32", [b"10.1.2.3"]),
        ("10.1.2.0/24", [b"10.1.2."]),
        ("10.1.0.0/19", [b"10.1."]),
        ("10.0.0.0/8", [b"10."]),
        ("0.0.0.0/5", []),
        ("::1/128", []),
    ],
)
def test_needles_of_networks(network: str, needles: list[bytes]) -> None:
    """What all of its addresses begin with. An address of IPv6 has several spellings."""
    assert AuditQuestion(network=ip_network(network)).needles() == needles


@pytest.mark.parametrize(
    ("pattern", "needles"),
    [
        ("web/prod/**", {b"web/prod/"}),
        ("web/site", {b"web/site"}),
        ("**", set()),
        ("*/base-*-x/end", {b"base-", b"-x", b"end"}),
    ],
)
def test_needles_of_patterns(pattern: str, needles: set[bytes]) -> None:
    """The literal parts of a pattern."""
    assert set(AuditQuestion(repository=parse_pattern(pattern)).needles()) == needles


def test_needle_of_an_action() -> None:
    """An action that was granted is named, one that was asked for may be `*`."""
    assert AuditQuestion(action="push", outcome="granted").needles() == [b"push"]
    assert AuditQuestion(action="push").needles() == []
    assert AuditQuestion(outcome="throttled").needles() == [b"throttled"]
    assert AuditQuestion(outcome="granted").needles() == []


def test_time_bounds() -> None:
    """Both in UTC and milliseconds, and everything without them."""
    bounds = AuditQuestion(
        since=datetime.fromisoformat("2026-11-03T13:00:00.0009+01:00"), until=at("12:00:00.25")
    ).time_bounds()
    assert bounds == (b"2026-11-03T12:00:00.000Z", b"2026-11-03T12:00:00.250Z")
    first, last = AuditQuestion().time_bounds()
    assert first <= b"0001-01-01T00:00:00.000Z"
    assert last > b"9999-12-31T23:59:59.999Z"


def test_accesses() -> None:
    """What is in question of a request for several repositories."""
    event = exchange(
        asked=["repository:web/a:pull,push", "repository:web/b:*", "repository:infra/c:push", "repository:web/d:push"],
        granted=["repository:web/a:pull", "repository:web/b:pull,push"],
    )
    granted, denied = AuditQuestion(repository=_WEB).accesses(event)
    assert granted == (parse_scope("repository:web/a:pull"), parse_scope("repository:web/b:pull,push"))
    assert denied == (parse_scope("repository:web/a:push"), parse_scope("repository:web/d:push"))


_NAMES = st.sampled_from(["ann", "Zoë", 'a"b', "x y", "web-devs", "robot:ci", "\\", "ü"])


@given(_NAMES, _NAMES, _NAMES)
def test_needles_are_in_answers(user: str, group: str, rule: str) -> None:
    """Also of names that JSON escapes."""
    event = exchange(subject=user, groups=[group], rules=[{"rule": rule}])
    question = AuditQuestion(user=user, group=group, rule=rule)
    assert question.is_met_by(event)
    assert all(needle in line(event) for needle in question.needles())
