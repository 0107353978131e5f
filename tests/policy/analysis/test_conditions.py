"""Conditions: what of them a question leaves open, whether one holds wherever another does, and networks as sets."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.identity import MACHINES, PEOPLE, Kind
from tokenserver.patterns import parse_pattern
from tokenserver.policy.analysis.conditions import (
    ALWAYS,
    Given,
    are_apart,
    as_facts,
    implies,
    left_open,
    spell_condition,
    spell_moment,
)
from tokenserver.policy.model import Condition, Context, Effect, Rule
from tokenserver.policy.networks import Network
from tokenserver.policy.principals import principals_of
from tokenserver.policy.terms import parse_principal

MAY, JUNE, JULY = (datetime(2026, month, 1, tzinfo=UTC) for month in (5, 6, 7))
TEN = ip_network("10.0.0.0/8")
SIX = ip_network("2001:db8::/32")

TIMES = [None, MAY, JUNE, JULY]
NETWORKS: list[tuple[Network, ...]] = [
    (),
    (TEN,),
    (ip_network("10.1.0.0/16"),),
    (ip_network("10.1.0.0/16"), ip_network("10.2.0.0/16")),
    (ip_network("192.168.0.0/16"),),
    (ip_network("2001:db8:1::/48"),),
    (SIX,),
    (ip_network("2001:db8:1::/48"), ip_network("10.1.0.0/16")),
    (ip_network("a00::/8"),),
]
KINDS = [frozenset[Kind](), frozenset({Kind.PASSWORD}), frozenset({Kind.ANONYMOUS}), PEOPLE]
CLIENTS = [
    ip_address(text) for text in ("10.1.0.1", "10.2.0.1", "10.9.0.1", "192.168.0.1", "2001:db8:1::1", "2001:db8::1")
] + [ip_address("a01::1")]

conditions = st.builds(
    Condition,
    st.sampled_from(NETWORKS),
    st.sampled_from(TIMES),
    st.sampled_from(TIMES),
    st.sampled_from(KINDS),
    st.sampled_from(NETWORKS),
)


def holding(condition: Condition) -> set[tuple[Any, ...]]:
    """In which of all circumstances that these conditions tell apart it holds."""
    moments = [datetime(2026, month, 15, tzinfo=UTC) for month in (4, 5, 6, 7)] + [MAY, JUNE, JULY]
    kinds = list(Kind)
    return {
        (kind, client, now)
        for kind, client, now in product(kinds, CLIENTS, moments)
        if condition.holds(kind, Context("", client, now))
    }


@given(conditions, conditions)
def test_conditions_against_counting(one: Condition, other: Condition) -> None:
    """Where one is said to imply another, or to exclude it, it does."""
    mine, others = holding(one), holding(other)
    if implies(one, other):
        assert mine <= others
    if are_apart(one, other):
        assert not mine & others
        assert are_apart(other, one)


def when(**parts: Any) -> Condition:
    for key in ("networks", "outside"):
        parts[key] = tuple(map(ip_network, parts.get(key, ())))
    parts["kinds"] = frozenset(parts.get("kinds", ()))
    return Condition(**parts)


@pytest.mark.parametrize(
    ("narrow", "wide", "expected"),
    [
        pytest.param(when(), when(), True, id="always"),
        pytest.param(when(since=JUNE), when(), True, id="less-than-always"),
        pytest.param(when(), when(since=JUNE), False, id="more-than-since"),
        pytest.param(when(since=JUNE), when(since=JUNE), True, id="same-since"),
        pytest.param(when(since=JULY), when(since=JUNE), True, id="later"),
        pytest.param(when(since=MAY), when(since=JUNE), False, id="earlier"),
        pytest.param(when(), when(until=JUNE), False, id="more-than-until"),
        pytest.param(when(until=JUNE), when(until=JUNE), True, id="same-until"),
        pytest.param(when(until=MAY), when(until=JUNE), True, id="ends-earlier"),
        pytest.param(when(until=JULY), when(until=JUNE), False, id="ends-later"),
        pytest.param(when(), when(kinds=[Kind.PASSWORD]), False, id="more-than-a-kind"),
        pytest.param(when(kinds=[Kind.PASSWORD]), when(kinds=[Kind.PASSWORD]), True, id="same-kind"),
        pytest.param(when(kinds=[Kind.PASSWORD]), when(kinds=PEOPLE), True, id="one-of-the-kinds"),
        pytest.param(when(kinds=PEOPLE | {Kind.ANONYMOUS}), when(kinds=PEOPLE), False, id="more-kinds"),
        pytest.param(when(), when(networks=["10.0.0.0/8"]), False, id="more-than-a-network"),
        pytest.param(when(networks=["10.1.0.0/16"]), when(networks=["10.0.0.0/8"]), True, id="within-a-network"),
        pytest.param(when(networks=["10.0.0.0/8"]), when(networks=["10.1.0.0/16"]), False, id="around-a-network"),
        pytest.param(when(networks=["2001:db8:1::/48"]), when(networks=["2001:db8::/32"]), True, id="within-ipv6"),
        pytest.param(when(networks=["2001:db8::/32"]), when(networks=["2001:db8:1::/48"]), False, id="around-ipv6"),
        pytest.param(when(networks=["2001:db9::/48"]), when(networks=["2001:db8::/32"]), False, id="beside-ipv6"),
        pytest.param(when(networks=["10.0.0.0/8"]), when(networks=["a00::/8"]), False, id="ipv4-in-ipv6"),
        pytest.param(when(networks=["a00::/8"]), when(networks=["10.0.0.0/8"]), False, id="ipv6-in-ipv4"),
        pytest.param(
            when(networks=["10.1.0.0/16", "11.0.0.0/8"]), when(networks=["10.0.0.0/8"]), False, id="one-outside"
        ),
        pytest.param(
            when(networks=["10.1.0.0/16", "2001:db8:1::/48"]),
            when(networks=["2001:db8::/32", "10.0.0.0/8"]),
            True,
            id="each-in-one",
        ),
        pytest.param(
            when(networks=["10.0.0.0/8"]), when(networks=["10.0.0.0/9", "10.128.0.0/9"]), True, id="in-two-together"
        ),
        pytest.param(when(outside=["10.0.0.0/8"]), when(outside=["10.1.0.0/16"]), True, id="excludes-more"),
        pytest.param(when(outside=["10.1.0.0/16"]), when(outside=["10.0.0.0/8"]), False, id="excludes-less"),
        pytest.param(when(networks=["11.0.0.0/8"]), when(outside=["10.0.0.0/8"]), True, id="outside-of-the-excluded"),
        pytest.param(
            when(networks=["10.0.0.0/8"], outside=["10.1.0.0/16"]),
            when(outside=["10.1.0.0/16"]),
            True,
            id="both-parts",
        ),
        pytest.param(
            when(outside=["128.0.0.0/1", "::/0"]), when(networks=["0.0.0.0/1"]), True, id="what-is-left-is-within"
        ),
        pytest.param(when(), when(outside=["10.0.0.0/8"]), False, id="always-and-not-from"),
    ],
)
def test_implication(narrow: Condition, wide: Condition, expected: bool) -> None:
    """Exactly."""
    assert implies(narrow, wide) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param(when(), when(), False, id="always"),
        pytest.param(when(until=JUNE), when(since=JUNE), True, id="one-after-the-other"),
        pytest.param(when(until=JULY), when(since=JUNE), False, id="overlapping"),
        pytest.param(when(until=MAY), when(since=JUNE), True, id="long-before"),
        pytest.param(when(until=MAY), when(until=JUNE), False, id="both-end"),
        pytest.param(when(since=MAY), when(since=JUNE), False, id="both-begin"),
        pytest.param(when(kinds=[Kind.PASSWORD]), when(kinds=[Kind.ANONYMOUS]), True, id="other-kinds"),
        pytest.param(when(kinds=[Kind.PASSWORD]), when(kinds=PEOPLE), False, id="a-kind-in-common"),
        pytest.param(when(kinds=[Kind.PASSWORD]), when(), False, id="a-kind-and-always"),
        pytest.param(when(networks=["10.0.0.0/8"]), when(), False, id="a-network-and-always"),
        pytest.param(when(networks=["10.0.0.0/8"]), when(networks=["10.1.0.0/16"]), False, id="around"),
        pytest.param(when(networks=["10.1.0.0/16"]), when(networks=["10.0.0.0/8"]), False, id="within"),
        pytest.param(when(networks=["10.1.0.0/16"]), when(networks=["10.2.0.0/16"]), True, id="beside"),
        pytest.param(when(networks=["10.0.0.0/8"]), when(networks=["a00::/8"]), True, id="ipv4-and-ipv6"),
        pytest.param(when(networks=["2001:db8::/32"]), when(networks=["2001:db8:1::/48"]), False, id="ipv6"),
        pytest.param(when(networks=["2001:db8:2::/48"]), when(networks=["2001:db8:1::/48"]), True, id="ipv6-beside"),
        pytest.param(
            when(networks=["10.1.0.0/16", "11.0.0.0/8"]), when(networks=["12.0.0.0/8", "11.1.0.0/16"]), False, id="one"
        ),
        pytest.param(when(networks=["10.1.0.0/16"]), when(outside=["10.0.0.0/8"]), True, id="all-of-it-excluded"),
        pytest.param(when(networks=["10.0.0.0/8"]), when(outside=["10.1.0.0/16"]), False, id="a-part-excluded"),
        pytest.param(when(outside=["10.0.0.0/8"]), when(outside=["11.0.0.0/8"]), False, id="both-exclude"),
    ],
)
def test_apart(one: Condition, other: Condition, expected: bool) -> None:
    """Two conditions are apart where they never hold at the same time."""
    assert are_apart(one, other) is expected
    assert are_apart(other, one) is expected


def rule(condition: Condition | None, *, deny: bool = False, services: frozenset[str] | None = None) -> Rule:
    everyone = principals_of([parse_principal("everyone")])
    effect = Effect.DENY if deny else Effect.ALLOW
    return Rule.of("r", effect, everyone, [parse_pattern("a")], {"pull"}, condition=condition, services=services)


INSIDE = when(networks=["10.0.0.0/8"])
OUTSIDE = when(outside=["10.0.0.0/8"])
SEASON = when(since=MAY, until=JULY)
PASSWORDS = when(kinds=[Kind.PASSWORD])


@pytest.mark.parametrize(
    ("asked", "anonymous", "given_", "expected"),
    [
        pytest.param(rule(None), False, Given(""), ALWAYS, id="no-condition"),
        pytest.param(rule(None, services=frozenset({"one"})), False, Given("one"), ALWAYS, id="its-registry"),
        pytest.param(rule(None, services=frozenset({"one"})), False, Given("two"), None, id="another-registry"),
        pytest.param(rule(SEASON), False, Given(""), SEASON, id="time-is-open"),
        pytest.param(rule(SEASON), False, Given("", now=JUNE), ALWAYS, id="in-time"),
        pytest.param(rule(SEASON), False, Given("", now=MAY), ALWAYS, id="just-in-time"),
        pytest.param(rule(SEASON), False, Given("", now=JULY), None, id="too-late"),
        pytest.param(rule(when(since=JUNE)), False, Given("", now=MAY), None, id="too-early"),
        pytest.param(rule(INSIDE), False, Given(""), INSIDE, id="address-is-open"),
        pytest.param(rule(INSIDE), False, Given("", ip_address("10.1.1.1")), ALWAYS, id="inside"),
        pytest.param(rule(INSIDE), False, Given("", ip_address("11.1.1.1")), None, id="outside"),
        pytest.param(rule(INSIDE), False, Given("", is_closed=True), None, id="unknown-for-an-allow"),
        pytest.param(rule(INSIDE, deny=True), False, Given("", is_closed=True), ALWAYS, id="unknown-for-a-deny"),
        pytest.param(rule(SEASON), False, Given("", is_closed=True), SEASON, id="closed-and-no-network"),
        pytest.param(
            rule(INSIDE), False, Given("", ip_address("10.1.1.1"), is_closed=True), ALWAYS, id="closed-and-inside"
        ),
        pytest.param(rule(OUTSIDE), False, Given(""), OUTSIDE, id="not-from-is-open"),
        pytest.param(rule(OUTSIDE), False, Given("", ip_address("11.0.0.1")), ALWAYS, id="outside"),
        pytest.param(rule(OUTSIDE), False, Given("", ip_address("10.0.0.1")), None, id="not-outside"),
        pytest.param(rule(OUTSIDE), False, Given("", is_closed=True), None, id="not-from-unknown-for-an-allow"),
        pytest.param(rule(OUTSIDE, deny=True), False, Given("", is_closed=True), ALWAYS, id="not-from-unknown-denied"),
        pytest.param(rule(PASSWORDS), False, Given(""), PASSWORDS, id="one-of-two-kinds"),
        pytest.param(rule(PASSWORDS), True, Given(""), None, id="a-kind-that-nobody-has-here"),
        pytest.param(rule(when(kinds=PEOPLE)), False, Given(""), ALWAYS, id="every-kind"),
        pytest.param(rule(when(kinds=[Kind.ANONYMOUS])), True, Given(""), ALWAYS, id="every-kind-of-nobody"),
        pytest.param(rule(when(kinds=[Kind.ANONYMOUS, *PEOPLE])), False, Given(""), ALWAYS, id="those-that-can-be"),
        pytest.param(
            rule(when(networks=["10.0.0.0/8"], since=MAY, until=JULY, kinds=PEOPLE)),
            False,
            Given("", ip_address("10.1.1.1"), JUNE),
            ALWAYS,
            id="all-is-settled",
        ),
    ],
)
def test_what_is_left_open(asked: Rule, anonymous: bool, given_: Given, expected: Condition | None) -> None:
    """What the question does not say stays a condition; what it says settles it, one way or the other."""
    assert left_open(asked, frozenset({Kind.ANONYMOUS}) if anonymous else PEOPLE, given_) == expected


def test_every_credential_but_none() -> None:
    """People and machines have different ones."""
    assert frozenset(Kind) - {Kind.ANONYMOUS} == PEOPLE | MACHINES.keys()
    assert PEOPLE.isdisjoint(MACHINES)


@pytest.mark.parametrize(
    ("condition", "facts", "text"),
    [
        pytest.param(ALWAYS, {}, "", id="always"),
        pytest.param(
            when(networks=["10.0.0.0/8", "2001:db8::/32"]),
            {"from": ["10.0.0.0/8", "2001:db8::/32"]},
            "from 10.0.0.0/8 or 2001:db8::/32",
            id="networks",
        ),
        pytest.param(
            when(networks=["10.0.0.0/8"], outside=["10.1.0.0/16"]),
            {"from": ["10.0.0.0/8"], "not_from": ["10.1.0.0/16"]},
            "from 10.0.0.0/8, not from 10.1.0.0/16",
            id="not-from",
        ),
        pytest.param(
            SEASON, {"since": "2026-05-01", "until": "2026-07-01"}, "since 2026-05-01, until 2026-07-01", id="t"
        ),
        pytest.param(PASSWORDS, {"kind": ["password"]}, "kind password", id="kind"),
    ],
)
def test_spelling(condition: Condition, facts: dict[str, Any], text: str) -> None:
    """In the words of a policy file."""
    assert as_facts(condition) == facts
    assert spell_condition(condition) == text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        pytest.param(JUNE, "2026-06-01", id="day"),
        pytest.param(datetime(2026, 6, 1, 12, 30, 5, tzinfo=UTC), "2026-06-01T12:30:05Z", id="second"),
        pytest.param(datetime(2026, 6, 1, microsecond=5, tzinfo=UTC), "2026-06-01T00:00:00.000005Z", id="microsecond"),
        pytest.param(datetime(2026, 6, 1, 0, 0, 1, tzinfo=UTC), "2026-06-01T00:00:01Z", id="just-after-midnight"),
    ],
)
def test_a_moment_is_spelled_as_short_as_can_be(moment: datetime, text: str) -> None:
    """And no shorter."""
    assert spell_moment(moment) == text
