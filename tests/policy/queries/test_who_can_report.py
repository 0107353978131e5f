"""Conditions of the answer to "who can?" in words."""

from __future__ import annotations

from typing import Any

import pytest
import tree_machines as machines

from tokenserver.patterns import parse_pattern
from tokenserver.policy.analysis.conditions import Given
from tokenserver.policy.machines.workloads import Workload, membership, where_claims
from tokenserver.policy.model import Effect, Group, PolicySet, Principals, Rule
from tokenserver.policy.principals import principals_of
from tokenserver.policy.queries.who_can import holders
from tokenserver.policy.queries.who_can_report import members_of, roster, spell_conditions
from tokenserver.policy.terms import parse_principal
from tokenserver.scopes import Resource


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param({}, "", id="always"),
        pytest.param(
            {"groups": ["a", "b"], "except": ["user:eve", "group:x"], "from": ["10.0.0.0/8"], "rule": "r"},
            "if in group:a and group:b, except user:eve or group:x, from 10.0.0.0/8",
            id="groups-and-except",
        ),
        pytest.param(
            {"since": "2026-01-01", "until": "2027-01-01", "kind": ["password"], "rule": "r"},
            "since 2026-01-01, until 2027-01-01, kind password",
            id="time-and-kind",
        ),
        pytest.param(
            {"unless": [{"except": ["group:ops"], "from": ["10.0.0.0/8"], "rule": "no-night"}], "rule": "r"},
            "but not from 10.0.0.0/8, unless in group:ops (rule no-night)",
            id="unless",
        ),
        pytest.param(
            {"workloads": ["a", "b"], "claims": {"env": ["prod", "dev"], "ref": ["main"]}, "rule": "r"},
            "if also workload:a and workload:b, if env is prod or dev and ref is main",
            id="workloads-and-claims",
        ),
        pytest.param({"namespace": "web", "rule": "r"}, "with the namespace web", id="namespace"),
        pytest.param(
            {"not_from": ["10.1.0.0/16"], "unless": [{"not_from": ["10.0.0.0/8", "::/0"], "rule": "d"}]},
            "not from 10.1.0.0/16, but not from anywhere but 10.0.0.0/8 or ::/0 (rule d)",
            id="not-from",
        ),
        pytest.param(
            {"until": "2027-01-01", "unless": [{"who": ["user:bob", "group:a", "group:b"], "rule": "d"}], "rule": "r"},
            "until 2027-01-01, but not if user:bob and in group:a and group:b (rule d)",
            id="unless-who",
        ),
        pytest.param(
            {"unless": [{"who": ["group:a"], "except": ["group:x", "group:y", "user:u"], "rule": "d"}]},
            "but not if in group:a, unless user:u or in group:x or group:y (rule d)",
            id="unless-many",
        ),
        pytest.param(
            {
                "unless": [
                    {"since": "2026-01-01", "until": "2027-01-01", "rule": "a"},
                    {"since": "2028-01-01", "rule": "b"},
                ]
            },
            "but not between 2026-01-01 and 2027-01-01 (rule a), but not from 2028-01-01 on (rule b)",
            id="unless-times",
        ),
        pytest.param(
            {"unless": [{"until": "2026-01-01", "kind": ["password", "session"], "rule": "d"}]},
            "but not before 2026-01-01 with kind password or session (rule d)",
            id="unless-until-and-kind",
        ),
    ],
)
def test_conditions_read_as_sentences(facts: dict[str, Any], expected: str) -> None:
    """What the table of `who-can` shows in the column `when`."""
    assert spell_conditions(facts) == expected


WEB = Workload("web", "gh", machines.claims(e="x"))
MAIN = Workload("main", "gh", machines.claims(r="x"))
MIXED = Group("a", frozenset({"ann", "robot:ci"}))
PROD = machines.DEMANDED[1]


def rule(to: str | Principals, *, but: str = "", pattern: str = "**", deny: bool = False) -> Rule:
    """A rule about pulling."""
    return Rule.of(
        "",
        Effect.DENY if deny else Effect.ALLOW,
        principals_of(map(parse_principal, to.split())) if isinstance(to, str) else to,
        [parse_pattern(pattern)],
        ["pull"],
        excluded=principals_of([parse_principal(but)]) if but else None,
    )


def policies(*rules: Rule) -> PolicySet:
    """A tree with two workloads, a robot, and a group of a person and that robot."""
    return machines.policy_set([*rules], [MIXED], ["ci", "bot"], [WEB, MAIN])


def demanding(base: Workload | None) -> Principals:
    """Workloads that have more claims, as `when: {claims: …}` makes them."""
    return Principals(groups=frozenset({membership(where_claims(base, PROD).name)}))


@pytest.mark.parametrize(
    ("rules", "who", "condition"),
    [
        pytest.param([rule("workload:web")], "workload:web", None, id="a workload"),
        pytest.param(
            [rule(demanding(WEB))], "workload:web", {"claims": {"r": ["y"]}, "rule": "rule-0"}, id="with more claims"
        ),
        pytest.param(
            [rule(demanding(None))], "workloads", {"claims": {"r": ["y"]}, "rule": "rule-0"}, id="any with more claims"
        ),
        pytest.param(
            [rule("workload:web"), rule("workloads", but="workload:main", deny=True)],
            "workload:web",
            {"workloads": ["main"], "rule": "rule-0"},
            id="two workloads",
        ),
        pytest.param(
            [rule("robots", pattern="${group}/*")],
            "group:a",
            {"kind": ["robot"], "rule": "rule-0"},
            id="robots of a group",
        ),
    ],
)
def test_conditions_of_machines(rules: list[Rule], who: str, condition: dict[str, Any] | None) -> None:
    """A workload is listed under its name, or under all workloads; what else it must be is its condition."""
    tree = policies(*rules)
    found = roster(tree, holders(tree, "pull", Resource("repository", "a/x"), Given("r")))
    answers = {str(one): answer for one, answer in found.answers.items()}
    assert answers == {who: True if condition is None else [condition]}


def test_members_of_a_group() -> None:
    """Those of the tree; of a directory's group only its name is known."""
    assert members_of(policies(), "a") == {"users": ["ann"], "groups": [], "robots": ["ci"]}
    assert members_of(policies(), "elsewhere") == {"users": [], "groups": ["elsewhere"]}
