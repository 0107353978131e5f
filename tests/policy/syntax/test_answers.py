"""The syntax of the answer that a `who_can` test expects."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.documents.document import parse
from tokenserver.identity import spell_group
from tokenserver.policy.analysis.conditions import ALWAYS
from tokenserver.policy.machines.claim_globs import parse_claim_glob
from tokenserver.policy.machines.workloads import Workload, where_claims
from tokenserver.policy.model import Condition, Principal
from tokenserver.policy.principals import ANONYMOUS, AUTHENTICATED, ROBOTS, WORKLOADS, AllOf
from tokenserver.policy.queries.who_can import Line, Unless
from tokenserver.policy.syntax.answers import parse_answer, read_lines
from tokenserver.policy.syntax.reader import Reader
from tokenserver.policy.terms import TermError, parse_principal

OFFICE = Condition((ip_network("10.0.0.0/8"),))
UNTIL = Condition(until=datetime(2027, 1, 1, tzinfo=UTC))


def who(*texts: str) -> AllOf:
    """Principals that a client must all be."""
    return frozenset(map(parse_principal, texts))


def line(answer: AllOf, excepted: AllOf = frozenset(), when: Condition = ALWAYS, *unless: Unless) -> Line:
    """An expected line; it belongs to no rule."""
    return Line(answer, excepted, when, "", frozenset(unless))


def read(content: Any) -> tuple[list[Line], list[str]]:
    """The lines of `exactly:` and `except:`, and the faults with their places."""
    reader = Reader(parse("tests: []\n", "a.yaml"))
    return read_lines(reader, content, ("tests", 0)), [f"{fault.path}: {fault.message}" for fault in reader.faults]


def where(name: str, claim: str, *values: str) -> Principal:
    """A workload with a claim that has one of these values."""
    claims = ((claim, tuple(map(parse_claim_glob, values))),)
    return Principal("workload", where_claims(Workload(name, "", ()), claims).name)


def who_has(claim: str, *values: str) -> AllOf:
    """Any workload with a claim that has one of these values."""
    return frozenset({where("", claim, *values)})


EVE, ANN = who("user:eve"), who("user:ann")
PARTS = [frozenset({part}) for part in (AUTHENTICATED, ANONYMOUS, ROBOTS, WORKLOADS)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param({"exactly": []}, [], id="nobody"),
        pytest.param({"exactly": ["user:ann"]}, [line(ANN)], id="one"),
        pytest.param({"exactly": ["group:a & group:b"]}, [line(who("group:a", "group:b"))], id="members of both"),
        pytest.param({"exactly": ["everyone"]}, [line(part) for part in PARTS], id="everyone is four sorts of clients"),
        pytest.param({"exactly": ["everyone & group:a"]}, [line(who("group:a"))], id="everyone adds nothing to a name"),
        pytest.param(
            {"exactly": ["user:ann", "group:a"], "except": ["user:eve"]},
            [line(ANN, EVE), line(who("group:a"), EVE)],
            id="an exception of all",
        ),
        pytest.param(
            {"exactly": [{"to": "group:a", "except": ["user:ann"]}], "except": ["user:eve"]},
            [line(who("group:a"), ANN | EVE)],
            id="exceptions add up",
        ),
        pytest.param(
            {"exactly": [{"to": "authenticated", "except": ["everyone"]}]},
            [line(who("authenticated"), frozenset().union(*PARTS))],
            id="except everyone",
        ),
        pytest.param(
            {"exactly": [{"to": "user:ann", "when": {"from": "10.0.0.0/8"}}]},
            [line(ANN, frozenset(), OFFICE)],
            id="a condition",
        ),
        pytest.param(
            {"exactly": [{"to": "user:ann", "unless": [{"to": "group:b", "when": {"until": "2027-01-01"}}]}]},
            [line(ANN, frozenset(), ALWAYS, Unless(who("group:b"), frozenset(), UNTIL, ""))],
            id="unless, for some",
        ),
        pytest.param(
            {"exactly": [{"to": "user:ann", "unless": [{"except": ["user:eve"], "when": {"from": "10.0.0.0/8"}}]}]},
            [line(ANN, frozenset(), ALWAYS, Unless(frozenset(), EVE, OFFICE, ""))],
            id="unless, for everybody",
        ),
        pytest.param({"exactly": ["robots", "robot:ci"]}, [line(who("robots")), line(who("robot:ci"))], id="robots"),
        pytest.param(
            {"exactly": [{"to": "workload:w", "when": {"claims": {"env": ["a", "b"]}, "from": "10.0.0.0/8"}}]},
            [line(frozenset({where("w", "env", "a", "b")}), frozenset(), OFFICE)],
            id="claims beside another condition",
        ),
        pytest.param(
            {"exactly": [{"to": "group:a & workload:w", "when": {"claims": {"env": "a"}}}]},
            [line(who("group:a") | {where("w", "env", "a")})],
            id="claims of a member of a group",
        ),
        pytest.param(
            {"exactly": [{"to": "workloads", "unless": [{"to": "workloads", "when": {"claims": {"env": "a"}}}]}]},
            [line(who("workloads"), frozenset(), ALWAYS, Unless(who_has("env", "a"), frozenset(), ALWAYS, ""))],
            id="unless, for any workload with claims",
        ),
    ],
)
def test_lines(content: dict[str, Any], expected: list[Line]) -> None:
    """Each form of an entry."""
    assert read(content) == (expected, [])


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        pytest.param(
            {"exactly": "user:ann"}, 'tests[0].exactly: must be a list, not text; fix: write ["user:ann"]', id="no list"
        ),
        pytest.param({"exactly": ["ann"]}, "tests[0].exactly[0]: 'ann': must be everyone, auth", id="no principal"),
        pytest.param({"exactly": ["user:ann & group:"]}, "tests[0].exactly[0]: '': a name has", id="half an entry"),
        pytest.param({"exactly": [{}]}, "tests[0].exactly[0]: is empty", id="empty entry"),
        pytest.param({"exactly": [{"except": ["user:eve"]}]}, "tests[0].exactly[0]: to is missing; for", id="no to"),
        pytest.param({"exactly": [{"to": "user:a", "wen": 1}]}, "tests[0].exactly[0].wen: unknown key", id="key"),
        pytest.param({"exactly": [], "except": ["eve"]}, "tests[0].except[0]: 'eve': must be", id="exception"),
        pytest.param(
            {"exactly": [{"to": "user:a", "unless": [{"to": "b"}]}]},
            "tests[0].exactly[0].unless[0].to: 'b': must be",
            id="unless nobody",
        ),
        pytest.param(
            {"exactly": [{"to": "robots", "when": {"claims": {"env": "a"}}}]},
            "tests[0].exactly[0].when.claims: only workloads have claims; fix: write to: workload:NAME, or workloads",
            id="claims of robots",
        ),
        pytest.param(
            {"exactly": [{"to": "user:a", "unless": [{"when": {"claims": {"env": "a"}}}]}]},
            "tests[0].exactly[0].unless[0].when.claims: only workloads have claims",
            id="claims of everybody",
        ),
        pytest.param(
            {"exactly": [{"to": "user:a", "unless": []}]}, "tests[0].exactly[0].unless: is an empty list", id="unless"
        ),
    ],
)
def test_faults(content: Any, fault: str) -> None:
    """At the place of what is wrong."""
    _, faults = read(content)
    assert [one for one in faults if one.startswith(fault)] != [], faults


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("user:ann", ANN, id="one"),
        pytest.param("group:a & group:b & user:ann", who("group:a", "group:b", "user:ann"), id="three"),
        pytest.param('group:"a & b"', who('group:"a & b"'), id="a name in quotes that looks like two"),
        pytest.param("user:ann & user:ann", ANN, id="the same twice"),
        pytest.param("", None, id="nothing"),
        pytest.param("robots & group:a", who("robots", "group:a"), id="the robots of a group"),
        pytest.param("group:a & workloads & user:ann", who("workloads", "group:a", "user:ann"), id="in another order"),
        pytest.param("group:a & robots", who("robots", "group:a"), id="the robots of a group, last"),
        pytest.param("group:R & robotics", who("group:R & robotics"), id="a name that begins like robots"),
        pytest.param("group:a & workload:w & robot:r", who("group:a", "workload:w", "robot:r"), id="machines by name"),
        pytest.param("group:R & D & user:ann", who("group:R & D", "user:ann"), id="a name with the sign"),
        pytest.param("user:ann & user:", None, id="one is none"),
    ],
)
def test_parse_answer(text: str, expected: AllOf | None) -> None:
    """Principals that a client must all be."""
    if expected is None:
        with pytest.raises(TermError):
            parse_answer(text)
    else:
        assert parse_answer(text) == expected


NAMES = st.text(st.sampled_from("ab&\" '\\*$:"), min_size=1, max_size=6) | st.sampled_from(
    ["a & group:b", "a & user:b"]
)


@given(st.frozensets(NAMES, min_size=1, max_size=3))
def test_groups_of_any_name(names: frozenset[str]) -> None:
    """An answer comes back from its spelling, whatever the groups are called: none is split, and none is joined."""
    answer = frozenset(parse_principal(f"group:{spell_group(name)}") for name in names)
    assert parse_answer(" & ".join(map(str, sorted(answer)))) == answer


@given(st.text(st.sampled_from('ab&" :user'), max_size=16))
def test_any_text_is_an_answer_or_an_error(text: str) -> None:
    """No other error is raised."""
    with contextlib.suppress(TermError):
        assert parse_answer(text)
