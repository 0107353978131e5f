"""`what-can` and the matrix, checked against every repository of small worlds and in single cases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network

import declared_machines as machines
import policy_worlds as world
import pytest
import rich_worlds as rich
from hypothesis import given, settings
from hypothesis import strategies as st
from pattern_languages import covers
from rule_texts import rule_of
from slow_properties import slow_examples
from what_can_rules import JULY, OFFICE, OPEN, can, policy_set, rule

from tokenserver.identity import Identity, Kind
from tokenserver.patterns import parse_pattern
from tokenserver.policy.analysis.conditions import (
    ALWAYS,
    Given,
    are_apart,
    as_facts,
    implies,
    left_open,
    spell_condition,
    spell_moment,
)
from tokenserver.policy.analysis.remainders import Remainder
from tokenserver.policy.machines.workloads import Workload, membership
from tokenserver.policy.model import Condition, Context, Effect, Group, PolicySet, Principal, Rule
from tokenserver.policy.principals import UNNAMED, HypotheticalClient, client_for
from tokenserver.policy.queries.what_can import Reach, bound, what_can
from tokenserver.policy.terms import parse_principal
from tokenserver.policy.testing.spans import span_of


def has(names: Remainder, name: str) -> bool:
    """Whether the name is one of these."""
    return covers(names.pattern, name) and not any(covers(one, name) for one in names.without)


def says(reaches: Iterable[Reach], identity: Identity, action: str, name: str, context: Context) -> bool:
    """Whether the answer lets the identity do it; a condition that cannot be known stops an allow and not a deny."""
    return any(
        action in reach.actions
        and has(reach.names, name)
        and reach.when.holds(identity.kind, context) is True
        and not any(has(cut.names, name) and cut.when.holds(identity.kind, context) is not False for cut in reach.cuts)
        for reach in reaches
    )


@slow_examples()
@given(world.worlds, world.identities, st.sampled_from(["pull", "push", "*"]))
def test_the_answer_is_exact(policies: PolicySet, identity: Identity, action: str) -> None:
    """For every repository, from everywhere and at any time, the answer agrees with the decision."""
    who = HypotheticalClient(identity, policies.groups.holding(identity))
    reaches = what_can(policies, who, OPEN)
    asked = [(name, context) for name in world.NAMES for context in world.CONTEXTS]
    said = [(name, context) for name, context in asked if says(reaches, identity, action, name, context)]
    assert said == [(name, context) for name, context in asked if can(policies, identity, action, name, context)]


@slow_examples()
@given(rich.worlds, rich.identities, st.sampled_from(["pull", "push", "*"]))
def test_the_answer_is_exact_with_every_word(policies: PolicySet, identity: Identity, action: str) -> None:
    """With `not`, captures, and variables inside segments, likewise; and nothing is listed that has no name."""
    who = HypotheticalClient(identity, policies.groups.holding(identity))
    reaches = what_can(policies, who, OPEN)
    asked = [(name, context) for name in rich.NAMES for context in world.CONTEXTS]
    said = [(name, context) for name, context in asked if says(reaches, identity, action, name, context)]
    assert said == [(name, context) for name, context in asked if can(policies, identity, action, name, context)]


@slow_examples()
@given(machines.worlds, machines.identities, st.sampled_from(["pull", "push", "*"]))
def test_the_answer_is_exact_for_machines(policies: PolicySet, identity: Identity, action: str) -> None:
    """For robots, and for workloads by their claims."""
    who = HypotheticalClient(identity, policies.groups.holding(identity))
    reaches = what_can(policies, who, OPEN)
    asked = [(name, context) for name in world.NAMES for context in world.CONTEXTS]
    said = [(name, context) for name, context in asked if says(reaches, identity, action, name, context)]
    assert said == [(name, context) for name, context in asked if can(policies, identity, action, name, context)]


@slow_examples()
@given(machines.worlds, st.sampled_from(machines.DECLARED))
def test_a_workload_by_name_is_what_it_implies(policies: PolicySet, one: Workload) -> None:
    """The answer is that of clients that are this workload and no other but those that it implies."""
    reaches = what_can(policies, client_for(policies, Principal("workload", one.name)), OPEN)
    implied = policies.groups.workloads.implied(one.name)
    for identity in machines.CLIENTS:
        if policies.groups.workloads.memberships(identity.source, identity.claims) == implied:
            said = [name for name in world.NAMES if says(reaches, identity, "pull", name, world.CONTEXTS[5])]
            assert said == [name for name in world.NAMES if can(policies, identity, "pull", name, world.CONTEXTS[5])]


@slow_examples()
@given(world.mapped_worlds, st.data())
def test_the_answer_is_exact_where_sources_map_names(policies: PolicySet, data: st.DataObject) -> None:
    """For a known namespace the answer is exact; for an unknown one it is once a namespace is filled in."""
    assert policies.namespaces is not None
    identity = data.draw(st.sampled_from(world.everybody_mapped(policies.namespaces)))
    groups = policies.groups.holding(identity)
    who = HypotheticalClient(identity, groups)
    is_open = not identity.is_anonymous and policies.namespaces.of(identity.subject) is None
    asker = replace(identity, namespace=UNNAMED) if is_open else identity
    reaches = [
        replace(
            reach,
            pattern=pattern,
            cuts=tuple(replace(cut, pattern=one) for cut in reach.cuts for one in bound(cut.pattern, who)),
        )
        for reach in what_can(policies, HypotheticalClient(asker, groups), OPEN)
        for pattern in bound(reach.pattern, who)
    ]
    asked = [(name, context) for name in world.NAMES for context in world.CONTEXTS]
    said = [(name, context) for name, context in asked if says(reaches, identity, "pull", name, context)]
    assert said == [(name, context) for name, context in asked if can(policies, identity, "pull", name, context)]


@settings(deadline=None)  # one example is much work, and a busy machine is no failure
@given(world.worlds, world.identities, world.contexts)
def test_what_is_given_is_no_condition_any_more(policies: PolicySet, identity: Identity, context: Context) -> None:
    """With a time and an address, the answer is exact and has no conditions."""
    who = HypotheticalClient(identity, policies.groups.holding(identity))
    reaches = what_can(policies, who, Given("registry", context.client, context.now, is_closed=True))
    assert [one for reach in reaches for one in (reach.when, *(cut.when for cut in reach.cuts)) if one != ALWAYS] == []
    said = [name for name in world.NAMES if says(reaches, identity, "pull", name, context)]
    assert said == [name for name in world.NAMES if can(policies, identity, "pull", name, context)]


@pytest.mark.parametrize(
    ("rules", "who", "brought", "expected"),
    [
        pytest.param([], "user:ann", [], [], id="nothing"),
        pytest.param([rule("r", "group:web")], "user:ann", [], ["pull,push web/**"], id="member"),
        pytest.param([rule("r", "group:web")], "group:web", [], ["pull,push web/**"], id="group-of-the-tree"),
        pytest.param([rule("r", "group:web")], "group:web-devs", [], ["pull,push web/**"], id="directory-group-in-it"),
        pytest.param([rule("r", "group:web")], "user:eve", ["web-devs"], ["pull,push web/**"], id="brought"),
        pytest.param([rule("r", "group:web")], "authenticated", [], [], id="unnamed-is-in-no-group"),
        pytest.param([rule("r", "anonymous")], "anonymous", [], ["pull,push web/**"], id="anonymous"),
        pytest.param([rule("r", "everyone", "users/${user}/x")], "anonymous", [], [], id="anonymous-has-no-name"),
        pytest.param(
            [rule("r", "authenticated", "users/${user}/x")], "user:ann", [], ["pull,push users/ann/x"], id="own-name"
        ),
        pytest.param(
            [rule("r", "authenticated", "users/${user}/x")], "user:Ann!", [], [], id="a-name-that-is-no-segment"
        ),
        pytest.param(
            [rule("r", "authenticated", "users/${user}/x")],
            "authenticated",
            [],
            ["pull,push users/${user}/x"],
            id="whose-name-is-not-known",
        ),
        pytest.param(
            [rule("r", "authenticated", "t/${group}/x")],
            "user:ann",
            ["ops"],
            ["pull,push t/ops/x", "pull,push t/web/x"],
            id="each-group",
        ),
        pytest.param(
            [rule("r", "authenticated", "t/${group}/x")],
            "authenticated",
            [],
            ["pull,push t/${group}/x"],
            id="whose-groups-are-not-known",
        ),
        pytest.param(
            [rule("r", "authenticated"), rule("no-r", "everyone", "web/prod/**", "push")],
            "user:ann",
            [],
            ["pull web/**", "push web/** except web/prod/**"],
            id="cut-for-one-action",
        ),
        pytest.param(
            [rule("r", "authenticated"), rule("no-r", "everyone", "web/**", "push")],
            "user:ann",
            [],
            ["pull web/**"],
            id="cut-whole",
        ),
        pytest.param(
            [rule("r", "authenticated"), rule("no-r", "everyone", "data/**", "push")],
            "user:ann",
            [],
            ["pull,push web/**"],
            id="cut-elsewhere",
        ),
        pytest.param(
            [rule("r", "group:web", "catalog", "*")], "user:ann", [], ["* registry:catalog"], id="registry-resource"
        ),
    ],
)
def test_answer(rules: list[Rule], who: str, brought: list[str], expected: list[str]) -> None:
    """How the answer reads."""
    policies = policy_set(*rules)
    found = what_can(policies, client_for(policies, parse_principal(who), brought), OPEN)
    assert sorted(str(span_of(reach)) for reach in found) == expected


@pytest.mark.parametrize(
    ("rules", "who", "brought", "expected"),
    [
        pytest.param(
            [rule_of("r", "allow", "group:web", "web/** not web/prod/** lib/**")],
            "user:ann",
            [],
            ["pull,push web/** except web/prod/**"],
            id="not",
        ),
        pytest.param(
            [rule_of("r", "allow", "group:web", "web/* lib not web/**")],
            "user:ann",
            [],
            ["pull,push lib"],
            id="not-any-of-a-pattern",
        ),
        pytest.param(
            [rule("r", "authenticated"), rule_of("no", "deny", "everyone", "web/prod/** not web/prod/open/**", "push")],
            "user:ann",
            [],
            ["pull web/**", "push web/** except web/prod/** (without web/prod/open/**)"],
            id="not-of-a-deny",
        ),
        pytest.param(
            [rule("r", "authenticated"), rule_of("no", "deny", "everyone", "** not web/prod/**")],
            "user:ann",
            [],
            ["pull,push web/** except ** (without web/prod/**)"],
            id="everything-but-a-part",
        ),
        pytest.param(
            [rule("r", "authenticated", "web/a"), rule_of("no", "deny", "everyone", "web/* not web/a web/b")],
            "user:ann",
            [],
            ["pull,push web/a"],
            id="spared",
        ),
        pytest.param(
            [
                rule_of("r", "allow", "authenticated", "web/* not web/a"),
                rule_of("no", "deny", "everyone", "web/a lib/* web/*/x"),
            ],
            "user:ann",
            [],
            ["pull,push web/* except web/a"],
            id="a-deny-of-what-is-left-out",
        ),
        pytest.param(
            [
                rule_of("r", "allow", "authenticated", "${group}/b"),
                rule_of("no", "deny", "authenticated", "a/${group} not lib/**"),
            ],
            "authenticated",
            [],
            ["pull,push ${group}/b except a/${group} (without lib/**)"],
            id="members-of-two-groups",
        ),
        pytest.param(
            [rule_of("r", "allow", "group:reg-{team}-rw group:adm-{team}", "${team}/** shared/${team}-*")],
            "user:eve",
            ["reg-web-rw", "adm-web", "adm-x.y", "adm--", "other"],
            ["pull,push shared/web-*", "pull,push shared/x.y-*", "pull,push web/**", "pull,push x.y/**"],
            id="captures",
        ),
        pytest.param(
            [rule_of("r", "allow", "group:{team}-devs", "${team}/**")],
            "user:ann",
            ["web-devs"],
            ["pull,push web/**"],
            id="a-capture-of-a-directory-group",
        ),
        pytest.param(
            [rule_of("r", "allow", "group:w{team}", "${team}/**")],
            "group:web",
            [],
            ["pull,push eb/**"],
            id="a-member-of-a-captured-group",
        ),
        pytest.param(
            [rule_of("r", "allow", "group:w{team}", "${team}/**")], "authenticated", [], [], id="in-no-captured-group"
        ),
        pytest.param(
            [rule_of("r", "allow", "authenticated", "x-${user}/** ${user}-*")],
            "user:ann",
            [],
            ["pull,push ann-*", "pull,push x-ann/**"],
            id="inside-a-segment",
        ),
        pytest.param(
            [rule_of("r", "allow", "authenticated", "x-${user}/**")],
            "authenticated",
            [],
            ["pull,push x-${user}/**"],
            id="inside-a-segment-of-any-user",
        ),
    ],
)
def test_answer_with_every_word(rules: list[Rule], who: str, brought: list[str], expected: list[str]) -> None:
    """With `not`, captures, and variables inside segments; captures are filled in with what groups are known."""
    policies = policy_set(*rules)
    found = what_can(policies, client_for(policies, parse_principal(who), brought), OPEN)
    assert sorted(str(span_of(reach)) for reach in found) == expected


def test_a_reach_without_a_part_is_not_whole() -> None:
    """Neither is one that is cut, or depends on circumstances."""
    client = client_for(policy_set(), parse_principal("user:ann"))
    (reach,) = what_can(policy_set(rule_of("r", "allow", "everyone", "a/** not a/x")), client, OPEN)
    assert (reach.is_whole, reach.names.without) == (False, (parse_pattern("a/x"),))
    (reach,) = what_can(policy_set(rule_of("r", "allow", "everyone", "a/** not b/x")), client, OPEN)
    assert reach.is_whole


def test_conditions_stay() -> None:
    """Of the allow and of the deny; a deny that holds whenever the allow does is none any more."""
    narrow = Condition(OFFICE.networks, None, JULY)
    policies = policy_set(
        rule("r", "everyone", when=narrow),
        rule("no-1", "everyone", "web/a", when=Condition(until=JULY)),
        rule("no-2", "everyone", "web/b", when=Condition(since=JULY)),
        rule("no-3", "everyone", "web/c", when=Condition(since=datetime(2026, 1, 1, tzinfo=UTC))),
    )
    (reach,) = what_can(policies, client_for(policies, parse_principal("anonymous")), OPEN)
    assert (reach.when, reach.is_whole) == (narrow, False)
    assert {cut.rule.id: cut.when == ALWAYS for cut in reach.cuts} == {"no-1": True, "no-3": False}


DAY = datetime(2027, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        pytest.param(ALWAYS, "", id="none"),
        pytest.param(Condition(since=DAY), "since 2027-01-31", id="day"),
        pytest.param(Condition(kinds=frozenset({Kind.PASSWORD})), "kind password", id="kind"),
        pytest.param(Condition(until=DAY.replace(hour=18)), "until 2027-01-31T18:00:00Z", id="time"),
        pytest.param(
            Condition((ip_network("10.0.0.0/8"), ip_network("::/0"))), "from 10.0.0.0/8 or ::/0", id="networks"
        ),
    ],
)
def test_spell_condition(condition: Condition, expected: str) -> None:
    """As short as a policy file writes it."""
    assert spell_condition(condition) == expected
    assert list(as_facts(condition)) == [word for word in expected.split(" ")[:1] if word]


def test_spell_moment_keeps_fractions() -> None:
    """Any condition that a file can have."""
    assert spell_moment(DAY.replace(microsecond=5)) == "2027-01-31T00:00:00.000005Z"


conditions = st.builds(
    Condition,
    st.lists(
        st.sampled_from([ip_network(one) for one in ("10.0.0.0/8", "10.9.0.0/16", "192.0.2.0/24", "::/0")]), max_size=2
    ).map(tuple),
    st.sampled_from([None, world.TIMES[1]]),
    st.sampled_from([None, world.TIMES[1], world.TIMES[2]]),
    st.sampled_from([frozenset(), *({kind} for kind in world.EVERYBODY[0].kind.__class__)]).map(frozenset),
)


@given(conditions, conditions, world.contexts, world.identities)
def test_conditions_side_by_side(one: Condition, other: Condition, context: Context, identity: Identity) -> None:
    """If one implies another, both hold; if they are disjoint, never both."""
    left, right = one.holds(identity.kind, context), other.holds(identity.kind, context)
    assert not (implies(one, other) and left is True and right is not True)
    assert not (are_apart(one, other) and left is True and right is True)


def test_an_unknown_address_fails_closed() -> None:
    """As in a decision: an allow does not apply then, a deny does."""
    closed = Given("registry", None, JULY, is_closed=True)
    assert left_open(rule("r", "everyone", when=OFFICE), frozenset({Kind.ANONYMOUS}), closed) is None
    assert left_open(rule("no-r", "everyone", when=OFFICE), frozenset({Kind.ANONYMOUS}), closed) == ALWAYS


def test_a_rule_for_another_registry_is_left_out() -> None:
    """Whatever its condition is."""
    made = rule("r", "everyone", when=OFFICE)
    assert left_open(made, frozenset({Kind.ANONYMOUS}), OPEN) == OFFICE
    other = Rule.of("r", Effect.ALLOW, made.to, made.patterns, ["pull"], services=frozenset({"other"}))
    assert left_open(other, frozenset({Kind.ANONYMOUS}), OPEN) is None


TREE_OF_MACHINES = [
    Group("bots", frozenset({"robot:ci"})),
    Group("a", frozenset({"ann"}), frozenset({membership("a")})),
]


@pytest.mark.parametrize(
    ("rules", "who", "expected"),
    [
        pytest.param([rule("r", "robot:ci")], "robot:ci", ["pull,push web/**"], id="a robot"),
        pytest.param([rule("r", "group:bots")], "robot:ci", ["pull,push web/**"], id="a robot in a group"),
        pytest.param([rule("r", "robot:ci")], "robots", [], id="not every robot"),
        pytest.param([rule("r", "robots")], "robots", ["pull,push web/**"], id="robots"),
        pytest.param([rule("r", "robots")], "robot:ci", ["pull,push web/**"], id="each robot"),
        pytest.param([rule("r", "robots")], "workloads", [], id="no workload"),
        pytest.param([rule("r", "authenticated")], "robots", [], id="no people"),
        pytest.param([rule("r", "robots workloads")], "authenticated", [], id="people are no machines"),
        pytest.param([rule("r", "everyone")], "workloads", ["pull,push web/**"], id="everyone"),
        pytest.param([rule("r", "workload:a")], "workload:main", ["pull,push web/**"], id="an implied workload"),
        pytest.param([rule("r", "workload:main")], "workload:a", [], id="not the other way"),
        pytest.param([rule("r", "group:a")], "workload:main", ["pull,push web/**"], id="a group of an implied one"),
        pytest.param([rule("r", "workloads")], "workload:lab", ["pull,push web/**"], id="each workload"),
        pytest.param(
            [rule("r", "everyone"), rule("no-r", "workload:a", "web/prod/**")],
            "workload:main",
            ["pull,push web/** except web/prod/**"],
            id="cut",
        ),
        pytest.param(
            [rule("r", "robots", "${user}/**"), rule("s", "robots", "${group}/**")],
            "robot:ci",
            ["pull,push bots/**"],
            id="groups have names, machines not",
        ),
        pytest.param([rule("r", "robots", "${group}/**")], "robots", ["pull,push ${group}/**"], id="unknown groups"),
        pytest.param(
            [rule("r", "authenticated"), rule("s", "group:bots")], "group:bots", ["pull,push web/**"], id="bots"
        ),
    ],
)
def test_answer_for_machines(rules: list[Rule], who: str, expected: list[str]) -> None:
    """Robots and workloads by name, and what all of them can."""
    policies = machines.policy_set(rules, TREE_OF_MACHINES)
    found = what_can(policies, client_for(policies, parse_principal(who)), OPEN)
    assert sorted(str(span_of(reach)) for reach in found) == expected


def test_the_kind_of_machines() -> None:
    """A condition on the kind of credential is decided by the question."""
    when = Condition(kinds=frozenset({Kind.ROBOT}))
    policies = machines.policy_set([rule("r", "everyone", when=when)])
    found = {
        who: what_can(policies, client_for(policies, parse_principal(who)), OPEN) for who in ("robots", "workloads")
    }
    assert [reach.when for reach in found["robots"]] == [ALWAYS]
    assert found["workloads"] == ()


CLIENTS = machines.policy_set(
    [],
    [
        Group("bots", frozenset({"robot:ci"}), frozenset()),
        Group("builds", frozenset(), frozenset({membership("main")})),
        Group("mixed", frozenset({"ann", "robot:ci"}), frozenset()),
    ],
    machines.DECLARED,
)
MAIN = frozenset({membership("main"), membership("a"), membership("any"), "builds"})


@pytest.mark.parametrize(
    ("principal", "subject", "kind", "source", "groups"),
    [
        pytest.param("robot:ci", "robot:ci", Kind.ROBOT, "", {"bots", "mixed"}, id="a robot"),
        pytest.param("robots", UNNAMED, Kind.ROBOT, "", set(), id="robots"),
        pytest.param("workload:main", "workload:\0", Kind.WORKLOAD, "github", MAIN, id="a workload"),
        pytest.param("workload:gone", "workload:\0", Kind.WORKLOAD, "", {membership("gone")}, id="not declared"),
        pytest.param("workloads", UNNAMED, Kind.WORKLOAD, "", set(), id="workloads"),
        pytest.param("group:bots", UNNAMED, Kind.ROBOT, "", {"bots"}, id="a group of robots"),
        pytest.param("group:builds", UNNAMED, Kind.WORKLOAD, "", {"builds"}, id="a group of workloads"),
        pytest.param("group:mixed", UNNAMED, Kind.PASSWORD, "", {"mixed"}, id="a group of people and robots"),
    ],
)
def test_client_for_machines(principal: str, subject: str, kind: Kind, source: str, groups: set[str]) -> None:
    """A machine has no namespace, and a workload is each that it implies."""
    asked = client_for(CLIENTS, parse_principal(principal))
    assert (asked.identity.subject, asked.identity.kind, asked.identity.source) == (subject, kind, source)
    assert asked.groups == groups
    assert asked.is_open is (kind is Kind.PASSWORD)
