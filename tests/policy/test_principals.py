"""Principals as sets, and the hypothetical clients of questions."""

from __future__ import annotations

from dataclasses import replace

import policy_worlds as world
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.identity import ANONYMOUS as ANONYMOUS_IDENTITY
from tokenserver.identity import Identity, Kind
from tokenserver.policy.machines.robots import Robot
from tokenserver.policy.machines.workloads import Workload, membership
from tokenserver.policy.model import Effect, Group, Groups, PolicySet, Principal, Rule
from tokenserver.policy.principals import (
    ANONYMOUS,
    AUTHENTICATED,
    EVERYONE,
    PARTS,
    ROBOTS,
    UNNAMED,
    WORKLOADS,
    client_for,
    includes,
    kinds_of,
    listed,
    named_by,
    part_of,
    parted,
    parts_of_everyone,
    principals_of,
)
from tokenserver.policy.terms import (
    TermError,
    parse_principal,
)


def test_principals_become_one_set() -> None:
    """A list of principals is the union of them."""
    found = principals_of(map(parse_principal, ["anonymous", "user:ann", "user:bob", "group:web"]))
    assert (found.everyone, found.authenticated, found.anonymous) == (False, False, True)
    assert (set(found.users), set(found.groups)) == ({"ann", "bob"}, {"web"})


principals = st.lists(st.sampled_from([*map(parse_principal, world.PRINCIPALS)]), max_size=6)


@given(principals)
def test_a_set_is_listed_as_it_was_made(found: list[Principal]) -> None:
    """In a fixed order, each once; equal sets are one object, whatever their order was."""
    made = principals_of(found)
    assert set(listed(made)) == set(found)
    assert len(listed(made)) == len(set(found))
    assert principals_of(listed(made)) == principals_of(reversed(found)) == made
    assert listed(principals_of(reversed(found))) == listed(made)


@given(principals)
def test_everyone_is_four_parts(found: list[Principal]) -> None:
    """Nobody is in two of them, and everything else stays."""
    parts = [*parted(found)]
    assert EVERYONE not in parts
    assert [one for one in parts if one not in PARTS] == [one for one in found if one.name]
    if EVERYONE in found:
        assert set(PARTS) <= set(parts)


@pytest.mark.parametrize(
    ("identity", "part"),
    [
        pytest.param(ANONYMOUS_IDENTITY, ANONYMOUS, id="no credentials"),
        pytest.param(Identity("ann", Kind.PASSWORD), AUTHENTICATED, id="a person"),
        pytest.param(Identity("robot:ci", Kind.ROBOT), ROBOTS, id="a robot"),
        pytest.param(Identity("workload:gh:x", Kind.WORKLOAD, source="gh"), WORKLOADS, id="a workload"),
    ],
)
def test_part_of(identity: Identity, part: Principal) -> None:
    """Each client is in one part, whose kinds of credential include its own."""
    assert part_of(identity) == part
    assert [one for one in PARTS if includes(one, identity, frozenset())] == [part]
    assert [one for one, kinds in PARTS.items() if identity.kind in kinds] == [part]


def test_parts_that_have_clients() -> None:
    """Machines are a part of everyone only where they are declared."""
    groups = Groups.of_all([], [Workload("web", "gh", ())])
    with_both = PolicySet("", (), (), groups, {}, robots={"ci": Robot("ci")})
    assert parts_of_everyone(TREE) == (AUTHENTICATED, ANONYMOUS)
    assert parts_of_everyone(with_both) == (AUTHENTICATED, ANONYMOUS, ROBOTS, WORKLOADS)


@pytest.mark.parametrize(
    ("principal", "kinds"),
    [
        pytest.param("everyone", set(Kind), id="everyone"),
        pytest.param("authenticated", {Kind.PASSWORD, Kind.OIDC, Kind.KEY}, id="people"),
        pytest.param("user:ann", {Kind.PASSWORD, Kind.OIDC, Kind.KEY}, id="a person"),
        pytest.param("robot:ci", {Kind.ROBOT}, id="a robot"),
        pytest.param("workload:web", {Kind.WORKLOAD}, id="a workload"),
        pytest.param("group:other", {Kind.PASSWORD, Kind.OIDC, Kind.KEY}, id="a directory's group"),
        pytest.param("group:web", {Kind.PASSWORD, Kind.OIDC, Kind.KEY}, id="a group of people"),
        pytest.param("group:ops", set(), id="an empty group"),
        pytest.param("group:mixed", {*Kind} - {Kind.ANONYMOUS}, id="a group of all sorts"),
    ],
)
def test_kinds_of(principal: str, kinds: set[Kind]) -> None:
    """The credentials that clients have who are this principal."""
    mixed = Group("mixed", frozenset({"robot:ci"}), frozenset({"devs", membership("web")}))
    policies = replace(TREE, groups=Groups.of_all([*TREE.groups.written.values(), mixed]))
    assert kinds_of(policies, parse_principal(principal)) == kinds


def test_what_rules_name() -> None:
    """In `to` and `except`, each once."""
    ann, web, ci = map(parse_principal, ["user:ann", "group:web", "robot:ci"])
    rules = [
        Rule.of("", Effect.ALLOW, principals_of([ann, web]), (), ()),
        Rule.of("", Effect.DENY, principals_of([web]), (), (), excluded=principals_of([ci])),
    ]
    assert named_by(rules) == {ann, web, ci}


TREE = PolicySet("", (), (), Groups.of_all([Group("web", frozenset({"ann"}), frozenset({"devs"})), Group("ops")]), {})


@pytest.mark.parametrize(
    ("principal", "brought", "subject", "groups"),
    [
        pytest.param("anonymous", ["devs"], None, set(), id="anonymous clients bring nothing"),
        pytest.param("authenticated", [], UNNAMED, set(), id="an unnamed user"),
        pytest.param("authenticated", ["devs"], UNNAMED, {"devs", "web"}, id="who brings a group"),
        pytest.param("user:ann", [], "ann", {"web"}, id="a user with the groups of the tree"),
        pytest.param("user:bob", [], "bob", set(), id="a user in no group"),
        pytest.param("group:web", [], UNNAMED, {"web"}, id="a member, however the client joined"),
        pytest.param("group:other", [], UNNAMED, {"other"}, id="a group of a directory"),
        pytest.param("group:devs", [], UNNAMED, {"devs", "web"}, id="which is in a group of the tree"),
        pytest.param("group:ops", ["ops"], UNNAMED, {"ops"}, id="a group of the tree hides one that is brought"),
    ],
)
def test_client_for(principal: str, brought: list[str], subject: str | None, groups: set[str]) -> None:
    """The client that a question about a principal is asked for."""
    client = client_for(TREE, parse_principal(principal), brought)
    assert client.groups == groups
    if subject is None:
        assert client.identity.is_anonymous
    else:
        assert client.identity.subject == subject
    assert client.is_unnamed is (subject == UNNAMED)


def test_no_policy_can_name_the_unnamed() -> None:
    """Otherwise a question about anybody would have the answer of somebody."""
    with pytest.raises(TermError):
        parse_principal(f"user:{UNNAMED}")
