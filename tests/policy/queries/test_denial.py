"""Denials: the rules that come nearest and the owners, and what a client must not learn from them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any

import declared_machines as machines
import policy_worlds as world
import pytest
import rich_worlds as rich
from declared_machines import client, robot, workload
from hypothesis import given
from rule_texts import rule_of
from some_ceilings import ceiling

from tokenserver.identity import Identity, Kind
from tokenserver.patterns import matches, parse_pattern
from tokenserver.policy.decide import decide
from tokenserver.policy.group_names import owned_name
from tokenserver.policy.index import build_index
from tokenserver.policy.machines.workloads import membership
from tokenserver.policy.model import (
    Condition,
    Context,
    Effect,
    Group,
    Groups,
    Ownership,
    PolicySet,
    Principal,
    Principals,
    Rule,
)
from tokenserver.policy.principals import principals_of
from tokenserver.policy.queries import denial
from tokenserver.policy.queries.denial import NOTHING_DENIED, Denial, denials
from tokenserver.policy.terms import parse_principal
from tokenserver.scopes import Resource, Scope

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CONTEXT = Context("registry", ip_address("192.0.2.1"), NOW)
ANN = Identity("ann", Kind.PASSWORD, groups=frozenset({"staff"}))
GROUPS = Groups.of_all([Group("web", frozenset({"bob"}), frozenset({"web-devs"}))])


def rule(
    to: str, pattern: str = "web/**", actions: str = "push", effect: Effect = Effect.ALLOW, but: str = "", **more: Any
) -> Rule:
    """The rule `r`; `to` and `but` are principals with blanks between them."""
    who, excluded = (principals_of(map(parse_principal, text.split())) for text in (to, but))
    return Rule.of(
        "r",
        effect,
        who,
        [parse_pattern(one) for one in pattern.split()],
        actions.split(),
        excluded=excluded if but else None,
        file="teams/web.yaml",
        line=7,
        **more,
    )


def tree(*rules: Rule, owners: tuple[Ownership, ...] = ()) -> PolicySet:
    return PolicySet("", (), rules, GROUPS, build_index(rules), owners=owners)


def ask(policies: PolicySet, name: str = "web/site", action: str = "push", identity: Identity = ANN) -> Denial:
    """The denial of one action."""
    kind, _, rest = name.rpartition(":")
    scope = Scope(Resource(kind or "repository", rest), frozenset(action.split()))
    (found,) = denials(policies, identity, [decide(policies, identity, scope, CONTEXT)], CONTEXT)
    return found


IN_NONE = "you are in none of these groups"
NETWORKS = (ip_network("10.0.0.0/8"),)
EARLY, LATE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(rule("group:web"), [("group:web",), (IN_NONE,)], id="a group"),
        pytest.param(rule("group:web group:ops"), [("group:ops", "group:web"), (IN_NONE,)], id="two groups"),
        pytest.param(
            rule("group:web user:eve"), [("group:web",), (IN_NONE,)], id="a group and a user, who is not named"
        ),
        pytest.param(rule("user:eve"), None, id="a user alone"),
        pytest.param(rule("anonymous"), None, id="clients without a login"),
        pytest.param(rule("group:web", services=frozenset({"other"})), None, id="another registry"),
        pytest.param(rule("group:web", services=frozenset({"registry"})), [("group:web",), (IN_NONE,)], id="this one"),
        pytest.param(rule("group:web", "api/**"), None, id="another name"),
        pytest.param(rule("group:web", "web/*"), [("group:web",), (IN_NONE,)], id="this name"),
        pytest.param(rule("group:web", "web/app/**"), None, id="a name below"),
        pytest.param(rule("group:web", actions="pull"), None, id="another action"),
        pytest.param(rule("group:web", but="user:ann"), None, id="a group that would not help"),
        pytest.param(rule("group:web", condition=Condition(until=EARLY)), None, id="a group whose time has passed"),
        pytest.param(rule("group:web", condition=Condition(networks=NETWORKS)), None, id="a group of another address"),
        pytest.param(
            rule("group:staff", but="user:ann"), [("group:staff",), ("you are excepted from it",)], id="except"
        ),
        pytest.param(
            rule("user:ann", condition=Condition(networks=NETWORKS)),
            [("user:ann",), ("it does not apply to the address that you come from",)],
            id="another address, which is not named",
        ),
        pytest.param(
            rule("authenticated", condition=Condition(since=LATE)),
            [("authenticated",), ("it is not in effect before 2027-01-01",)],
            id="not yet",
        ),
        pytest.param(
            rule("everyone", condition=Condition(until=EARLY)),
            [("everyone",), ("it has not been in effect since 2026-01-01",)],
            id="no longer",
        ),
        pytest.param(
            rule("everyone", condition=Condition(kinds=frozenset({Kind.ANONYMOUS}))),
            [("everyone",), ("it does not apply to credentials of the kind password",)],
            id="another kind",
        ),
        pytest.param(
            rule("authenticated", "${user}/**"),
            [("authenticated",), ("${user}/** does not match web/site for you",)],
            id="somebody else's place",
        ),
        pytest.param(
            rule("authenticated", "web/${group} ${group}/** api/**"),
            [("authenticated",), ("${group}/** and web/${group} does not match web/site for you",)],
            id="another group's place, and patterns about other names",
        ),
        pytest.param(rule("group:web", effect=Effect.DENY), None, id="a deny"),
        pytest.param(rule_of("r", "allow", "group:web", "web/** not web/site"), None, id="not this name"),
        pytest.param(
            rule_of("r", "allow", "group:web", "web/** not web/prod/**"),
            [("group:web",), (IN_NONE,)],
            id="not another name",
        ),
        pytest.param(
            rule_of("r", "allow", "group:reg-{t}-rw group:adm-{t}", "${t}/** ${t}-x/**"),
            [("group:adm-web", "group:reg-web-rw"), (IN_NONE,)],
            id="captures",
        ),
        pytest.param(
            rule_of(
                "r", "allow", "group:sta{t} group:adm-{t}", "web/${t}* web/site-${t}", condition=Condition(until=EARLY)
            ),
            None,
            id="a captured group whose time has passed",
        ),
        pytest.param(rule_of("r", "allow", "group:reg-{t}", "${t}/${user}"), None, id="a capture for another user"),
        pytest.param(
            rule_of("r", "allow", "group:{t}ff group:adm-{t}", "${t}/** */${t}*", but="user:ann"),
            None,
            id="a captured group that would not help",
        ),
    ],
)
def test_nearest(found: Rule, expected: list[tuple[str, ...]] | None) -> None:
    """What the client lacks, in terms of itself; rules that are none of its business are left out."""
    nearest = ask(tree(found)).nearest
    assert nearest is not None
    assert [(one.action, one.rule, [one.to, one.missing]) for one in nearest] == (
        [] if expected is None else [("push", "r", expected)]
    )


def test_what_a_deny_rule_forbids_is_not_searched() -> None:
    """The decision names that rule already; being in the group would not help."""
    found = ask(tree(rule("group:web"), rule("everyone", effect=Effect.DENY)))
    assert found == Denial((), ())


def test_what_is_granted_is_no_denial() -> None:
    """Only the actions that were not granted are explained."""
    policies = tree(rule("authenticated", actions="pull"), rule("group:web", actions="pull push delete"))
    assert ask(policies, action="pull") is NOTHING_DENIED
    found = ask(policies, action="pull push")
    assert found.nearest is not None
    assert [one.action for one in found.nearest] == ["push"]
    found = ask(policies, action="*")
    assert found.nearest is not None
    assert [one.action for one in found.nearest] == ["push", "delete"]


def test_a_ceiling() -> None:
    """The credential has less than its user."""
    limited = Identity("ann", Kind.PASSWORD, ceiling=ceiling(("web/x", "pull")))
    found = ask(tree(rule("user:ann")), identity=limited)
    assert found.nearest is not None
    assert [one.missing for one in found.nearest] == [("your key is narrowed to pull on web/x",)]


def test_a_file_s_own_group_is_named_without_its_file() -> None:
    """Where policies are is nobody's business."""
    own = Group(owned_name("devs", "teams/web.yaml"), frozenset({"bob"}), frozenset())
    named = replace(rule("group:devs"), to=Principals(groups=frozenset({own.name})))
    policies = PolicySet("", (), (named,), Groups.of_all([own]), build_index((named,)))
    nearest = ask(policies).nearest
    assert nearest is not None
    assert [one.to for one in nearest] == [("group:devs",)]


def test_the_nearest_come_first() -> None:
    """Those with the least missing, then by id, and no more than five."""
    rules = [replace(rule("group:web"), id=f"r{number}") for number in range(9)]
    nearest = ask(tree(*reversed(rules))).nearest
    assert nearest is not None
    assert [one.rule for one in nearest] == ["r0", "r1", "r2", "r3", "r4"]


@pytest.mark.parametrize(("limit", "value"), [("MAX_ACTIONS", 1), ("MAX_RULES", 1)])
def test_large_requests(limit: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The work for one request is bounded; beyond it nothing is searched, and the answer says so."""
    monkeypatch.setattr(denial, limit, value)
    policies = tree(rule("group:web"))
    decisions = [
        decide(policies, ANN, Scope(Resource("repository", f"web/{number}"), frozenset({"push"})), CONTEXT)
        for number in range(3)
    ]
    found = denials(policies, ANN, decisions, CONTEXT)
    assert [one.nearest is None for one in found] == [False, True, True]
    (both,) = denials(
        policies,
        ANN,
        [decide(policies, ANN, Scope(Resource("repository", "web/x"), frozenset({"push", "delete"})), CONTEXT)],
        CONTEXT,
    )
    assert both.nearest is None


def owner(pattern: str, contact: str | None, *registries: str) -> Ownership:
    return Ownership("company.yaml", ("delegate", 0), (parse_pattern(pattern),), registries, contact)


@pytest.mark.parametrize(
    ("name", "contacts"),
    [
        pytest.param("web/site", ("web@example.com",), id="one"),
        pytest.param("web/prod/site", ("web@example.com", "ops@example.com"), id="two"),
        pytest.param("data/x", (), id="owners without a contact"),
        pytest.param("api/x", (), id="at another registry"),
        pytest.param("own/ann/x", ("desk@example.com",), id="a variable"),
        pytest.param("nowhere/x", (), id="nobody's"),
        pytest.param("registry:catalog", (), id="no repository"),
    ],
)
def test_contacts(name: str, contacts: tuple[str, ...]) -> None:
    """Of everybody to whom the namespace is delegated at this registry, each once, in the order of the files."""
    owners = (
        owner("web/**", "web@example.com"),
        owner("web/prod/**", "ops@example.com", "registry"),
        owner("*/site", "web@example.com"),
        owner("data/**", None),
        owner("api/**", "api@example.com", "other"),
        owner("own/${user}/**", "desk@example.com"),
    )
    assert ask(tree(rule("user:eve"), owners=owners), name, action="pull").contacts == contacts


def test_contacts_of_large_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search for owners is bounded as well, also for what a deny rule forbids."""
    monkeypatch.setattr(denial, "MAX_ACTIONS", 2)
    policies = tree(rule("user:eve"), owners=(owner("web/**", "web@example.com"),))
    scopes = [Scope(Resource("repository", f"web/{number}"), frozenset({"push"})) for number in range(4)]
    found = denials(policies, ANN, [decide(policies, ANN, scope, CONTEXT) for scope in scopes], CONTEXT)
    assert [one.contacts for one in found] == [("web@example.com",)] * 2 + [()] * 2


SECRET_WORDS = ("company.yaml", "teams/", "10.", "192.", "::")


def matches_in(rule: Rule, segments: list[str], identity: Identity, groups: Collection[str]) -> bool:
    """Whether a pattern of the rule covers the name for this user in these groups, and its `not` does not."""
    covered = any(matches(one, segments, identity.user_value, groups) for one in rule.patterns)
    return covered and not any(matches(one, segments, None, ()) for one in rule.without)


@given(
    world.worlds | rich.worlds | machines.worlds,
    (world.identities | rich.identities | machines.identities).filter(lambda one: not one.is_anonymous),
    world.names | rich.names,
    world.contexts,
)
def test_nothing_about_others(policies: PolicySet, identity: Identity, name: str, context: Context) -> None:
    """No user but the client is named, no file and no network; each rule is an allow that does grant the action."""
    scope = Scope(Resource("repository", name), frozenset({"pull", "push", "delete"}))
    decision = decide(policies, identity, scope, context)
    (found,) = denials(policies, identity, [decision], context)
    by_id = {one.id: one for one in policies.rules}
    assert found.nearest is not None
    for near in found.nearest:
        assert near.action not in decision.granted
        assert by_id[near.rule].effect is Effect.ALLOW
        assert by_id[near.rule].decides(near.action)
        assert near.missing
        rule_, segments = by_id[near.rule], name.split("/")
        if rule_.capturing:
            helped = [matches_in(rule_, segments, identity, {parse_principal(one).name}) for one in near.to]
            assert all(helped)
            assert near.missing != (IN_NONE,) or not matches_in(
                rule_, segments, identity, policies.groups.holding(identity)
            )
        clients = {one.removeprefix("user:") for one in near.to if one.startswith(("user:", "robot:"))}
        assert clients <= {identity.subject}
        known = {str(Principal("workload", name)): one for name, one in policies.groups.workloads.by_name.items()}
        sources = {known[one].source for one in near.to if one in known}
        assert sources <= ({identity.source, ""} if identity.kind is Kind.WORKLOAD else set())
        assert not [one for one in near.to if one.startswith("workload:") and one not in known]
        assert not [word for word in SECRET_WORDS for text in near.missing if word in text.replace(name, "")]


def test_a_captured_group_of_the_client() -> None:
    """What else is missing is told to a member."""
    made = rule_of("r", "allow", "group:{t}ff group:adm-{t}", "web/${t}*", "push", but="user:ann")
    nearest = ask(tree(made), "web/star").nearest
    assert nearest is not None
    assert [(one.to, one.missing) for one in nearest] == [(("group:staff",), ("you are excepted from it",))]


CI = robot("ci")
BRANCH = client(repo="1", env="staging", sub="octo/web")
DECLARED = [
    workload("web", repo="1"),
    workload("release", repo="1", env="production"),
    workload("lab", "gitlab", repo="1"),
]
MACHINES = [
    Group("bots", frozenset({"robot:other"})),
    Group("releases", frozenset(), frozenset({membership("release")})),
]
NEEDS_RELEASE = "needs workload:release: env is staging, not production"


@pytest.mark.parametrize(
    ("found", "identity", "expected"),
    [
        pytest.param(
            rule("authenticated"),
            CI,
            [("authenticated",), ("authenticated means people, and you are a robot",)],
            id="people",
        ),
        pytest.param(
            rule("authenticated group:bots"),
            BRANCH,
            [("authenticated",), ("authenticated means people, and you are a workload",)],
            id="people, for a workload",
        ),
        pytest.param(
            rule("group:bots user:ann group:staff"), CI, [("group:bots",), (IN_NONE,)], id="a group of the tree"
        ),
        pytest.param(rule("group:staff"), CI, None, id="a group of a directory"),
        pytest.param(rule("robot:other"), CI, None, id="another robot"),
        pytest.param(rule("robots"), BRANCH, None, id="robots alone"),
        pytest.param(rule("workload:web"), CI, None, id="workloads alone"),
        pytest.param(rule("workload:web robots"), ANN, None, id="machines alone"),
        pytest.param(
            rule("workload:release workload:lab"), BRANCH, [("workload:release",), (NEEDS_RELEASE,)], id="a claim"
        ),
        pytest.param(rule("group:releases"), BRANCH, [("group:releases",), (NEEDS_RELEASE,)], id="a claim, in a group"),
        pytest.param(rule("workload:lab"), BRANCH, None, id="another source"),
        pytest.param(rule("workload:gone"), BRANCH, None, id="not declared"),
        pytest.param(
            rule("robots", but="robot:ci"), CI, [("robots",), ("you are excepted from it",)], id="excepted of robots"
        ),
        pytest.param(
            rule("robot:ci", but="robots"), CI, [("robot:ci",), ("you are excepted from it",)], id="excepted by name"
        ),
        pytest.param(
            rule("workload:web workload:lab", but="workloads"),
            BRANCH,
            [("workload:web",), ("you are excepted from it",)],
            id="excepted as a workload",
        ),
        pytest.param(
            rule("robots", "users/${user}/**"),
            CI,
            [("robots",), ("users/${user}/** does not match users/ci/x for you",)],
            id="the variable of people",
        ),
    ],
)
def test_what_a_machine_lacks(found: Rule, identity: Identity, expected: list[tuple[str, ...]] | None) -> None:
    """Workloads of its own source, claims of its own, and groups of the tree; no other robot."""
    policies = machines.policy_set([found], MACHINES, DECLARED, ["ci"])
    denied = ask(policies, "users/ci/x" if "users" in found.patterns[0].text else "web/site", identity=identity)
    assert denied.nearest is not None
    assert [one for near in denied.nearest for one in (near.to, near.missing)] == (expected or [])
