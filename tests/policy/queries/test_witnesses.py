"""Witnesses: clients that stand for all clients of a kind."""

from __future__ import annotations

from dataclasses import replace

import policy_worlds as world
import pytest
import rich_worlds as rich
import tree_machines as machines
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_properties import slow_examples
from who_can_rules import TREE, answer, policy_set

from tokenserver.identity import Identity, Kind, NamespaceRule, Namespaces, Sort
from tokenserver.policy.index import matching_rules
from tokenserver.policy.machines.workloads import Workload, membership, where_claims
from tokenserver.policy.model import Group, Groups, PolicySet, Principal, Principals
from tokenserver.policy.principals import EVERYONE, UNNAMED, listed, principals_of
from tokenserver.policy.queries.who_can import People
from tokenserver.policy.queries.witnesses import (
    MAX_WITNESSES,
    Machines,
    TooManyCombinations,
    all_machines,
    asked,
    bindings_of,
    bound,
    cost,
    entries_about,
    examples,
    machines_about,
    machines_for,
)
from tokenserver.policy.syntax.answers import parse_answer
from tokenserver.policy.terms import parse_principal
from tokenserver.scopes import Resource


def test_examples_stand_for_their_principal() -> None:
    """Each user named in an answer, and an unnamed one for each directory group."""
    policies = policy_set(groups=TREE)
    found = {(one.subject, one.groups) for one in examples(policies, answer("group:web"), Kind.PASSWORD)}
    assert found == {("ann", frozenset()), ("bob", frozenset()), ("\0", frozenset({"web-devs"}))}
    assert examples(policies, answer("anonymous & user:ann"), Kind.PASSWORD) == []


def test_examples_of_many_groups_are_bounded() -> None:
    """Ten groups, each of ten groups of a directory, can be entered in ten billion ways."""
    groups = [Group(f"g{one}", groups=frozenset(f"d{one}-{two}" for two in range(10))) for one in range(10)]
    tree = PolicySet("", (), (), Groups.of_all(groups), {})
    answer = frozenset(Principal("group", group.name) for group in groups)
    with pytest.raises(TooManyCombinations, match="more than 10000 combinations"):
        examples(tree, answer, Kind.PASSWORD)


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        pytest.param("everyone", {UNNAMED, "anonymous"}, id="everyone: a user and an anonymous client"),
        pytest.param("authenticated", {UNNAMED}, id="authenticated"),
        pytest.param("anonymous", {"anonymous"}, id="anonymous"),
        pytest.param("user:eve", {"eve"}, id="a user"),
        pytest.param("user:ann & user:bob", set(), id="nobody is two users"),
        pytest.param("group:pair & user:ann", {"ann"}, id="a member"),
        pytest.param("group:pair & user:eve", set(), id="no member of a group of users"),
        pytest.param("group:other", {UNNAMED}, id="a directory's group"),
    ],
)
def test_examples(who: str, expected: set[str]) -> None:
    """One client for each way to be all of the principals, and none where there is no way."""
    found = examples(policy_set(groups=TREE), answer(who), Kind.PASSWORD)
    assert {"anonymous" if one.is_anonymous else one.subject for one in found} == expected


@settings(deadline=None)
@given(world.worlds, st.sets(st.sampled_from(world.PRINCIPALS), min_size=1, max_size=3))
def test_a_witness_is_what_it_stands_for(policies: PolicySet, texts: set[str]) -> None:
    """Each example is all of the principals, by the words of the contract."""
    principals = frozenset(map(parse_principal, texts))
    for one in examples(policies, principals, Kind.PASSWORD):
        groups = policies.groups.holding(one)
        for principal in principals:
            assert principals_of([principal]).include(one, groups)


@slow_examples()
@given(machines.worlds, st.sets(st.sampled_from(machines.PRINCIPALS), min_size=1, max_size=3), st.data())
def test_a_machine_is_what_it_stands_for(policies: PolicySet, texts: set[str], data: st.DataObject) -> None:
    """Each example is all of the principals; every robot and workload that is has an example with no more than it."""
    principals = frozenset(map(parse_principal, texts))
    found = examples(policies, principals, Kind.PASSWORD)
    for one in found:
        assert all(machines.is_one(policies, one, str(principal)) for principal in principals)
    client = data.draw(st.sampled_from([*machines.everybody(policies)]))
    if client.sort is not Sort.USER and all(machines.is_one(policies, client, str(one)) for one in principals):
        held = policies.groups.holding(client)
        assert any(
            one.kind is client.kind
            and one.subject in (client.subject, f"workload:{UNNAMED}")
            and one.source == client.source
            and policies.groups.holding(one) <= held
            for one in found
        )


@slow_examples()
@given(machines.worlds, machines.names, st.data())
def test_machines_that_a_question_cannot_tell_apart(policies: PolicySet, name: str, data: st.DataObject) -> None:
    """Fewer examples show the same of all that the rules about a resource name."""
    about = machines_about(policies, Resource("repository", name), map(parse_principal, MORE))
    every, fewer = People(policies), People(policies, None, about)
    named = {parse_principal(one) for one in MORE}
    for rule, pattern in entries_about(policies, Resource("repository", name)):
        named |= {*listed(rule.to), *listed(rule.excluded or Principals())}
        named |= {one for binding in bindings_of(policies, pattern, name.split("/")) for one in binding}
    who = data.draw(st.frozensets(st.sampled_from(sorted(named)), min_size=1, max_size=3))
    assert fewer.parts(who) == every.parts(who)
    assert [one for one in sorted(named) if fewer.follows(who, one)] == [
        one for one in sorted(named) if every.follows(who, one)
    ]


MORE = ["robots", "workloads", "robot:idle", "group:a"]


def test_machines_of_a_large_tree() -> None:
    """Of thousands, the ones that a rule names are left, one of each group that it names, and one of all others."""
    robots = [f"r{number}" for number in range(3000)]
    workloads = [Workload(f"w{number}", "gh", machines.claims(e=f"{number}", r="x")) for number in range(500)]
    group = Group("a", frozenset(f"robot:r{one}" for one in range(9, 1000)), frozenset(map(membership, ("w5", "w6"))))
    policies = machines.policy_set([], [group], robots, workloads)
    named = map(parse_principal, ["robot:r7", "robots", "group:a", "workload:w3", "workloads"])
    about = machines_for(policies, named)
    none, in_a = frozenset[str](), frozenset({"a"})
    assert about == Machines(("r0", "r7", "r9"), {"w0": none, "w3": none, "w5": in_a}, in_a)
    assert len(People(policies, None, about).ways(answer("group:a"))) == 2
    assert len(all_machines(policies).robots) == 3000


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        pytest.param(Kind.PASSWORD, ["anonymous", "password", "robot", "workload"], id="of people"),
        pytest.param(Kind.ROBOT, ["robot"], id="of robots"),
        pytest.param(Kind.WORKLOAD, ["workload"], id="of workloads"),
    ],
)
def test_who_is_asked_about(kind: Kind, expected: list[str]) -> None:
    """People have the kind of the question and machines their own; a kind of machines asks about those."""
    found = examples(machines.policy_set([], [], ["ci"], machines.WORKLOADS_[:1]), frozenset({EVERYONE}), Kind.PASSWORD)
    clients = [asked(one, kind) for one in found]
    assert sorted(one.kind for one in clients if one is not None) == expected


@pytest.mark.parametrize("count", [0, MAX_WITNESSES])
def test_as_many_witnesses_as_allowed(count: int) -> None:
    """One more is refused."""
    bound(count)
    with pytest.raises(TooManyCombinations):
        bound(MAX_WITNESSES + 1)


@slow_examples()
@given(world.worlds | rich.worlds, world.names | rich.names, world.identities | rich.identities)
def test_every_rule_about_a_name_is_listed(policies: PolicySet, name: str, identity: Identity) -> None:
    """For any client; and a decision costs at least a step."""
    resource = Resource("repository", name)
    groups = policies.groups.holding(identity)
    listed = {id(rule) for rule, _ in entries_about(policies, resource)}
    found = matching_rules(policies.index, resource, identity, groups)
    assert {id(rule) for rule in found} <= listed
    assert 1 <= cost(policies, resource, identity) <= 1 + len([*entries_about(policies, resource)])


MAPPED = Namespaces(frozenset({NamespaceRule.LOWER, None}))


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        pytest.param("authenticated", {(UNNAMED, UNNAMED)}, id="any namespace"),
        pytest.param("user:ann", {("ann", "ann")}, id="the name tells the namespace"),
        pytest.param("user:Ann", {("Ann", UNNAMED)}, id="it depends on the source"),
        pytest.param("namespace:ann", {(UNNAMED, "ann")}, id="a namespace"),
        pytest.param("namespace:ann & user:Ann", {("Ann", "ann")}, id="both"),
        pytest.param("namespace:ann & user:bob", set(), id="no namespace of the user"),
        pytest.param("namespace:ann & namespace:bob", set(), id="nobody has two"),
        pytest.param("namespace:ann & group:pair", {("ann", "ann")}, id="a member who has it"),
        pytest.param("namespace:1", {("1", "1")}, id="only one name is possible"),
        pytest.param("namespace:1 & user:ann", set(), id="and it is another"),
    ],
)
def test_examples_where_sources_map_names(who: str, expected: set[tuple[str, str]]) -> None:
    """The name and the namespace are two facts, as far as the one does not tell the other."""
    policies = replace(policy_set(groups=TREE), namespaces=MAPPED)
    found = examples(policies, parse_answer(who), Kind.PASSWORD)
    assert {(one.subject, one.user_value) for one in found} == expected


ANY_X = where_claims(None, machines.claims(e="x"))


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        pytest.param("workload:ex & group:a", {("gh", "ex")}, id="already a member"),
        pytest.param("workload:rx & group:a", {("gh", "ex rx")}, id="a member as another workload too"),
        pytest.param("workload:lx & group:a", set(), id="of another source than the members"),
        pytest.param("workload:ex & workloads", {("gh", "ex")}, id="a workload is one of all"),
        pytest.param("any-x", {("gh", "ex"), ("gh", "ex rx"), ("gl", "lx")}, id="claims, with those of each workload"),
    ],
)
def test_examples_of_workloads(who: str, expected: set[tuple[str, str]]) -> None:
    """The source, and the declared workloads that the example is."""
    declared = [one for one in machines.WORKLOADS_ if one.name in ("ex", "rx", "lx")]
    policies = machines.policy_set([], [Group("a", groups=frozenset({membership("ex")}))], [], declared, others=[ANY_X])
    principals = frozenset({Principal("workload", ANY_X.name)}) if who == "any-x" else answer(who)
    names = {membership(one.name): one.name for one in declared}
    for tried in (None, machines_for(policies, principals)):
        found = examples(policies, principals, Kind.PASSWORD, tried)
        clients = {(one.source, " ".join(sorted(names[group] for group in one.groups & names.keys()))) for one in found}
        assert clients == expected
