"""Delegated principals: which of those that a rule names are not delegated to its file."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.documents.document import parse
from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.patterns import Capture
from tokenserver.policy.loading.delegated_principals import DelegatedPrincipals
from tokenserver.policy.machines.claim_globs import parse_claim_glob
from tokenserver.policy.machines.robots import Robot
from tokenserver.policy.machines.workloads import Workload, membership, where_claims
from tokenserver.policy.model import Group, Groups, Principals
from tokenserver.policy.principals import principals_of
from tokenserver.policy.syntax.file import PolicyFile
from tokenserver.policy.terms import parse_principal

LOCAL = "crew\nteams/web.yaml"
GROUPS = [
    Group("ops", users=frozenset({"olga", "robot:deploy"})),
    Group("devs", users=frozenset({"ann"}), groups=frozenset({"directory"})),
    Group("runners", groups=frozenset({membership("base")})),
    Group("all", includes=frozenset({"ops", "devs"})),
    Group("reg-web-rw", users=frozenset({"robot:deploy"})),
]
WORKLOADS = [Workload(name, "s", ((name, (parse_claim_glob("x"),)),)) for name in ("base", "own-job", "other")]
PART = where_claims(WORKLOADS[0], (("p", (parse_claim_glob("x"),)),))
OF_ANY = where_claims(None, (("p", (parse_claim_glob("x"),)),))
OWN_PART = where_claims(WORKLOADS[1], (("p", (parse_claim_glob("x"),)),))


def limits(given_: list[str], local: Group | None = None) -> DelegatedPrincipals:
    """What a file may name that declares a robot and a workload of its own, and a local group."""
    file = PolicyFile(parse("version: 1\n", "teams/web.yaml"), [])
    file.robots.append((("robots", "own"), Robot("own")))
    file.workloads.append((("workloads", "own-job"), WORKLOADS[1]))
    groups = {group.name: group for group in (*GROUPS, local or Group(LOCAL))}
    return DelegatedPrincipals.of(principals_of(map(parse_principal, given_)), file, groups)


def named(*texts: str, workloads: tuple[Workload, ...] = ()) -> Principals:
    """Principals as a rule names them."""
    found = principals_of(map(parse_principal, texts))
    return Principals(
        found.everyone,
        found.authenticated,
        found.anonymous,
        found.robots,
        found.workloads,
        found.users,
        found.groups.union(membership(one.name) for one in workloads),
    )


PEOPLE = ["authenticated"]
MACHINES = ["robots", "workloads"]


@pytest.mark.parametrize(
    ("given_", "found", "expected"),
    [
        pytest.param(["everyone"], named("robots", "group:ops", "anonymous", "user:eve"), [], id="everyone is all"),
        pytest.param(PEOPLE, named("authenticated", "user:eve", "group:devs", "group:any"), [], id="all people"),
        pytest.param(PEOPLE, named("robots"), ["robots"], id="people are no robots"),
        pytest.param(PEOPLE, named("workloads"), ["workloads"], id="people are no workloads"),
        pytest.param(PEOPLE, named("everyone"), ["everyone"], id="people are not everyone"),
        pytest.param(PEOPLE, named("robot:deploy"), ["robot:deploy"], id="people are no robot"),
        pytest.param(PEOPLE, named("group:ops"), ["group:ops with robot:deploy"], id="a group with a robot"),
        pytest.param(PEOPLE, named("group:all"), ["group:all with group:ops with robot:deploy"], id="an included one"),
        pytest.param(PEOPLE, named("group:runners"), ["group:runners with workload:base"], id="a workload in it"),
        pytest.param([*PEOPLE, "group:ops"], named("group:all"), [], id="the included group is delegated"),
        pytest.param([*PEOPLE, *MACHINES], named("group:all", "group:runners"), [], id="groups of all sorts"),
        pytest.param(MACHINES, named("robot:deploy", "workload:base", "robots", "workloads"), [], id="all machines"),
        pytest.param(MACHINES, named("user:ann"), ["user:ann"], id="machines are no people"),
        pytest.param(MACHINES, named("group:runners"), ["group:runners"], id="a group is not its members"),
        pytest.param(["robots"], named("robot:deploy", "workload:base"), ["workload:base"], id="all robots"),
        pytest.param(["workloads"], named("robot:deploy", "workload:base"), ["robot:deploy"], id="all workloads"),
        pytest.param(
            ["robot:deploy", "workload:base"], named("robot:deploy", "workload:base"), [], id="machines by name"
        ),
        pytest.param(["robot:deploy"], named("robots"), ["robots"], id="one robot is not all"),
        pytest.param(["user:ann"], named("robot:own", "workload:own-job"), [], id="its own machines"),
        pytest.param(
            ["user:ann"], named("robot:deploy", "workload:other"), ["robot:deploy", "workload:other"], id="others'"
        ),
        pytest.param(["workload:base"], named(workloads=(PART,)), [], id="a part of a workload"),
        pytest.param(["user:ann"], named(workloads=(OWN_PART,)), [], id="a part of its own workload"),
        pytest.param(["user:ann"], named(workloads=(PART,)), ["workload:base where p is x"], id="a part of another"),
        pytest.param(
            ["workload:base"], named(workloads=(OF_ANY,)), ["workloads where p is x"], id="a part of all workloads"
        ),
        pytest.param(["workloads"], named(workloads=(OF_ANY, PART)), [], id="parts of all workloads"),
        pytest.param(["group:runners"], named("workload:base"), ["workload:base"], id="a member of a delegated group"),
    ],
)
def test_beyond(given_: list[str], found: Principals, expected: list[str]) -> None:
    """Each is named with the way to it."""
    assert [*limits(given_).beyond(found)] == expected


@pytest.mark.parametrize(
    ("given_", "local", "expected"),
    [
        pytest.param(
            ["user:ann"],
            Group(LOCAL, users=frozenset({"ann", "robot:own", "robot:deploy"}), groups=frozenset({membership("base")})),
            ["group:crew with robot:deploy", "group:crew with workload:base"],
            id="members by name",
        ),
        pytest.param(
            PEOPLE,
            Group(LOCAL, users=frozenset({"eve", "robot:deploy"}), groups=frozenset({"d", membership("own-job")})),
            ["group:crew with robot:deploy"],
            id="all people",
        ),
        pytest.param(
            PEOPLE,
            Group(LOCAL, includes=frozenset({"all"})),
            ["group:crew with group:all with group:ops with robot:deploy"],
            id="a group of the company",
        ),
        pytest.param(
            ["user:ann"], Group(LOCAL, includes=frozenset({"ops"})), ["group:crew with group:ops"], id="not delegated"
        ),
        pytest.param(["group:all"], Group(LOCAL, includes=frozenset({"ops"})), [], id="delegated through another"),
        pytest.param(
            ["group:ops"],
            Group(LOCAL, groups=frozenset({"ops", "ldap"})),
            ["group:crew with the directory group ldap", "group:crew with the directory group ops"],
            id="a directory group called like a delegated one",
        ),
    ],
)
def test_local_groups(given_: list[str], local: Group, expected: list[str]) -> None:
    """A local group is its members."""
    assert [*limits(given_, local).beyond(Principals(groups=frozenset({LOCAL})))] == expected


def test_captured() -> None:
    """If all people are delegated, captured groups may have no machines but those that are."""
    captures = (Capture("reg-", "-rw"), Capture("", "vs"))
    assert [*limits(PEOPLE).captured_beyond(captures)] == ["group:reg-web-rw with robot:deploy"]
    assert [*limits([*PEOPLE, "robot:deploy"]).captured_beyond(captures)] == []


SETS = ["everyone", "authenticated", "anonymous", "robots", "workloads"]
ALL_GROUPS = ["ops", "devs", "runners", "all", "reg-web-rw", "directory", "ldap"]
TEXTS = [
    *SETS,
    *(f"user:{name}" for name in ("ann", "olga")),
    *(f"robot:{name}" for name in ("own", "deploy")),
    *(f"workload:{one.name}" for one in WORKLOADS),
    *(f"group:{name}" for name in ALL_GROUPS),
]
CLIENTS = [
    ANONYMOUS,
    *(
        Identity(name, Kind.PASSWORD, groups=frozenset(groups))
        for name, groups in product(("ann", "olga", "eve"), ((), ("directory",), ("ldap",), ("ops",)))
    ),
    *(Identity(f"robot:{name}", Kind.ROBOT) for name in ("own", "deploy", "else")),
    *(
        Identity("workload:s:", Kind.WORKLOAD, "s", claims=frozenset((name, "x") for name in names))
        for names in (("base",), ("other",), ("own-job",), ("base", "p"), ("other", "p"), ("own-job", "other", "p"))
    ),
]
SOME = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3)
PARTS = st.sampled_from([(), (PART,), (OF_ANY,), (OWN_PART,)])
LOCALS = st.builds(
    Group,
    st.just(LOCAL),
    st.frozensets(st.sampled_from(["ann", "robot:own", "robot:deploy"]), max_size=1),
    st.frozensets(st.sampled_from(["ops", "ldap", membership("base"), membership("own-job")]), max_size=1),
    st.frozensets(st.sampled_from(["ops", "all", "runners"]), max_size=1),
)


@given(SOME, SOME, PARTS, LOCALS, st.booleans())
def test_what_is_not_beyond_is_delegated(
    given_: list[str], texts: list[str], parts: tuple[Workload, ...], local: Group, with_local: bool
) -> None:
    """A client that a rule is for, without any fault, is delegated, or a machine of the file."""
    found = named(*texts, workloads=parts)
    if with_local:
        found = Principals(users=found.users, groups=found.groups | {LOCAL})
    bounds = limits(given_, local)
    if [*bounds.beyond(found)]:
        return
    table = Groups.of_all([*GROUPS, local], [*WORKLOADS, PART, OF_ANY, OWN_PART])
    for client in CLIENTS:
        groups = table.holding(client)
        is_own = client.subject in bounds.own or not bounds.own.isdisjoint(groups)
        if found.include(client, groups):
            assert is_own or bounds.given.include(client, groups), (client, groups)
