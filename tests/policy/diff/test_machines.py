"""Machines of a tree: which can log in, and the minimal clients that are a principal."""

from __future__ import annotations

import pytest

from tokenserver.identity import Identity, Kind
from tokenserver.patterns import parse_pattern
from tokenserver.policy.diff.machines import TreeMachines, distinguished_robots, ways
from tokenserver.policy.diff.persons import Person
from tokenserver.policy.groups import Group, Groups
from tokenserver.policy.index import build_index
from tokenserver.policy.machines.claim_globs import parse_claim_glob
from tokenserver.policy.machines.robots import Robot
from tokenserver.policy.machines.workloads import Workload, membership, where_claims
from tokenserver.policy.model import Effect, PolicySet, Principal, Rule
from tokenserver.policy.principals import AUTHENTICATED, ROBOTS, WORKLOADS, principals_of
from tokenserver.policy.syntax.machines import robot_identity, workload_identity
from tokenserver.policy.terms import parse_principal


def person(user: str = "", *groups: str) -> Person:
    return Person(user, frozenset(groups))


def claims(**values: str) -> tuple[tuple[str, tuple[object, ...]], ...]:
    return tuple((name, (parse_claim_glob(value),)) for name, value in values.items())


NOBODY = Person(anonymous=True)
WEB = Workload("web", "github", claims(id="7"))  # type: ignore[arg-type]
PROD = where_claims(WEB, claims(env="prod"))  # type: ignore[arg-type]
ANY_PROD = where_claims(None, claims(env="prod"))  # type: ignore[arg-type]
GROUPS = Groups.of_all(
    [
        Group("web", frozenset({"ann", "bob"}), frozenset({"web-devs", "a-team"})),
        Group("ci", frozenset({"ann", "robot:ci", "robot:gone"}), frozenset({membership("web")})),
    ],
    [WEB, PROD, ANY_PROD],
)


def tree(*robots: str, rules: tuple[Rule, ...] = (), groups: Groups = GROUPS) -> PolicySet:
    declared = {name: Robot(name) for name in robots}
    return PolicySet("", (), rules, groups, build_index(rules), robots=declared)


MACHINES = TreeMachines.of(tree("ci", "a", "b"), distinguished=frozenset({"robot:ci"}))


def workload(*names: str, source: str = "github", **values: str) -> Person:
    return Person(groups=frozenset(map(membership, names)), source=source, claims=frozenset(values.items()))


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        pytest.param("user:ann", [person("ann")], id="user"),
        pytest.param(
            "group:web", [person("", "a-team"), person("", "web-devs"), person("ann"), person("bob")], id="group"
        ),
        pytest.param("group:elsewhere", [person("", "elsewhere")], id="directory"),
        pytest.param("authenticated", [person()], id="authenticated"),
        pytest.param("anonymous", [NOBODY], id="anonymous"),
        pytest.param("group:ci", [workload("web", id="7"), person("ann"), person("robot:ci")], id="group-of-machines"),
        pytest.param("robot:ci", [person("robot:ci")], id="robot"),
        pytest.param("robot:gone", [], id="robot-that-is-not-declared"),
        pytest.param("robots", [person("robot:a"), person("robot:ci")], id="robots-of-which-one-stands-for-all-others"),
        pytest.param("workload:web", [workload("web", id="7")], id="workload"),
        pytest.param("workload:gone", [], id="workload-that-is-not-declared"),
        pytest.param("workloads", [workload("web", id="7")], id="workloads"),
    ],
)
def test_ways_to_be_a_principal(principal: str, expected: list[Person]) -> None:
    """The minimal persons, in a fixed order."""
    assert list(ways(GROUPS, parse_principal(principal), MACHINES)) == expected


def test_everybody_who_logs_in_can_be_in_a_captured_group() -> None:
    """Which one it is follows from the name."""
    assert list(ways(GROUPS, Principal("capture", "r-{t}-w"))) == [person()]


def test_a_directory_group_keeps_its_meaning_if_the_tree_has_its_name() -> None:
    """It is the directory group, not the group of the tree."""
    assert list(ways(GROUPS, Principal("directory", "web"))) == [person("", "web")]


def test_workloads_with_more_claims() -> None:
    """Those that `when: {claims: ...}` stands for, of one workload or of any source."""
    found = [list(MACHINES.ways(Principal("workload", one.name))) for one in (PROD, ANY_PROD)]
    assert found == [[workload(PROD.name, id="7", env="prod")], [workload(ANY_PROD.name, source="", env="prod")]]


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        pytest.param(Identity("ann", Kind.PASSWORD), True, id="user"),
        pytest.param(robot_identity("ci"), True, id="robot"),
        pytest.param(robot_identity("gone"), False, id="robot-that-is-not-declared"),
        pytest.param(workload_identity("github", frozenset({("id", "7")})), True, id="workload"),
        pytest.param(workload_identity("gitlab", frozenset({("id", "7")})), False, id="of-another-source"),
        pytest.param(workload_identity("github", frozenset({("env", "prod")})), False, id="by-claims-of-a-rule-alone"),
    ],
)
def test_clients_that_can_log_in(identity: Identity, expected: bool) -> None:
    """Others get a 401 where the tree is in force."""
    assert MACHINES.admits(identity) is expected


def test_principals_that_have_clients() -> None:
    """Machines have to be declared; groups may always have members."""
    empty = TreeMachines.of(tree(groups=Groups.of_all([])))
    every = [ROBOTS, WORKLOADS, AUTHENTICATED, *map(parse_principal, ("robot:ci", "workload:web", "group:web"))]
    assert [[one for one in every if not side.has(one)] for side in (MACHINES, empty)] == [
        [],
        [ROBOTS, WORKLOADS, *map(parse_principal, ("robot:ci", "workload:web"))],
    ]


def test_robots_that_are_not_like_all_others() -> None:
    """Those that a rule or a group names, and those that one tree alone declares."""
    rule = Rule.of(
        "r",
        Effect.ALLOW,
        principals_of(map(parse_principal, ("robot:to", "user:ann"))),
        [parse_pattern("a")],
        ["pull"],
        excluded=principals_of([parse_principal("robot:but")]),
    )
    trees = tree("a", "b", "new", rules=(rule,)), tree("a", "b", "old")
    assert distinguished_robots(trees) == {f"robot:{one}" for one in ("to", "but", "ci", "gone", "new", "old")}
