"""The spelling of answers to "who can?": a test that is written so says exactly that."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_network

import policy_worlds as world
import pytest
import tree_machines as machines
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.documents.document import parse
from tokenserver.identity import Kind, spell_group
from tokenserver.policy.analysis.conditions import ALWAYS
from tokenserver.policy.group_names import owned_name
from tokenserver.policy.machines.workloads import where_claims
from tokenserver.policy.model import Condition, Principal
from tokenserver.policy.principals import ANONYMOUS, AUTHENTICATED, PARTS, ROBOTS, WORKLOADS, AllOf
from tokenserver.policy.queries.spelling import are_plain, spell_lines
from tokenserver.policy.queries.who_can import Line, People, Unless
from tokenserver.policy.syntax.file import read_policy_file
from tokenserver.policy.terms import parse_principal
from tokenserver.policy.testing.expectations import WhoTest

PEOPLE = People(world.policy_set([], []))
OFFICE = Condition((ip_network("10.0.0.0/8"),))
UNTIL = Condition(until=datetime(2027, 1, 1, tzinfo=UTC))


def who(*texts: str) -> AllOf:
    """Principals that a client must all be."""
    return frozenset(map(parse_principal, texts))


def line(answer: AllOf, excepted: AllOf = frozenset(), when: Condition = ALWAYS, *unless: Unless) -> Line:
    """A line of an answer."""
    return Line(answer, excepted, when, "some-rule", frozenset(unless))


ALL = (frozenset({AUTHENTICATED}), frozenset({ANONYMOUS}))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([], "exactly: []", id="nobody"),
        pytest.param([line(who("user:ann"))], 'exactly: ["user:ann"]', id="a user"),
        pytest.param([line(half) for half in ALL], "exactly: [everyone]", id="both halves"),
        pytest.param([line(ALL[0])], "exactly: [authenticated]", id="one half"),
        pytest.param([line(who("group:b", "group:a"))], 'exactly: ["group:a & group:b"]', id="members of both"),
        pytest.param(
            [line(ALL[0], who("user:eve"))],
            'exactly: [authenticated], except: ["user:eve"]',
            id="an exception of all lines",
        ),
        pytest.param(
            [line(who("group:a"), who("user:eve")), line(who("group:b"))],
            'exactly: ["group:b", {to: "group:a", except: ["user:eve"]}]',
            id="an exception of one line",
        ),
        pytest.param(
            [line(who("user:ann"), frozenset(), OFFICE)],
            'exactly: [{to: "user:ann", when: {from: ["10.0.0.0/8"]}}]',
            id="a condition",
        ),
        pytest.param(
            [line(who("user:ann"), frozenset(), ALWAYS, Unless(who("group:b"), frozenset(), UNTIL, "no-night"))],
            'exactly: [{to: "user:ann", unless: [{to: "group:b", when: {until: "2027-01-01"}}]}]',
            id="a deny under a condition",
        ),
        pytest.param(
            [line(frozenset({Principal("group", owned_name("mine", "teams/a.yaml"))}))],
            'exactly: ["group:mine"]',
            id="a file's own group, as the file calls it",
        ),
        pytest.param(
            [line(who('group:"all*stars"'))], 'exactly: ["group:\\"all*stars\\""]', id="a name that needs quotes"
        ),
    ],
)
def test_spell_lines(lines: list[Line], expected: str) -> None:
    """As the keys of a test."""
    assert spell_lines(PEOPLE, lines) == expected


MACHINES = {one.name: one for one in machines.WORKLOADS_}
HIDDEN = where_claims(MACHINES["ex"], machines.claims(r="x|y")), where_claims(None, machines.claims(e="x"))
WITH_MACHINES = People(machines.policy_set([], [], ["ci"], machines.WORKLOADS_, others=HIDDEN))
EX_R = 'exactly: [{to: "workload:ex", when: {claims: {r: [x, y]}}}]'
FOUR = [line(frozenset({part})) for part in PARTS]


def hidden_who(place: int) -> AllOf:
    """One of the workloads with claims of a rule."""
    return frozenset({Principal("workload", HIDDEN[place].name)})


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(FOUR, "exactly: [everyone]", id="everyone is machines as well"),
        pytest.param(FOUR[:3], "exactly: [anonymous, authenticated, robots]", id="three of the parts"),
        pytest.param([line(who("robots", "group:a"))], 'exactly: ["robots & group:a"]', id="the robots of a group"),
        pytest.param([line(hidden_who(0))], EX_R, id="claims"),
        pytest.param(
            [line(hidden_who(1), frozenset(), OFFICE)],
            'exactly: [{to: workloads, when: {claims: {e: [x]}, from: ["10.0.0.0/8"]}}]',
            id="claims of any workload",
        ),
        pytest.param(
            [line(who("workloads"), hidden_who(0) | who("robot:ci"))],
            'exactly: [{to: workloads, unless: [{to: "workload:ex", when: {claims: {r: [x, y]}}}]}], '
            'except: ["robot:ci"]',
            id="an exception with claims",
        ),
    ],
)
def test_spell_lines_about_machines(lines: list[Line], expected: str) -> None:
    """With the claims of rules as `when: {claims: …}`; what is spelled is read again."""
    assert spell_lines(WITH_MACHINES, lines) == expected
    file = read_policy_file(parse(f"version: 1\ntests:\n  - {{who_can: pull x, {expected}}}\n", "a.yaml"))
    assert file.faults == []


def test_are_plain() -> None:
    """Lines without exceptions and conditions."""
    assert are_plain([line(ALL[0]), line(who("user:ann"))])
    assert not are_plain([line(ALL[0], who("user:eve"))])
    assert not are_plain([line(ALL[0], frozenset(), OFFICE)])
    assert not are_plain([line(ALL[0], frozenset(), ALWAYS, Unless(frozenset(), frozenset(), OFFICE, ""))])


words = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=6).map(
    partial(unicodedata.normalize, "NFC")
)
group_names = words.map(lambda name: Principal("group", parse_principal(f"group:{spell_group(name)}").name))
named = st.frozensets(
    st.sampled_from([parse_principal("user:ann"), parse_principal("user:o'neil")]) | group_names, min_size=1, max_size=2
)
exceptions = st.just(frozenset[Principal]()) | named
conditions = st.sampled_from([ALWAYS, OFFICE, UNTIL, Condition(kinds=frozenset({Kind.PASSWORD}))])
unlesses = st.builds(Unless, exceptions, exceptions, conditions.filter(lambda one: one != ALWAYS), st.just(""))
lines_ = st.builds(
    Line, st.sampled_from(ALL) | named, exceptions, conditions, st.just(""), st.frozensets(unlesses, max_size=2)
)


@given(st.lists(lines_, max_size=3))
def test_what_is_spelled_is_read(lines: list[Line]) -> None:
    """A test that is advised means the same when a file is loaded with it, whatever groups are called."""
    text = f"version: 1\ntests:\n  - {{who_can: pull x, {spell_lines(PEOPLE, lines)}}}\n"
    file = read_policy_file(parse(text, "a.yaml"))
    assert file.faults == []
    (test,) = file.tests
    assert isinstance(test, WhoTest)
    found = [line for line in test.lines if line.who.isdisjoint({ROBOTS, WORKLOADS})]  # of which there are none here
    assert set(map(possible, found)) == set(map(possible, lines))


def possible(line: Line) -> Line:
    """The line without exceptions that nobody in it can be: an anonymous client has no name."""
    return replace(line, excepted=frozenset(one for one in line.excepted if PEOPLE.ways(line.who | {one})))
