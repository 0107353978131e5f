"""Usage of rules: what is not used is found, and what would suffice does suffice for everything in the log."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import policy_worlds as worlds
import pytest
from audit_lines import exchange
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.access_keys import DeclaredSecret
from tokenserver.audit import usage as module
from tokenserver.audit.usage import SmallerRule, Usage
from tokenserver.identity import Identity
from tokenserver.patterns import parse_pattern
from tokenserver.policy.decide import decide
from tokenserver.policy.index import build_index
from tokenserver.policy.machines.robots import Robot
from tokenserver.policy.machines.workloads import Workload
from tokenserver.policy.model import Context, Effect, Groups, PolicySet, Principal, Principals, Rule
from tokenserver.policy.principals import listed, principals_of
from tokenserver.policy.terms import parse_principal
from tokenserver.scopes import Access, Resource, Scope, in_order


def to(*principals: str) -> Principals:
    """A set of principals as they are written."""
    return principals_of(map(parse_principal, principals))


def allow(name: str, principals: Principals, patterns: list[str], actions: list[str], **more: Any) -> Rule:
    """An allow rule on a line of its own."""
    line = sum(map(ord, name))
    parsed = map(parse_pattern, patterns)
    return Rule.of(name, Effect.ALLOW, principals, parsed, actions, file="a.yaml", line=line, **more)


def policies(*rules: Rule, **more: Any) -> PolicySet:
    """A policy set of these rules."""
    return PolicySet("", ("a.yaml",), rules, more.pop("groups", Groups.of_all([])), build_index(rules), **more)


def event(identity: Identity, resource: Resource, actions: str, found: PolicySet, context: Context) -> dict[str, Any]:
    """The event of a request that is decided by these policies."""
    decision = decide(found, identity, Scope(resource, frozenset(actions.split(","))), context)
    rules = [
        {"resource": str(resource), "action": one.action, "effect": str(one.effect), "rule": one.by.id}
        for one in decision.reasons
    ]
    granted = [str(Access(resource, decision.granted))] if decision.granted else []
    return exchange(
        subject=identity.subject, kind=identity.kind.value, groups=sorted(identity.groups), source=identity.source,
        asked=[f"{resource}:{actions}"], granted=granted, rules=rules,
    )  # fmt: skip


def shrunk(rule: Rule, smaller: SmallerRule) -> Rule:
    """The rule that would suffice."""
    narrower = dict(smaller.narrower)
    patterns = [
        parse_pattern(narrower.get(one.text, one.text))
        for one in rule.patterns
        if one.text not in smaller.unused_patterns
    ]
    kept = principals_of(one for one in listed(rule.to) if str(one) not in smaller.unused_principals)
    actions = frozenset(smaller.actions) if smaller.actions else rule.actions
    return replace(rule, patterns=tuple(patterns), to=kept, actions=actions)


REQUESTS = st.lists(
    st.tuples(worlds.identities, worlds.names, st.sampled_from(["pull", "push", "pull,push", "*"])), max_size=6
)


@given(worlds.worlds, REQUESTS, worlds.contexts)
def test_what_suffices_suffices(found: PolicySet, requests: list[Any], context: Context) -> None:
    """With every rule replaced by the smaller one, and unused ones gone, each request is granted what it was."""
    asked = [(identity, Resource("repository", name), actions) for identity, name, actions in requests]
    usage = Usage(found)
    before = []
    for identity, resource, actions in asked:
        usage.add(event(identity, resource, actions, found, context))
        before.append(decide(found, identity, Scope(resource, frozenset(actions.split(","))), context).granted)
    smaller = {one.rule.id: one for one in usage.smaller_rules()}
    idle = {rule.id for rule in usage.idle_denies()}
    kept = [
        shrunk(rule, smaller[rule.id]) if rule.id in smaller else rule
        for rule in found.rules
        if rule.id not in idle and (rule.id not in smaller or smaller[rule.id].use is not None)
    ]
    after = replace(found, rules=tuple(kept), index=build_index(kept))
    now = [
        decide(after, identity, Scope(resource, frozenset(actions.split(","))), context).granted
        for identity, resource, actions in asked
    ]
    assert now == before


def test_unused_rules_and_parts() -> None:
    """A rule without use, and one of which an action, a principal and a pattern were not used."""
    web = allow("web", to("user:ann", "group:old", "user:bob"), ["web/**", "gone/*"], ["pull", "push", "delete"])
    old = allow("old", to("everyone"), ["old/**"], ["pull"])
    usage = Usage(policies(web, old))
    for name in ("web/prod/site", "web/prod/shop/a"):
        rules = [{"resource": f"repository:{name}", "action": "pull", "effect": "allow", "rule": "web"}]
        usage.add(exchange(asked=[f"repository:{name}:pull"], granted=[f"repository:{name}:pull"], rules=rules))
    unused, part = sorted(usage.smaller_rules(), key=lambda one: one.rule.id)
    assert (unused.rule.id, unused.use) == ("old", None)
    assert (part.actions, part.unused_principals) == (("pull",), ("user:bob", "group:old"))
    assert (part.unused_patterns, part.narrower) == (("gone/*",), (("web/**", "web/prod/**"),))
    assert part.use is not None
    assert (part.use.count, part.use.last) == (2, "2026-11-03T12:00:00.250Z")
    assert (usage.exchanges, usage.first, usage.last) == (2, part.use.last, part.use.last)


def test_one_repository() -> None:
    """Its name would have sufficed; a rule that was used in whole is no finding."""
    ann = to("user:ann")
    usage = Usage(policies(allow("a", ann, ["web/**"], ["pull"]), allow("b", ann, ["web/x"], ["pull"])))
    rules = [{"resource": "repository:web/x", "action": "pull", "effect": "allow", "rule": one} for one in "ab"]
    usage.add(exchange(granted=["repository:web/x:pull"], rules=rules))
    (only,) = usage.smaller_rules()
    assert (only.rule.id, only.narrower) == ("a", (("web/**", "web/x"),))


def test_many_repositories(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names beyond the limit are not kept, but still count for what all have in common."""
    monkeypatch.setattr(module, "MAX_NAMES", 1)
    usage = Usage(policies(allow("a", to("user:ann"), ["**"], ["pull"])))
    for name in ("web/a/1", "web/a/2", "web/a/3", "web/b"):
        rules = [{"resource": f"repository:{name}", "action": "pull", "effect": "allow", "rule": "a"}]
        usage.add(exchange(granted=[f"repository:{name}:pull"], rules=rules))
    assert usage.smaller_rules()[0].narrower == (("**", "web/**"),)
    assert len(usage.uses["a"].patterns["**"].names) == 2


@pytest.mark.parametrize(
    ("granted", "reason"),
    [
        (["repository:web/x:pull"], {"rule": "other"}),
        (["repository:web/x:pull"], {"resource": "registry:web/x"}),
        (["repository:web/x:pull"], {"effect": "deny"}),
        (["repository:web/x:push"], {}),
        (["repository:web/y:pull"], {}),
        ([], {}),
    ],
)
def test_what_is_no_use(granted: list[str], reason: dict[str, str]) -> None:
    """Rules of other trees, and allow rules whose action a deny took away."""
    usage = Usage(policies(allow("a", to("user:ann"), ["web/x"], ["pull"])))
    cited = {"resource": "repository:web/x", "action": "pull", "effect": "allow", "rule": "a", **reason}
    usage.add(exchange(granted=granted, rules=[cited, "no rule"]))
    usage.add(exchange(rules="none"))
    assert usage.uses == {}


def test_other_events() -> None:
    """Only exchanges with a time count."""
    usage = Usage(policies())
    usage.add({"event": "management", "time": "2026-11-03T12:00:00.250Z"})
    usage.add(exchange(time=None))
    assert (usage.exchanges, usage.first) == (0, "")


def test_deny_rules() -> None:
    """Denies that stopped somebody are in use, others are listed; also anonymous clients count, and unknown kinds."""
    everyone = Principals(everyone=True)
    rules = [
        Rule.of(name, Effect.DENY, everyone, [parse_pattern("web/**")], ["push"], file="a.yaml", line=line)
        for line, name in enumerate(("b", "a", "used"))
    ]
    usage = Usage(policies(*rules))
    cited = [{"resource": "repository:web/x", "action": "push", "effect": "deny", "rule": "used"}]
    usage.add(exchange(kind="anonymous", subject="", granted=[], rules=cited))
    usage.add(exchange(kind="unheard-of", granted=[], rules=cited))
    assert [rule.id for rule in usage.idle_denies()] == ["b", "a"]
    assert usage.smaller_rules() == []
    assert usage.uses["used"].count == 2


@pytest.mark.parametrize(
    ("members", "used"),
    [
        ({}, {"everyone", "authenticated", "user:ann", "group:web-devs"}),
        ({"kind": "anonymous", "subject": ""}, {"everyone", "anonymous"}),
        ({"kind": "robot", "subject": "robot:ci", "groups": []}, {"everyone", "robots", "robot:ci"}),
        (
            {"kind": "workload", "subject": "workload:x", "workloads": ["release"], "groups": []},
            {"everyone", "workloads", "workload:release"},
        ),
        ({"namespace": "annie"}, {"everyone", "authenticated", "user:ann", "group:web-devs"}),
    ],
    ids=["person", "anonymous", "robot", "workload", "with a namespace"],
)
def test_principals(members: dict[str, Any], used: set[str]) -> None:
    """Which principals of a rule a client is."""
    everybody = [
        "everyone", "authenticated", "anonymous", "robots", "workloads", "user:ann", "user:bob", "robot:ci",
        "robot:other", "workload:release", "workload:other", "group:web-devs", "group:others",
    ]  # fmt: skip
    usage = Usage(policies(allow("a", to(*everybody), ["**"], ["pull"])))
    cited = [{"resource": "repository:web/site", "action": "pull", "effect": "allow", "rule": "a"}]
    usage.add(exchange(rules=cited, **members))
    assert {str(one) for one in usage.uses["a"].principals} == used


def test_captures() -> None:
    """The principals of a rule with captures are everybody who logs in, of whom none is left out."""
    rule = allow(
        "a", Principals(authenticated=True, robots=True), ["web/site"], ["pull"], capturing=("group:x-{team}",)
    )
    usage = Usage(policies(rule))
    usage.add(exchange(rules=[{"resource": "repository:web/site", "action": "pull", "effect": "allow", "rule": "a"}]))
    assert usage.smaller_rules() == []


def test_actions_in_order() -> None:
    """`*` of the language is not an action of a repository that somebody could miss."""
    usage = Usage(policies(allow("a", to("user:ann"), ["web/site"], ["*"])))
    for action in ("push", "pull", "delete"):
        cited = [{"resource": "repository:web/site", "action": action, "effect": "allow", "rule": "a"}]
        usage.add(exchange(granted=[f"repository:web/site:{action}"], rules=cited))
    assert usage.smaller_rules() == []
    assert in_order(usage.uses["a"].actions) == ["pull", "push", "delete"]


def test_machines_and_secrets(tree_with_machines: PolicySet) -> None:
    """Declared machines that did not log in, and secrets of the others that were not used."""
    usage = Usage(tree_with_machines)
    assert [str(one) for one in usage.idle_machines()] == ["robot:ci", "robot:old", "workload:release"]
    assert usage.idle_secrets() == []
    usage.add(exchange(subject="robot:ci", kind="robot", credential="AAAAAAAAAAAA", rules=[]))
    usage.add(exchange(subject="workload:x", kind="workload", workloads=["release"], rules=[]))
    assert usage.idle_machines() == [Principal("robot", "old")]
    assert usage.idle_secrets() == [("ci", "BBBBBBBBBBBB")]


@pytest.fixture
def tree_with_machines() -> PolicySet:
    """Two robots, one of them with two secrets, and a workload."""
    ends = datetime(2027, 1, 1, tzinfo=UTC)
    secrets = tuple(DeclaredSecret(letter * 12, b"", ends) for letter in "AB")
    robots = {"ci": Robot("ci", secrets=secrets), "old": Robot("old", secrets=(DeclaredSecret("C" * 12, b"", ends),))}
    workloads = [Workload("release", "github", ())]
    return policies(robots=robots, groups=Groups.of_all([], workloads))
