"""Changed names: groups, robots and workloads that are other clients in each tree, and what depends on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from tokenserver.patterns import Capture, parse_pattern
from tokenserver.policy.diff.changed_names import Members, changed_groups, changed_names, depends_on
from tokenserver.policy.index import build_index
from tokenserver.policy.machines.claim_globs import parse_claim_glob
from tokenserver.policy.machines.robots import Robot
from tokenserver.policy.machines.workloads import Required, Workload, membership, where_claims
from tokenserver.policy.model import Effect, Group, Groups, PolicySet, Principal, Rule
from tokenserver.policy.principals import ROBOTS, WORKLOADS, principals_of
from tokenserver.policy.terms import parse_principal

WEB = Group("web", frozenset({"ann", "bob"}), frozenset({"web-devs", "a-team"}))
GROUPS = Groups.of_all([WEB, Group("ops", frozenset({"olga"}))])


def rule(text: str, *, but: str = "") -> Rule:
    """`allow|deny TO PATTERNS ACTION`, with commas between patterns."""
    effect, to, patterns, action = text.split()
    excluded = principals_of([parse_principal(but)]) if but else None
    parsed = map(parse_pattern, patterns.split(","))
    return Rule.of("r", Effect(effect), principals_of([parse_principal(to)]), parsed, [action], excluded=excluded)


def claims(**globs: str) -> Required:
    return tuple((name, (parse_claim_glob(text),)) for name, text in globs.items())


def tree(*robots: str, groups: Iterable[Group] = (), workloads: Iterable[Workload] = ()) -> PolicySet:
    declared = {name: Robot(name) for name in robots}
    return PolicySet("", (), (), Groups.of_all(groups, workloads), build_index([]), robots=declared)


PUBLIC = rule("allow everyone web/** pull")
W, V = Workload("w", "github", claims(id="7")), Workload("v", "github", claims(id="8"))
OTHER_W = replace(W, claims=claims(id="9"))
PROD, ANY_PROD = where_claims(W, claims(env="prod")), where_claims(None, claims(env="prod"))
CI = Group("ci", frozenset({"robot:ci"}))
OF_W = Group("of-w", frozenset(), frozenset({membership("w")}))


def test_changed_groups() -> None:
    """Those that come, go, or have other members."""
    assert changed_groups(GROUPS, GROUPS) == frozenset()
    others = Groups.of_all([replace(WEB, users=frozenset()), Group("new")])
    assert changed_groups(GROUPS, others) == {"web", "ops", "new"} == changed_groups(others, GROUPS)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(tree("ci"), tree("ci"), [], id="the-same"),
        pytest.param(tree("ci", "cd"), tree("ci", "x"), ["robot:cd", "robot:x"], id="robots-that-come-and-go"),
        pytest.param(tree("ci", groups=[CI]), tree(groups=[CI]), ["robot:ci", "ci"], id="a-group-of-a-robot-that-goes"),
        pytest.param(tree(workloads=[W]), tree(workloads=[W, V]), ["=v"], id="a-workload-that-comes"),
        pytest.param(
            tree(workloads=[W, V], groups=[OF_W]),
            tree(workloads=[OTHER_W, V], groups=[OF_W]),
            ["=w", "of-w"],
            id="a-workload-with-other-claims",
        ),
        pytest.param(
            tree(workloads=[W, PROD]),
            tree(workloads=[OTHER_W, where_claims(OTHER_W, claims(env="prod"))]),
            ["=w", f"={PROD.name}"],
            id="a-part-of-a-workload",
        ),
        pytest.param(
            tree(workloads=[W, ANY_PROD]),
            tree(workloads=[W, V, ANY_PROD]),
            ["=v", f"={ANY_PROD.name}"],
            id="claims-of-any-workload-once-one-comes",
        ),
        pytest.param(tree(workloads=[W]), tree(workloads=[W, PROD]), [f"={PROD.name}"], id="a-part-that-comes"),
    ],
)
def test_changed_names(old: PolicySet, new: PolicySet, expected: list[str]) -> None:
    """Those that come, go, or mean other clients; `=` is the membership of a workload."""
    names = {membership(one[1:]) if one.startswith("=") else one for one in expected}
    assert changed_names(old, new) == names == changed_names(new, old)


@pytest.mark.parametrize(
    ("one", "changed", "expected"),
    [
        pytest.param(rule("allow group:web a pull"), {"web"}, True, id="named"),
        pytest.param(rule("allow group:web a pull"), {"ops"}, False, id="another"),
        pytest.param(rule("allow group:web a pull"), (), False, id="none"),
        pytest.param(rule("allow group:web a pull", but="group:ops"), {"ops"}, True, id="excepted"),
        pytest.param(rule("allow everyone a pull", but="user:ops"), {"ops"}, False, id="a-user-of-that-name"),
        pytest.param(rule("allow everyone t/${group}/a pull"), {"ops"}, True, id="variable"),
        pytest.param(rule("allow everyone t/${group}/a pull"), (), False, id="variable-and-none"),
        pytest.param(rule("allow everyone a,t/${group} pull"), {"ops"}, True, id="variable-in-another-pattern"),
        pytest.param(rule("allow everyone t/${user} pull"), {"ops"}, False, id="another-variable"),
        *(
            pytest.param(
                rule(f"allow {to} a pull", but=but), {name}, expected, id=f"{to}-{but}-and-{name.strip(chr(0))}"
            )
            for number, (to, but, name, expected) in enumerate(
                (
                    ("robot:ci", "", "robot:ci", True),
                    ("robot:ci", "", "robot:cd", False),
                    ("user:ann", "robot:ci", "robot:ci", True),
                    ("robots", "", "robot:ci", True),
                    ("everyone", "", "robot:ci", True),
                    ("authenticated", "", "robot:ci", False),
                    ("robots", "", membership("w"), False),
                    ("workloads", "", membership("w"), True),
                    ("everyone", "", membership("w"), True),
                    ("workload:w", "", membership("w"), True),
                    ("workload:v", "", membership("w"), False),
                    ("workloads", "", membership(PROD.name), False),
                    ("everyone", "workload:w", membership("w"), True),
                )
            )
        ),
        pytest.param(
            replace(PUBLIC, patterns=(parse_pattern("${t}/a", "t", (Capture("r-", ""),)),)),
            {"r-a", "x"},
            True,
            id="capture",
        ),
        pytest.param(
            replace(PUBLIC, patterns=(parse_pattern("${t}/a", "t", (Capture("r-", ""),)),)),
            {"x"},
            False,
            id="no-capture",
        ),
    ],
)
def test_rules_that_depend_on_names(one: Rule, changed: Iterable[str], expected: bool) -> None:
    """Whether the meaning of a rule changes with these names."""
    assert depends_on(one, frozenset(changed)) is expected


ROBOTS_AND_WORKLOADS = tree("ci", "new", groups=[CI, OF_W], workloads=[W, V, PROD, ANY_PROD])
CHANGED = frozenset(
    {"robot:new", "robot:gone", membership("w"), membership(PROD.name), membership(ANY_PROD.name), "of-w"}
)
MEMBERS = Members.of(ROBOTS_AND_WORKLOADS, CHANGED)


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        pytest.param("user:ann", ["user:ann"], id="user"),
        pytest.param("group:ci", ["group:ci"], id="group"),
        pytest.param("group:of-w", ["workload:w"], id="changed-group"),
        pytest.param("robot:ci", ["robot:ci"], id="robot"),
        pytest.param("robot:gone", [], id="robot-that-this-tree-does-not-declare"),
        pytest.param("robots", ["robots", "robot:new"], id="robots"),
        pytest.param("workload:w", ["workload:w"], id="workload"),
        pytest.param("workload:gone", [], id="workload-that-this-tree-does-not-declare"),
        pytest.param("workloads", ["workloads", "workload:w"], id="workloads"),
    ],
)
def test_ways_to_be_a_principal(principal: str, expected: list[str]) -> None:
    """What both trees know alike is one way; each robot or workload that they do not is another one."""
    found = list(MEMBERS.ways([parse_principal(principal)]))
    assert ["&".join(map(str, sorted(who))) for who in found] == expected


def test_ways_to_have_claims_of_any_workload() -> None:
    """As a workload that both trees know, or as one that differs."""
    of_any = Principal("workload", ANY_PROD.name)
    assert list(MEMBERS.ways([of_any])) == [{of_any}, {of_any, Principal("workload", "w")}]
    assert list(Members.of(tree(), CHANGED).ways([of_any, ROBOTS, WORKLOADS])) == [{ROBOTS}, {WORKLOADS}]
    assert list(Members.of(tree(), frozenset()).ways([of_any, ROBOTS, WORKLOADS])) == []


def test_what_principals_mean() -> None:
    """A workload that differs means its claims, whatever it is called."""
    renamed = tree(workloads=[replace(W, name="renamed")])
    changed = frozenset(map(membership, ("w", "renamed")))
    one, other = Members.of(tree(workloads=[W]), changed), Members.of(renamed, changed)
    who, renamed_who = (frozenset({Principal("workload", name)}) for name in ("w", "renamed"))
    assert one.meaning(who) == other.meaning(renamed_who) != one.meaning(renamed_who)
    assert one.excepted(who) == other.excepted(renamed_who)
    assert Members.of(renamed, frozenset()).meaning(who) == who
