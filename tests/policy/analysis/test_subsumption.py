"""Subsumption of rules: True is always right."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_network
from itertools import product

import captured_rules as captured
import machine_rules as machine
import policy_worlds as world
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_properties import slow_examples

from tokenserver.identity import MACHINES, PEOPLE, Identity, Kind
from tokenserver.patterns import Capture, matches, parse_pattern
from tokenserver.policy.analysis.subsumption import (
    EVERY_KIND,
    covers,
    covers_condition,
    covers_people,
    covers_services,
    excludes_no_more,
    kinds_of,
    known_groups,
    may_share_machines,
    possible_kinds,
    recipients,
)
from tokenserver.policy.budget import Budget, TooComplex
from tokenserver.policy.machines.workloads import membership
from tokenserver.policy.model import Condition, Context, Effect, Group, Groups, PolicySet, Principals, Rule
from tokenserver.policy.principals import principals_of
from tokenserver.policy.terms import parse_principal

GROUPS = Groups.of_all(
    [
        Group("web", frozenset({"ann", "bob"})),
        Group("devs", frozenset({"ann"}), frozenset({"ldap-devs"})),
        Group("all", frozenset({"ann", "bob", "zoe"}), frozenset({"ldap-devs", "ldap-ops"})),
    ]
)


WITHOUT_MACHINES = frozenset(Kind) - MACHINES.keys()


def people(text: str) -> Principals:
    """A set of principals."""
    return principals_of(map(parse_principal, text.split()))


def rule(to: str = "everyone", *, but: str = "", when: Condition | None = None, patterns: str = "web/**") -> Rule:
    """An allow rule for pulls."""
    return Rule.of(
        "r",
        Effect.ALLOW,
        people(to),
        map(parse_pattern, patterns.split()),
        ["pull"],
        excluded=people(but) if but else None,
        condition=when,
    )


def applies(to: Rule, identity: Identity, groups: frozenset[str], context: Context, name: str) -> bool:
    """Whether the rule applies to this client, name and context, by the words of the contract."""
    user = None if identity.is_anonymous else identity.subject
    return (
        to.to.include(identity, groups)
        and not (to.excluded is not None and to.excluded.include(identity, groups))
        and (to.services is None or context.service in to.services)
        and (to.condition is None or to.condition.holds(identity.kind, context) is True)
        and any(matches(pattern, name.split("/"), user, groups) for pattern in to.patterns)
    )


@slow_examples()
@given(world.worlds, world.names, world.contexts, st.lists(world.identities, min_size=1, max_size=20))
def test_a_rule_that_covers_applies_wherever_the_other_does(
    policies: PolicySet, name: str, context: Context, clients: list[Identity]
) -> None:
    """For any client, name and context."""
    for inner in policies.rules:
        for outer in policies.rules:
            if outer is inner or not covers(outer, inner, policies.groups, inner.actions):
                continue
            assert inner.actions <= outer.actions
            for client in clients:
                groups = policies.groups.holding(client)
                if applies(inner, client, groups, context, name):
                    assert applies(outer, client, groups, context, name)


@settings(deadline=None)
@given(machine.worlds, st.booleans())
def test_a_rule_that_covers_applies_to_the_same_machines(policies: PolicySet, is_known: bool) -> None:
    """For people, robots and workloads with overlapping claims, also where the kinds of clients are not known."""
    kinds = possible_kinds(policies) if is_known else EVERY_KIND
    pairs = [
        (outer, inner)
        for outer in policies.rules
        for inner in policies.rules
        if outer is not inner and covers(outer, inner, policies.groups, inner.actions, kinds=kinds)
    ]
    for (outer, inner), (client, held), name in product(pairs, machine.clients(policies), machine.NAMES):
        if machine.applies(inner, client, held, name, world.CONTEXTS[0]):
            assert machine.applies(outer, client, held, name, world.CONTEXTS[0])


@slow_examples()
@given(machine.worlds, st.booleans())
def test_principals_are_compared_rightly(policies: PolicySet, is_known: bool) -> None:
    """Whatever the names, conditions and effects of their rules are."""
    kinds = possible_kinds(policies) if is_known else EVERY_KIND
    clients, groups = [*machine.clients(policies)], policies.groups
    people_ = [
        one for rule_ in policies.rules for one in (recipients(rule_, groups), rule_.excluded) if one is not None
    ]
    for outer, inner in product(people_, repeat=2):
        if covers_people(outer, inner, groups, kinds):
            assert all(outer.include(*client) for client in clients if inner.include(*client))
    for excluded, inner_ in product(people_, policies.rules):
        if excludes_no_more(excluded, inner_, groups, kinds):
            there = [client for client in clients if machine.is_meant(inner_, *client)]
            assert not any(excluded.include(*client) for client in there)


@settings(deadline=None)
@given(machine.worlds)
def test_what_is_known_about_principals(policies: PolicySet) -> None:
    """Their kinds of credential, the groups of those named first, and who is never a client of two sets."""
    kinds, groups = possible_kinds(policies), policies.groups
    clients = [*machine.clients(policies)]
    for one in policies.rules:
        met = {client for client in clients if one.to.include(*client)}
        possible = kinds_of(one, groups, kinds)
        assert {
            client.kind
            for client, held in met
            for name in machine.NAMES
            if machine.applies(one, client, held, name, world.CONTEXTS[0])
        } <= possible
        if one.to.are_named and len(one.to.users) + len(one.to.groups) == 1:
            (certain,) = known_groups(one.to, groups)
            assert all(certain <= held for _, held in met)
        for other in policies.rules:
            if not may_share_machines(one.to, other.to, groups):
                both = [client for client in met if other.to.include(*client)]
                assert all(client.kind not in MACHINES for client, _ in both)


@given(world.worlds)
def test_every_rule_covers_itself(policies: PolicySet) -> None:
    """If it can apply to anybody at all."""
    for one in policies.rules:
        assert covers(one, one, policies.groups, one.actions) is bool(
            kinds_of(one, policies.groups) or one.condition is None
        )


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        pytest.param("everyone", "user:ann group:x anonymous", True, id="everyone includes all"),
        pytest.param("authenticated", "user:ann group:x", True, id="authenticated includes every user"),
        pytest.param("authenticated", "anonymous", False, id="and no anonymous client"),
        pytest.param("authenticated anonymous", "everyone", True, id="both halves are everyone"),
        pytest.param("authenticated", "everyone", False, id="one half is not"),
        pytest.param("group:web", "user:ann", True, id="a member of the tree's group"),
        pytest.param("group:web", "user:zoe", False, id="no member"),
        pytest.param("user:ann user:bob", "group:web", True, id="all members of a group of users"),
        pytest.param("user:ann", "group:web", False, id="not all members"),
        pytest.param("group:all", "group:devs", True, id="a group within another"),
        pytest.param("group:devs", "group:all", False, id="and not the other way round"),
        pytest.param("group:web", "group:ldap-ops", False, id="a directory's group may have any user"),
        pytest.param("group:ldap-devs user:ann", "group:devs", True, id="a group by its members"),
        pytest.param("group:ldap-devs", "group:ldap-ops", False, id="two groups of a directory"),
        pytest.param("user:ann", "authenticated", False, id="one of many"),
    ],
)
def test_covers_people(outer: str, inner: str, expected: bool) -> None:
    """By the members that are known; the members of a directory's group are not."""
    assert covers_people(people(outer), people(inner), GROUPS, WITHOUT_MACHINES) is expected


MIXED = Groups.of_all(
    [
        Group("people", frozenset({"ann"}), frozenset({"ldap-devs"})),
        Group("bots", frozenset({"robot:ci"})),
        Group("mixed", frozenset({"ann", "robot:ci"}), frozenset({membership("a")})),
        Group("jobs", frozenset(), frozenset({membership("a"), membership("d")})),
        Group("none"),
    ],
    machine.WORKLOADS,
)


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        pytest.param("authenticated", "robot:ci", False, id="a robot is no person"),
        pytest.param("authenticated", "workload:a", False, id="nor is a workload"),
        pytest.param("authenticated", "group:people group:ldap-ops", True, id="groups of people"),
        pytest.param("authenticated", "group:none", True, id="a group of nobody"),
        pytest.param("authenticated", "group:bots", False, id="a group of robots"),
        pytest.param("authenticated", "group:mixed", False, id="a group of people and machines"),
        pytest.param("authenticated robots", "group:mixed", False, id="all but its workload"),
        pytest.param("authenticated robots workloads", "group:mixed", True, id="all sorts"),
        pytest.param("authenticated anonymous", "everyone", False, id="everyone has machines"),
        pytest.param("authenticated anonymous robots", "everyone", False, id="and workloads"),
        pytest.param("authenticated anonymous robots workloads", "everyone", True, id="all four parts"),
        pytest.param("everyone", "robots workloads", True, id="everyone includes machines"),
        pytest.param("robots", "robot:ci robot:other", True, id="every robot"),
        pytest.param("robots", "workload:a", False, id="no workload"),
        pytest.param("robots", "group:bots", True, id="a group of robots among all"),
        pytest.param("robots", "user:ann", False, id="no user"),
        pytest.param("robot:ci", "robots", False, id="one of many robots"),
        pytest.param("group:bots", "robot:ci", True, id="a robot in a group"),
        pytest.param("group:bots", "robot:cd", False, id="a robot in no group"),
        pytest.param("robot:ci", "group:bots", True, id="the only robot of a group"),
        pytest.param("workloads", "workload:a group:jobs", True, id="every workload"),
        pytest.param("workloads", "robots", False, id="no robot"),
        pytest.param("workload:a", "workload:b", True, id="a workload that implies another"),
        pytest.param("workload:b", "workload:a", False, id="and not the other way round"),
        pytest.param("workload:c", "workload:b", True, id="one value of two"),
        pytest.param("workload:d", "workload:c", False, id="another source"),
        pytest.param("group:jobs", "workload:b", True, id="a group with an implied workload"),
        pytest.param("group:jobs", "workload:c", False, id="a group without it"),
        pytest.param("workload:a workload:d", "group:jobs", True, id="all workloads of a group"),
        pytest.param("workload:a", "group:jobs", False, id="one of them"),
    ],
)
def test_machines_are_covered(outer: str, inner: str, expected: bool) -> None:
    """By name, by the sets of all, by groups that hold them, and by the workloads that they imply."""
    assert covers_people(people(outer), people(inner), MIXED) is expected


@pytest.mark.parametrize(
    ("excluded", "inner", "expected"),
    [
        pytest.param("authenticated", rule("robots"), True, id="people are no robots"),
        pytest.param("robots", rule("authenticated"), True, id="robots are no people"),
        pytest.param("robots", rule("everyone"), False, id="everyone has robots"),
        pytest.param("robots", rule("everyone", but="robots"), True, id="that are excluded there as well"),
        pytest.param("robot:ci", rule("robots"), False, id="one of all"),
        pytest.param("robot:ci", rule("robot:cd"), True, id="another robot"),
        pytest.param("robot:ci", rule("group:mixed"), False, id="a robot in a group"),
        pytest.param("robot:cd", rule("group:bots"), True, id="a robot in no group"),
        pytest.param("group:bots", rule("group:people"), True, id="groups of different sorts"),
        pytest.param("group:mixed", rule("group:bots"), False, id="a robot in both groups"),
        pytest.param("workload:a", rule("workload:b"), False, id="a workload that implies it"),
        pytest.param("workload:a", rule("workload:c"), False, id="workloads that may be held together"),
        pytest.param("workload:a", rule("workload:d"), True, id="another source"),
        pytest.param("workload:a", rule("workloads"), False, id="one of all workloads"),
        pytest.param("workload:d", rule("robots"), True, id="robots are no workloads"),
        pytest.param("user:ann", rule("robot:ci workload:a"), True, id="machines have no user names"),
    ],
)
def test_excluded_machines(excluded: str, inner: Rule, expected: bool) -> None:
    """Only workloads of different sources are certainly apart."""
    assert excludes_no_more(people(excluded), inner, MIXED) is expected


@pytest.mark.parametrize(
    ("excluded", "inner", "expected"),
    [
        pytest.param("user:eve", rule("authenticated", but="user:eve"), True, id="excluded there as well"),
        pytest.param("user:eve", rule("authenticated"), False, id="eve may be any user"),
        pytest.param("user:eve", rule("user:ann"), True, id="another user"),
        pytest.param("group:web", rule("user:ann"), False, id="a member of the excluded group"),
        pytest.param("group:web", rule("user:zoe"), True, id="no member of a group of users"),
        pytest.param("group:devs", rule("user:zoe"), False, id="who may be in it by a directory"),
        pytest.param("group:x", rule("user:ann"), False, id="a directory's group may have any user"),
        pytest.param("user:eve", rule("group:web"), False, id="a group whose members may be anybody"),
        pytest.param("user:eve", rule("anonymous"), True, id="anonymous clients have no name"),
        pytest.param("anonymous", rule("anonymous"), False, id="anonymous clients"),
        pytest.param("anonymous", rule("user:ann"), True, id="users are not anonymous"),
        pytest.param("everyone", rule("user:ann"), False, id="everyone"),
        pytest.param("authenticated", rule("user:ann"), False, id="every user"),
    ],
)
def test_excludes_no_more(excluded: str, inner: Rule, expected: bool) -> None:
    """Only if it is certain that nobody to whom the inner rule applies is excluded."""
    assert excludes_no_more(people(excluded), inner, GROUPS, WITHOUT_MACHINES) is expected


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        pytest.param(None, None, True, id="all registries"),
        pytest.param(None, frozenset({"a"}), True, id="one of all"),
        pytest.param(frozenset({"a"}), None, False, id="all are more than one"),
        pytest.param(frozenset({"a", "b"}), frozenset({"a"}), True, id="one of two"),
        pytest.param(frozenset({"a"}), frozenset({"a", "b"}), False, id="two are more than one"),
    ],
)
def test_covers_services(outer: frozenset[str] | None, inner: frozenset[str] | None, expected: bool) -> None:
    """None means all registries, now and later."""
    assert covers_services(outer, inner) is expected


OFFICE = Condition((ip_network("10.0.0.0/8"),))
PASSWORDS = Condition(kinds=frozenset({Kind.PASSWORD}))


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        pytest.param(None, rule(when=OFFICE), True, id="no condition"),
        pytest.param(OFFICE, rule(), False, id="a condition against none"),
        pytest.param(OFFICE, rule(when=Condition((ip_network("10.1.0.0/16"),))), True, id="a narrower network"),
        pytest.param(
            Condition(until=datetime(2027, 1, 1, tzinfo=UTC)),
            rule(when=Condition(until=datetime(2026, 1, 1, tzinfo=UTC))),
            True,
            id="an earlier end",
        ),
        pytest.param(PASSWORDS, rule("anonymous"), False, id="anonymous clients have no password"),
    ],
)
def test_covers_condition(outer: Condition | None, inner: Rule, expected: bool) -> None:
    """Whether the outer condition holds whenever the inner one does, for the kinds of clients of the inner rule."""
    assert covers_condition(outer, inner, GROUPS) is expected


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(rule("everyone"), set(Kind), id="everyone"),
        pytest.param(rule("anonymous"), {Kind.ANONYMOUS}, id="anonymous"),
        pytest.param(rule("user:ann"), PEOPLE, id="a user"),
        pytest.param(rule("authenticated"), PEOPLE, id="everybody who logs in"),
        pytest.param(rule("everyone", when=PASSWORDS), {Kind.PASSWORD}, id="by a condition"),
        pytest.param(rule("anonymous", when=PASSWORDS), set(), id="nobody: the two exclude each other"),
        pytest.param(rule("robot:ci"), {Kind.ROBOT}, id="a robot"),
        pytest.param(rule("workload:a"), {Kind.WORKLOAD}, id="a workload"),
        pytest.param(rule("robots", when=PASSWORDS), set(), id="robots have no password"),
        pytest.param(rule("group:mixed"), PEOPLE | MACHINES.keys(), id="a group with all sorts"),
        pytest.param(rule("group:bots"), {Kind.ROBOT}, id="a group of robots"),
    ],
)
def test_kinds_of(one: Rule, expected: set[Kind]) -> None:
    """The kinds of credential to which a rule can apply."""
    assert kinds_of(one, MIXED) == expected


def test_a_comparison_spends_its_budget() -> None:
    """Rules with very many patterns are not compared for ever."""
    many = rule(patterns=" ".join(f"web/{number}/**" for number in range(200)))
    with pytest.raises(TooComplex):
        covers(many, many, GROUPS, many.actions, Budget(100))


PAIRS = (
    st.tuples(captured.of_users, captured.of_users)
    | st.tuples(captured.of_groups, captured.of_groups)
    | st.tuples(captured.capturing, captured.capturing)
    | st.tuples(captured.of_groups, captured.capturing)
    | st.tuples(captured.capturing, captured.of_groups)
)


def escaping(outer: Rule, inner: Rule, groups: Groups) -> tuple[str, str, frozenset[str]] | None:
    """A name that `inner` has for a client and `outer` does not: the name, the user and the groups."""
    for client, held in captured.clients(groups):
        for name in captured.NAMES:
            if captured.has(inner, client, held, name) and not captured.has(outer, client, held, name):
                return "/".join(name), client.subject, held
    return None


@slow_examples()
@given(PAIRS)
def test_names_are_compared_exactly(pair: tuple[Rule, Rule]) -> None:
    """With captures, variables inside segments and `not` on either side."""
    for outer, inner in (pair, pair[::-1]):
        assert covers(outer, inner, GROUPS, inner.actions) is (escaping(outer, inner, Groups.of_all([])) is None)


@given(st.tuples(captured.rules, captured.named), st.sampled_from([[], captured.TREE]))
def test_groups_that_a_rule_names_fill_variables(pair: tuple[Rule, Rule], tree: list[Group]) -> None:
    """For rules to groups and users, True is right."""
    groups = Groups.of_all(tree)
    if covers(*pair, groups, frozenset({"pull"})):
        assert escaping(*pair, groups) is None


def capture(to: str, patterns: str, without: str = "") -> Rule:
    """A rule to a group with a capture, or to other principals."""
    before, brace, after = to.removeprefix("group:").partition("{t}")
    captures = (Capture(before, after),) if brace else ()
    people_ = Principals(authenticated=True) if captures else people(to)
    made = [parse_pattern(text, "t" if captures else "", captures) for text in patterns.split()]
    return Rule.of("r", Effect.ALLOW, people_, made, ["pull"], without=map(parse_pattern, without.split()))


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        pytest.param(("everyone", "a/**", "a/b/**"), ("everyone", "a/*"), True, id="not takes another part away"),
        pytest.param(("everyone", "a/**", "a/b"), ("everyone", "a/*"), False, id="not takes a part away"),
        pytest.param(("everyone", "a/**", "a/b"), ("everyone", "a/*", "a/b*"), True, id="from both"),
        pytest.param(("everyone", "a/*"), ("everyone", "a/**", "a/*/**"), True, id="not helps the inner one"),
        pytest.param(("group:r-{t}", "${t}/**"), ("group:r-a", "a/b"), True, id="a captured group"),
        pytest.param(("group:r-{t}", "${t}/**"), ("group:r-a", "r-a/b"), False, id="not the whole name"),
        pytest.param(("group:r-{t}", "${t}/**"), ("group:ra", "a/b"), False, id="a group that is not captured"),
        pytest.param(("group:r-{t}", "${t}/**"), ("group:r-a group:r-b", "a/b"), False, id="one of two groups"),
        pytest.param(("group:r-{t}", "*/${t}-*"), ("group:r-a", "x/a-b x/a-c*"), True, id="a part of a segment"),
        pytest.param(("group:r-{t}", "a/${t} b"), ("user:ann", "a/x b"), True, id="a member of the tree's group"),
        pytest.param(("group:r-{t}", "a/${t} b"), ("user:bob", "a/x b"), False, id="no member"),
        pytest.param(("authenticated", "${group}/*"), ("group:web", "web/x"), True, id="the whole name of a group"),
        pytest.param(("authenticated", "a-${group}/*"), ("group:web", "a-web/x"), True, id="beside some text"),
        pytest.param(
            ("group:r-{t}", "${t}" + "/a" * 125), ("group:r-abcd", "abcd/**"), False, id="longer than any name"
        ),
    ],
)
def test_covers_names(outer: tuple[str, ...], inner: tuple[str, ...], expected: bool) -> None:
    """What `not` takes away, and what a group captures."""
    groups = Groups.of_all([Group("r-x", frozenset({"ann"})), Group("r-y", frozenset({"ann"}))])
    assert covers(capture(*outer), capture(*inner), groups, frozenset({"pull"})) is expected
