"""Rows of a diff: their principals in words, and rows that say no more than others."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tokenserver.identity import ANONYMOUS as NOBODY
from tokenserver.identity import Identity, Kind
from tokenserver.patterns import parse_pattern
from tokenserver.policy.budget import Budget
from tokenserver.policy.diff.rows import DiffRow, spell_who, spelled, uncovered
from tokenserver.policy.index import build_index
from tokenserver.policy.machines.claim_globs import parse_claim_glob
from tokenserver.policy.machines.workloads import membership, where_claims
from tokenserver.policy.model import Context, Group, Groups, PolicySet, Principal
from tokenserver.policy.terms import parse_principal

CONTEXT = Context("one", None, datetime(2026, 6, 1, tzinfo=UTC))
ANN, CI, BUILD = (Identity("x", kind) for kind in (Kind.PASSWORD, Kind.ROBOT, Kind.WORKLOAD))
GROUPS = Groups.of_all(
    [
        Group("bots", frozenset({"robot:ci"})),
        Group("builds", groups=frozenset({membership("w")})),
        Group("web", frozenset({"ann", "robot:ci"}), frozenset({membership("w")})),
    ]
)
TREES = [PolicySet("", (), (), groups, build_index([])) for groups in (GROUPS, Groups.of_all([]))]


def test_captures_are_spelled_as_in_the_rule() -> None:
    """Like the groups that they stand for."""
    who = frozenset({Principal("capture", "r-{t}-w"), Principal("user", "ann"), Principal("directory", "web")})
    assert spell_who(who) == "group:r-{t}-w & directory group web & user:ann"


def test_parts_of_workloads_are_spelled_in_words() -> None:
    """With the claims that a rule demands."""
    part = where_claims(None, (("env", (parse_claim_glob("prod"),)),)).name
    who = [Principal("workload", f"web{part}"), Principal("workload", part), Principal("workload", "ops")]
    assert spell_who(who) == "workloads where env is prod & workload:ops & workload:web where env is prod"


@pytest.mark.parametrize(
    ("who", "identity", "expected"),
    [
        pytest.param("anonymous", NOBODY, "anonymous", id="anonymous"),
        pytest.param("authenticated", ANN, "authenticated", id="people"),
        pytest.param("authenticated user:ann", ANN, "user:ann", id="a-user"),
        pytest.param("group:web", ANN, "group:web", id="a-user-of-a-group"),
        pytest.param("robots", CI, "robots", id="robots"),
        pytest.param("robots robot:ci", CI, "robot:ci", id="a-robot"),
        pytest.param("group:web", CI, "group:web robots", id="robots-of-a-group"),
        pytest.param("robots group:web", CI, "group:web robots", id="robots-that-are-in-a-group"),
        pytest.param("group:bots", CI, "group:bots", id="a-group-of-robots"),
        pytest.param("group:builds", BUILD, "group:builds", id="a-group-of-workloads"),
        pytest.param("group:web", BUILD, "group:web workloads", id="workloads-of-a-group"),
        pytest.param("workload:w", BUILD, "workload:w", id="a-workload"),
    ],
)
def test_sets_of_machines_are_spelled_where_nothing_implies_them(who: str, identity: Identity, expected: str) -> None:
    """A group that also has people needs it."""
    found = spelled(frozenset(map(parse_principal, who.split())), identity, TREES)
    assert " ".join(map(str, sorted(found))) == expected


def row(who: str, identity: Identity, pattern: str = "web/**") -> DiffRow:
    principals = frozenset(map(parse_principal, who.split()))
    return DiffRow(principals, "pull", "repository", parse_pattern(pattern), {}, "web/x", identity, CONTEXT, ("r",))


@pytest.mark.parametrize(
    ("rows", "left"),
    [
        pytest.param(
            [row("authenticated", ANN), row("user:ann", ANN), row("robot:ci", CI)],
            ["authenticated", "robot:ci"],
            id="people-do-not-cover-robots",
        ),
        pytest.param([row("robots", CI), row("robot:ci", CI)], ["robots"], id="robots-cover-each-of-them"),
        pytest.param([row("workloads", BUILD), row("group:web workloads", BUILD)], ["workloads"], id="workloads"),
        pytest.param(
            [row("group:web", ANN), row("group:web robots", CI)], ["group:web"], id="a-group-covers-its-robots"
        ),
        pytest.param(
            [row("group:web", ANN), row("group:web robots", CI, "**")],
            ["group:web", "group:web robots"],
            id="a-group-on-fewer-names",
        ),
        pytest.param(
            [row("robots", CI), row("authenticated", ANN)], ["authenticated", "robots"], id="people-and-robots"
        ),
    ],
)
def test_rows_that_say_no_more_than_others(rows: list[DiffRow], left: list[str]) -> None:
    """A row covers others about the same sort of clients only, if it does not name them all by their group."""
    found = uncovered(rows, Budget())
    assert sorted(" ".join(map(str, sorted(one.who))) for one in found) == left
