"""`who-can`, checked against all clients of small worlds and in single cases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any

import policy_worlds as world
import pytest
import rich_worlds as rich
import tree_machines as machines
from hypothesis import given, settings
from slow_properties import slow_examples

from tokenserver.identity import Identity, Kind, NamespaceRule, Namespaces
from tokenserver.patterns import parse_pattern
from tokenserver.policy.analysis.conditions import Given
from tokenserver.policy.decide import decide
from tokenserver.policy.index import build_index
from tokenserver.policy.model import Condition, Context, Effect, Group, Groups, PolicySet, Rule
from tokenserver.policy.principals import principals_of
from tokenserver.policy.queries import who_can as holders_module
from tokenserver.policy.queries.who_can import holders
from tokenserver.policy.queries.who_can_report import roster
from tokenserver.policy.queries.witnesses import TooManyCombinations
from tokenserver.policy.terms import parse_principal
from tokenserver.scopes import Resource, Scope

OPEN = Given("registry")
SINGLE = ("user", "group")
CONTEXTS = world.CONTEXTS[::2]
SETS = ("everyone", "authenticated", "anonymous")


def facts(policies: PolicySet, name: str, given: Given = OPEN, action: str = "pull") -> dict[str, Any]:
    return roster(policies, holders(policies, action, Resource("repository", name), given)).facts()


def is_one(policies: PolicySet, identity: Identity, principal: str) -> bool:
    """Whether the identity is the principal, by the words of the contract."""
    sort, _, name = principal.partition(":")
    if sort == "namespace":
        return not identity.is_anonymous and identity.user_value == name
    return machines.is_one(policies, identity, principal)


def holds(
    policies: PolicySet, identity: Identity, condition: dict[str, Any], context: Context, *, unknown: bool
) -> bool:
    """Whether a condition of the answer holds; `unknown` is what an unknown address makes of `from`."""

    def day(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    near, barred = (
        context.client is not None and any(context.client in ip_network(text) for text in condition.get(key, []))
        for key in ("from", "not_from")
    )
    if context.client is None:
        near, barred = unknown, not unknown
    return (
        all(is_one(policies, identity, f"group:{group}") for group in condition.get("groups", []))
        and all(is_one(policies, identity, f"workload:{name}") for name in condition.get("workloads", []))
        and machines.has_claims(identity, condition.get("claims", {}))
        and identity.kind in condition.get("kind", [identity.kind])
        and condition.get("namespace") in (None, identity.user_value)
        and all(is_one(policies, identity, who) for who in condition.get("who", []))
        and not any(is_one(policies, identity, who) for who in condition.get("except", []))
        and ("since" not in condition or day(condition["since"]) <= context.now)
        and ("until" not in condition or context.now < day(condition["until"]))
        and ("from" not in condition or near)
        and ("not_from" not in condition or not barred)
        and not any(holds(policies, identity, one, context, unknown=True) for one in condition.get("unless", []))
    )


def says(policies: PolicySet, answer: dict[str, Any], identity: Identity, context: Context) -> bool:
    """Whether the JSON answer, read by its documentation, lets this client do it."""
    if any(is_one(policies, identity, who) for who in answer["except"]):
        return False
    named = [f"user:{name}" for name in answer["users"]] + [f"group:{name}" for name in answer["groups"]]
    named += [f"namespace:{name}" for name in answer.get("namespaces", ())]
    named += [f"robot:{name}" for name in answer.get("robots", ())]
    named += [f"workload:{name}" for name in answer.get("workloads", ())]
    entries = {who: answer["when"].get(who, True) for who in named}
    entries |= {who: answer[who] for who in ("authenticated", "anonymous")}
    entries |= {"robots": answer.get("every_robot", False), "workloads": answer.get("every_workload", False)}
    return any(
        is_one(policies, identity, who)
        and (
            entry is True
            or (entry is not False and any(holds(policies, identity, one, context, unknown=False) for one in entry))
        )
        for who, entry in entries.items()
    )


def can(policies: PolicySet, identity: Identity, name: str, context: Context) -> bool:
    return bool(decide(policies, identity, Scope(Resource("repository", name), frozenset({"pull"})), context).granted)


@slow_examples()
@given(world.worlds, world.names)
def test_the_answer_is_exact(policies: PolicySet, name: str) -> None:
    """For every client, from everywhere and at any time, the answer agrees with the decision."""
    answer = facts(policies, name)
    found = [(one, context) for one in world.EVERYBODY for context in world.CONTEXTS]
    said = [(one, context) for one, context in found if says(policies, answer, one, context)]
    assert said == [(one, context) for one, context in found if can(policies, one, name, context)]


@slow_examples()
@given(rich.worlds, rich.names)
def test_the_answer_is_exact_with_every_word(policies: PolicySet, name: str) -> None:
    """With `not`, captures, and variables inside segments, likewise."""
    answer = facts(policies, name)
    found = [(one, context) for one in rich.EVERYBODY for context in world.CONTEXTS]
    said = [(one, context) for one, context in found if says(policies, answer, one, context)]
    assert said == [(one, context) for one, context in found if can(policies, one, name, context)]


@slow_examples()
@given(machines.worlds, machines.names)
def test_the_answer_is_exact_with_machines(policies: PolicySet, name: str) -> None:
    """For every robot and every set of claims as well, the answer agrees with the decision."""
    answer = facts(policies, name)
    found = [(one, context) for one in machines.everybody(policies) for context in CONTEXTS]
    said = [(one, context) for one, context in found if says(policies, answer, one, context)]
    assert said == [(one, context) for one, context in found if can(policies, one, name, context)]
    assert not any(key in answer for key in ("every_robot", "robots")) or policies.robots
    for part, key in (("authenticated", ""), ("anonymous", ""), ("robots", "robot"), ("workloads", "workload")):
        assert answer["everyone"] is not True or answer.get(f"every_{key}" if key else part, True) is True


@slow_examples()
@given(machines.unconditional_worlds, machines.names)
def test_nobody_is_listed_who_cannot_with_machines(policies: PolicySet, name: str) -> None:
    """Every listed principal has a client with access that is nothing else."""
    lines = holders(policies, "pull", Resource("repository", name), OPEN)
    able = [one for one in machines.everybody(policies) if can(policies, one, name, world.CONTEXTS[0])]
    possible = [line for line in lines if machines.POSSIBLE.issuperset(one for one in line.who if one.sort in SINGLE)]
    for line in possible:
        assert any(all(machines.is_one(policies, one, str(who)) for who in line.who) for one in able), line


@slow_examples()
@given(rich.mapped_worlds, rich.names)
def test_the_answer_is_exact_with_every_word_where_sources_map_names(policies: PolicySet, name: str) -> None:
    """For every user and each namespace that the user can have, likewise."""
    assert policies.namespaces is not None
    answer = facts(policies, name)
    found = [(one, context) for one in rich.everybody_mapped(policies.namespaces) for context in world.CONTEXTS]
    said = [(one, context) for one, context in found if says(policies, answer, one, context)]
    assert said == [(one, context) for one, context in found if can(policies, one, name, context)]


@slow_examples()
@given(rich.unconditional_worlds, rich.names)
def test_nobody_is_listed_who_cannot_with_every_word(policies: PolicySet, name: str) -> None:
    """Every listed principal has a client with access that is nothing else."""
    lines = holders(policies, "pull", Resource("repository", name), OPEN)
    able = [one for one in rich.EVERYBODY if can(policies, one, name, world.CONTEXTS[0])]
    possible = [line for line in lines if all(not one.name or str(one) in rich.POSSIBLE for one in line.who)]
    for line in possible:
        assert any(all(is_one(policies, one, str(who)) for who in line.who) for one in able)


@slow_examples()
@given(world.mapped_worlds, world.names)
def test_the_answer_is_exact_where_sources_map_names(policies: PolicySet, name: str) -> None:
    """For every user and each namespace that the user can have, likewise."""
    assert policies.namespaces is not None
    answer = facts(policies, name)
    found = [(one, context) for one in world.everybody_mapped(policies.namespaces) for context in world.CONTEXTS]
    said = [(one, context) for one, context in found if says(policies, answer, one, context)]
    assert said == [(one, context) for one, context in found if can(policies, one, name, context)]


@settings(deadline=None)  # one example is much work, and a busy machine is no failure
@given(world.worlds, world.names, world.contexts)
def test_what_is_given_is_no_condition_any_more(policies: PolicySet, name: str, context: Context) -> None:
    """With a time and an address, the answer is exact and has no conditions on them."""
    answer = facts(policies, name, Given("registry", context.client, context.now, is_closed=True))
    assert not any(word in str(answer) for word in ("'from'", "'since'", "'until'"))
    said = [one for one in world.EVERYBODY if says(policies, answer, one, context)]
    assert said == [one for one in world.EVERYBODY if can(policies, one, name, context)]


@settings(deadline=None)  # one example is much work, and a busy machine is no failure
@given(world.unconditional_worlds, world.names)
def test_nobody_is_listed_who_cannot(policies: PolicySet, name: str) -> None:
    """Every listed principal has a client with access that is nothing else."""
    lines = holders(policies, "pull", Resource("repository", name), OPEN)
    able = [one for one in world.EVERYBODY if can(policies, one, name, world.CONTEXTS[0])]
    empty = [
        line for line in lines if not any(all(is_one(policies, one, str(who)) for who in line.who) for one in able)
    ]
    assert empty == []


def rule(name: str, to: str, *, but: str = "", pattern: str = "web/**", when: Condition | None = None) -> Rule:
    return Rule.of(
        name,
        Effect.DENY if name.startswith("no-") else Effect.ALLOW,
        principals_of(map(parse_principal, to.split())),
        [parse_pattern(pattern)],
        ["pull"],
        excluded=principals_of(map(parse_principal, but.split())) if but else None,
        condition=when,
    )


TREE = [Group("web", frozenset({"ann", "bob"}), frozenset({"web-devs"})), Group("pair", frozenset({"ann", "bob"}))]
JULY = datetime(2026, 7, 1, tzinfo=UTC)
OFFICE = Condition((ip_network("10.0.0.0/8"),))


def policy_set(rules: Iterable[Rule]) -> PolicySet:
    made = tuple(rules)
    return PolicySet("", (), made, Groups.of_all(TREE), build_index(made))


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param([], {}, id="nobody"),
        pytest.param([rule("r", "everyone")], dict.fromkeys(SETS, True), id="everyone"),
        pytest.param([rule("r", "group:web")], {"groups": ["web"]}, id="group"),
        pytest.param([rule("r", "user:ann group:ops")], {"users": ["ann"], "groups": ["ops"]}, id="named"),
        pytest.param([rule("r", "group:web"), rule("s", "user:ann")], {"groups": ["web"]}, id="member-is-covered"),
        pytest.param(
            [rule("r", "authenticated"), rule("no-c", "group:contractors")],
            {"authenticated": True, "except": ["group:contractors"]},
            id="denied-group-is-left-out",
        ),
        pytest.param(
            [rule("r", "authenticated", but="group:contractors")],
            {"authenticated": True, "except": ["group:contractors"]},
            id="excepted-group-is-left-out",
        ),
        pytest.param(
            [rule("r", "authenticated", but="group:a"), rule("s", "group:ops")],
            {"authenticated": [{"except": ["group:a"], "rule": "r"}], "groups": ["ops"]},
            id="excepted-in-one-rule-alone",
        ),
        pytest.param(
            [rule("r", "group:web"), rule("no-r", "everyone", but="user:ann")],
            {"users": ["ann"]},
            id="one-member-is-left",
        ),
        pytest.param(
            [rule("r", "group:web"), rule("no-r", "everyone", but="group:web anonymous")],
            {"groups": ["web"]},
            id="excepted-from-the-deny",
        ),
        pytest.param(
            [rule("r", "group:ops"), rule("no-r", "authenticated", but="anonymous")], {}, id="excepted-is-somebody-else"
        ),
        pytest.param(
            [
                rule("r", "group:web"),
                rule("no-1", "user:ann user:bob", but="group:x"),
                rule("no-2", "group:web-devs", but="group:y"),
            ],
            {
                "groups": ["web"],
                "when": {
                    "group:web": [
                        {
                            "unless": [
                                {"who": [who], "except": [but], "rule": name}
                                for who, but, name in (
                                    ("user:ann", "group:x", "no-1"),
                                    ("user:bob", "group:x", "no-1"),
                                    ("group:web-devs", "group:y", "no-2"),
                                )
                            ],
                            "rule": "r",
                        }
                    ]
                },
            },
            id="every-way-in-is-denied-but-for-some",
        ),
        pytest.param(
            [rule("r", "group:web"), rule("no-r", "everyone", but="user:bot")],
            {"users": ["bot"], "when": {"user:bot": [{"groups": ["web"], "rule": "r"}]}},
            id="left-who-must-be-a-member-too",
        ),
        pytest.param(
            [rule("r", "group:pair"), rule("no-r", "user:ann user:bob")],
            {},
            id="a-list-of-users-all-of-whom-are-denied",
        ),
        pytest.param(
            [rule("r", "authenticated"), rule("no-r", "group:a", but="group:b")],
            {"authenticated": [{"unless": [{"who": ["group:a"], "except": ["group:b"], "rule": "no-r"}], "rule": "r"}]},
            id="denied-but-for-some",
        ),
        pytest.param(
            [rule("r", "user:kim", when=Condition(OFFICE.networks, None, JULY))],
            {"users": ["kim"], "when": {"user:kim": [{"from": ["10.0.0.0/8"], "until": "2026-07-01", "rule": "r"}]}},
            id="condition-stays",
        ),
        pytest.param(
            [rule("r", "everyone"), rule("no-r", "everyone", when=OFFICE)],
            {
                key: [{"unless": [{"from": ["10.0.0.0/8"], "rule": "no-r"}], "rule": "r"}]
                for key in ("everyone", "authenticated", "anonymous")
            },
            id="deny-under-a-condition",
        ),
        pytest.param(
            [rule("r", "everyone", when=OFFICE), rule("no-r", "everyone", when=OFFICE)],
            {},
            id="deny-as-wide-as-the-allow",
        ),
        pytest.param(
            [rule("r", "anonymous"), rule("s", "authenticated", when=OFFICE)],
            {
                **{key: [{"from": ["10.0.0.0/8"], "rule": "s"}] for key in ("everyone", "authenticated")},
                "anonymous": True,
            },
            id="everyone-is-what-both-can",
        ),
        pytest.param(
            [rule("r", "user:ann", when=OFFICE), rule("s", "user:ann")], {"users": ["ann"]}, id="wider-condition-covers"
        ),
        pytest.param([rule("r", "authenticated", pattern="${user}/*")], {"users": ["web"]}, id="user-variable"),
        pytest.param([rule("r", "authenticated", pattern="${group}/*")], {"groups": ["web"]}, id="group-variable"),
    ],
)
def test_answer(rules: list[Rule], expected: dict[str, Any]) -> None:
    """How the answer reads."""
    nothing = {"everyone": False, "authenticated": False, "anonymous": False}
    empty: dict[str, Any] = {"users": [], "groups": [], "except": [], "when": {}}
    assert facts(policy_set(rules), "web/x") == {**nothing, **empty, **expected}


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        pytest.param(Given("r", ip_address("10.1.1.1")), True, id="there"),
        pytest.param(Given("r", ip_address("192.0.2.1")), False, id="elsewhere"),
        pytest.param(Given("r", None, None, is_closed=True), False, id="nowhere"),
    ],
)
def test_an_address_settles_a_condition(given_: Given, expected: bool) -> None:
    """With --from it is a yes or a no."""
    assert facts(policy_set([rule("r", "everyone", when=OFFICE)]), "web/x", given_)["anonymous"] is expected


def test_two_conditions_for_one() -> None:
    """Either will do, so both are listed."""
    rules = [rule("r", "user:ann", when=OFFICE), rule("s", "user:ann", when=Condition(until=JULY))]
    assert {one["rule"] for one in facts(policy_set(rules), "web/x")["when"]["user:ann"]} == {"r", "s"}


def test_too_many_combinations_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A query that takes too many steps has no answer."""
    monkeypatch.setattr(holders_module, "MAX_LINES", 1)
    with pytest.raises(TooManyCombinations):
        facts(policy_set([rule("r", "user:ann user:bob"), rule("no-r", "user:eve")]), "web/x")


def test_password_is_the_kind_of_whoever_logs_in() -> None:
    """A rule for passwords does not apply to anonymous clients, and to people only while they use one."""
    answer = facts(policy_set([rule("r", "everyone", when=Condition(kinds=frozenset({Kind.PASSWORD})))]), "web/x")
    assert (answer["authenticated"], answer["anonymous"]) == ([{"kind": [Kind.PASSWORD], "rule": "r"}], False)


def test_a_user_and_a_namespace() -> None:
    """Where the name does not tell the namespace, it is a condition of the user's access."""
    rules = [rule("r", "user:Ann", pattern="users/${user}/x"), rule("no-d", "user:Eve", pattern="users/**")]
    policies = replace(policy_set(rules), namespaces=Namespaces(frozenset({NamespaceRule.ATTRIBUTE})))
    found = facts(policies, "users/a/x")
    assert (found["users"], found["when"]) == (["Ann"], {"user:Ann": [{"namespace": "a", "rule": "r"}]})
    assert "namespaces" not in found


MIXED = Group("mixed", frozenset({"ann", "bob", "robot:ci"}))


@pytest.mark.parametrize(
    ("deny", "expected"),
    [
        pytest.param(rule("no-r", "everyone", but="user:ann"), {"users": ["ann"]}, id="but-for-one"),
        pytest.param(
            rule("no-r", "everyone", when=OFFICE),
            {
                "groups": ["mixed"],
                "when": {"group:mixed": [{"unless": [{"from": ["10.0.0.0/8"], "rule": "rule-1"}], "rule": "rule-0"}]},
            },
            id="of-all-under-a-condition",
        ),
    ],
)
def test_a_deny_of_a_group_of_people_and_robots(deny: Rule, expected: dict[str, Any]) -> None:
    """A deny rule for everyone stops each sort of clients, and is said once."""
    policies = machines.policy_set([rule("r", "group:mixed"), deny], [MIXED], ["ci"], [])
    nobody = dict.fromkeys(("everyone", "authenticated", "anonymous", "every_robot"), False)
    empty: dict[str, Any] = {"users": [], "robots": [], "groups": [], "except": [], "when": {}}
    assert facts(policies, "web/x") == {**nobody, **empty, **expected}
