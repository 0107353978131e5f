"""Large audit events: each line is bounded, each part explains itself, and together they say all of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.access_keys import RANDOM_BYTES, compose_key
from tokenserver.credentials import AccessKeyForm
from tokenserver.exchange.audit_events import (
    MAX_CITED,
    MAX_EVENT,
    MAX_RULES,
    MAX_STRING,
    cited,
    cited_together,
    members,
    shown,
    spell_time,
    split,
)
from tokenserver.patterns import parse_pattern
from tokenserver.policy.decision import Decision, Reason
from tokenserver.policy.model import Effect, Principals, Rule
from tokenserver.scopes import Resource, Scope

KEY = compose_key(AccessKeyForm.ROBOT, bytes(range(RANDOM_BYTES))).text.reveal()

SCALARS = ("event", "request_id", "method", "client", "registry", "subject", "policy", "jti", "outcome", "ms")
LISTS = ("asked", "rejected", "groups", "granted", "rules")


def exchange(resources: int, rules: int = 1, groups: int = 1, *, letter: str = "a", name: int = 200) -> dict[str, Any]:
    """An event about so many repositories, each with so many rules."""
    names = [f"repository:{number}/{'x' * name}" for number in range(resources)]
    return {
        "event": "exchange",
        "request_id": "5b0c",
        "method": "GET",
        "client": "10.1.2.3",
        "asked": [f"{one}:pull,push" for one in names],
        "rejected": [{"scope": letter * 256, "reason": "malformed name"} for _ in range(resources // 2)],
        "registry": "registry.example.com",
        "subject": "ann",
        "source": "htpasswd",
        "kind": "password",
        "groups": [f"{number}-{letter * 200}" for number in range(groups)],
        "granted": [f"{one}:pull" for one in names],
        "rules": [
            {
                "resource": one,
                "action": "pull",
                "effect": "allow",
                "rule": f"r{number}",
                "at": f"{letter * 99}:{number}",
            }
            for one in names
            for number in range(rules)
        ],
        "policy": "9f2c",
        "jti": "c41e",
        "outcome": "partial",
        "ms": 1.9,
    }


def size(event: dict[str, Any]) -> int:
    """Of the line that is written."""
    return len(f'{{"time":"{spell_time(1.0)}",{members(event)}}}\n')


def together(parts: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The concatenated lists of all parts; groups may be in several."""
    return {name: sorted({json.dumps(one) for part in parts for one in part[name]}) for name in LISTS}


CASES = [
    pytest.param(exchange(64, 12), id="many resources"),
    pytest.param(exchange(1000), id="a thousand resources"),
    pytest.param(exchange(1, 1000), id="one resource with many rules"),
    pytest.param(exchange(2, 1, 1000), id="a thousand groups"),
    pytest.param(exchange(0, 0, 1000), id="groups and nothing else"),
    pytest.param(exchange(64, 16, 1000, letter="\U0001f600"), id="nothing that is ASCII"),
    pytest.param(exchange(64, 16, 60, letter="\x7f"), id="DEL everywhere"),
]


@pytest.mark.parametrize("event", CASES)
def test_each_part_is_bounded_and_explains_itself(event: dict[str, Any]) -> None:
    """One line of JSON below the bound with who, where and what came of it; all of them say what one would."""
    assert size(event) > MAX_EVENT
    parts = split(event)
    assert len(parts) > 1
    for number, part in enumerate(parts, 1):
        assert size(part) <= MAX_EVENT
        assert (part["part"], part["parts"]) == (number, len(parts))
        assert {name: part[name] for name in SCALARS} == {name: event[name] for name in SCALARS}
    assert together(parts) == together([event])


@pytest.mark.parametrize("event", CASES)
def test_what_is_said_of_a_resource_stays_together(event: dict[str, Any]) -> None:
    """Unless it alone is too much for one line."""
    for index, part in enumerate(split(event)):
        asked = {scope.rpartition(":")[0] for scope in part["asked"]}
        others = {scope.rpartition(":")[0] for scope in part["granted"]} | {rule["resource"] for rule in part["rules"]}
        assert others <= asked or (len(event["asked"]) == 1 and index > 0)


def test_few_groups_stand_in_each_part() -> None:
    """So that one part is enough to see why something was decided."""
    event = exchange(64, 12, 5)
    assert all(part["groups"] == event["groups"] for part in split(event))


def test_parts_are_no_more_than_needed() -> None:
    """Each but the last has no room for what the next one begins with."""
    event = exchange(500)
    parts = split(event)
    assert len(parts) <= size(event) // MAX_EVENT + 2
    assert all(size(part) > MAX_EVENT - 2048 for part in parts[:-1])


def test_a_text_that_is_longer_than_any_name() -> None:
    """Whatever puts it there, the line stays bounded, and it is said that there was more."""
    event = exchange(64, 12) | {"subject": "s" * 100_000}
    parts = split(event)
    assert all(size(part) <= MAX_EVENT for part in parts)
    assert {part["subject"][-1] for part in parts} == {"…"}
    name = "\U0001f600" * 255
    assert len(json.dumps(name)) <= MAX_STRING
    assert split(exchange(64, 12) | {"subject": name})[0]["subject"] == name


def test_an_event_about_a_difference() -> None:
    """The rules of a shadow policy's difference are nested one level deeper."""
    rules = [{"action": "pull", "effect": "allow", "rule": f"r{n}", "at": "web.yaml:1"} for n in range(2000)]
    event = {
        "event": "shadow_difference",
        "request_id": "1",
        "gained": ["pull"],
        "rules": {"live": [], "shadow": rules},
    }
    parts = split(event)
    assert len(parts) > 1
    assert all(size(part) <= MAX_EVENT for part in parts)
    assert [rule for part in parts for rule in part["rules"]["shadow"]] == rules
    assert [part["rules"]["live"] for part in parts] == [[]] * len(parts)


TEXTS = st.text(max_size=300)


@given(
    st.lists(st.tuples(TEXTS, TEXTS), max_size=30),
    st.lists(TEXTS, max_size=30),
    st.text(max_size=2000),
    st.integers(40_000, MAX_EVENT),
)
def test_any_event(rules: list[tuple[str, str]], groups: list[str], subject: str, limit: int) -> None:
    """Bounded, and nothing is lost but the ends of long texts."""
    event = {
        "event": "exchange",
        "request_id": "1",
        "subject": subject,
        "groups": groups,
        "asked": [f"{resource}:pull" for resource, _ in rules],
        "rejected": [],
        "granted": [],
        "rules": [{"resource": resource, "at": at} for resource, at in rules],
    }
    parts = split(event, size=limit)
    assert max(map(size, parts)) <= limit
    assert together(parts) == together([_cut(event)])


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(json.dumps(value)) > MAX_STRING:
        return value[: MAX_STRING // 12] + "…"
    if isinstance(value, dict):
        return {key: _cut(one) for key, one in value.items()}
    return [_cut(one) for one in value] if isinstance(value, list) else value


def test_so_many_rules_are_cited() -> None:
    """The first of each action; the others are counted."""
    rules = [
        Rule.of(f"r{n:03}", Effect.ALLOW, Principals(everyone=True), [parse_pattern("**")], ["pull"])
        for n in range(100)
    ]
    reasons = [*(Reason("pull", rule) for rule in rules), Reason("push", rules[99])]
    kept, omitted = cited(reasons)
    assert [one.rule for one in kept] == [*(f"r{n:03}" for n in range(MAX_RULES)), "r099"]
    assert omitted == 100 - MAX_RULES
    assert cited(reasons[:3]) == (reasons[:3], 0)


@pytest.mark.parametrize(
    ("resources", "rules", "cited_of_each"),
    [
        pytest.param(0, 0, [], id="none"),
        pytest.param(3, 5, [5] * 3, id="all of them"),
        pytest.param(64, 20, [8] * 64, id="as many of each action as there is room for"),
        pytest.param(1000, 1, [1] * 512 + [0] * 488, id="one of each action, while there is room"),
    ],
)
def test_rules_are_cited_evenly(resources: int, rules: int, cited_of_each: list[int]) -> None:
    """The event is bounded however many resources there are, and the number of the rest is reported."""
    by = [
        Rule.of(f"r{n:03}", Effect.ALLOW, Principals(everyone=True), [parse_pattern("**")], ["pull", "push"])
        for n in range(rules)
    ]
    reasons = tuple(Reason(action, rule) for action in ("pull", "push") for rule in by)
    decisions = [
        Decision(Scope(Resource("repository", f"r{number}"), frozenset({"pull", "push"})), frozenset(), reasons)
        for number in range(resources)
    ]
    found, omitted = cited_together(decisions)
    assert [len(some) for some in found] == [2 * count for count in cited_of_each]
    assert sum(map(len, found)) + omitted == resources * rules * 2
    assert sum(map(len, found)) <= MAX_CITED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(None, None, id="nothing"),
        pytest.param("ann", "ann", id="a name"),
        pytest.param("ann.e.smith", "ann.e.smith", id="a name with dots"),
        pytest.param("eyJ" * 20_000, "eyJ" * 20_000, id="long"),
        pytest.param(KEY, "<access key>", id="an access key"),
        pytest.param(f"robot {KEY}", "<access key>", id="an access key inside"),
        pytest.param("eyJhbGciOiJ.eyJpc3Mi.c2ln-_", "<JWT>", id="a JWT"),
        pytest.param("eyJhbGciOiJ.eyJpc3Mi…", "<JWT>", id="a JWT cut off"),
        pytest.param("x eyJhbGciOiJ.eyJpc3Mi.c2ln-_ y", "<JWT>", id="a JWT inside"),
    ],
)
def test_a_credential_in_the_wrong_field(text: str | None, expected: str | None) -> None:
    """Where a client names itself or its user, a credential that can be recognized is not repeated."""
    assert shown(text) == expected
