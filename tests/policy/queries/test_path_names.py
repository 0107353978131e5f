"""Users for whom `${user}` never stands, and the rules that include them all the same."""

from __future__ import annotations

from dataclasses import replace

import policy_worlds as world
import rich_worlds as rich
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.patterns import Capture, SegmentKind, matches, parse_pattern
from tokenserver.policy.decide import objection
from tokenserver.policy.index import build_index
from tokenserver.policy.model import Effect, Group, Groups, PolicySet, Principals, Rule
from tokenserver.policy.principals import UNNAMED
from tokenserver.policy.queries.path_names import unfilled_rules

UNFIT = ["Ann", "ann@example.com", "a b", "a..b", "-a", "host:5000"]


@given(
    world.worlds | rich.worlds, world.identities, st.sampled_from(UNFIT), st.sampled_from([None, "registry", "other"])
)
def test_unfilled_rules(policies: PolicySet, identity: Identity, name: str, service: str | None) -> None:
    """Exactly the rules that would include the user on the registry and use `${user}`; their patterns never match.

    A rule with captures includes the members of groups that it captures.
    """
    user = replace(identity, subject=name, kind=Kind.PASSWORD)
    groups = policies.groups.holding(user)
    found = list(unfilled_rules(policies, user, service))
    for one in found:
        assert one.patterns == tuple(pattern for pattern in one.rule.patterns if pattern.uses(SegmentKind.USER))
        names = [*world.NAMES, *rich.NAMES, "host:5000/a", "host:5000"]
        assert not any(matches(pattern, text.split("/"), name, groups) for pattern in one.patterns for text in names)
    anywhere = (service,) if service is not None else ("registry", "other")
    assert [one.rule for one in found] == [
        rule
        for rule in policies.rules
        if any(
            pattern.uses(SegmentKind.USER)
            and (not pattern.captures or any(one.value(name) for one in pattern.captures for name in groups))
            for pattern in rule.patterns
        )
        and any(
            objection(replace(rule, condition=None), user, groups, replace(world.CONTEXTS[0], service=one)) is None
            for one in anywhere
        )
    ]


@given(world.worlds | rich.worlds, world.identities)
def test_users_who_can_stand_there(policies: PolicySet, identity: Identity) -> None:
    """Have no such rules, and neither does an anonymous client, whom nobody expects to have a name."""
    assert not list(unfilled_rules(policies, identity))
    assert not list(unfilled_rules(policies, ANONYMOUS))


def test_how_they_are_spelled() -> None:
    """The patterns, the rule and its place."""
    patterns = [parse_pattern(text) for text in ("a/${user}", "x/**", "${user}/b")]
    rule = Rule.of("", Effect.ALLOW, Principals(authenticated=True), patterns, {"pull"})
    (one,) = unfilled_rules(world.policy_set([rule], []), Identity("Ann", Kind.PASSWORD))
    assert str(one) == "a/${user} and ${user}/b of rule-0 (a.yaml:1)"


@given(world.worlds, world.identities)
def test_an_unknown_namespace(policies: PolicySet, identity: Identity) -> None:
    """Where the namespace depends on the directory, nothing is said; a namespace counts instead of the name."""
    for namespace in (UNNAMED, "a"):
        user = replace(identity, subject="Ann", kind=Kind.PASSWORD, namespace=namespace)
        assert list(unfilled_rules(policies, user)) == []


def test_captures() -> None:
    """A rule that captures includes the members of groups that it captures."""
    captures = (Capture("r-", ""),)
    pattern = parse_pattern("${t}/x-${user}", "t", captures)
    rule = Rule.of("", Effect.ALLOW, Principals(authenticated=True), [pattern], {"pull"}, capturing=("group:r-{t}",))
    policies = PolicySet("", (), (rule,), Groups.of_all([Group("r-web", frozenset({"Bob"}))]), build_index([rule]))
    for user, groups, expected in [
        ("Ann", [], []),
        ("Ann", ["web"], []),
        ("Ann", ["r-Web"], []),
        ("Ann", ["r-data"], [rule]),
        ("Bob", [], [rule]),
        ("ann", ["r-data"], []),
    ]:
        found = unfilled_rules(policies, Identity(user, Kind.PASSWORD, groups=frozenset(groups)))
        assert [one.rule for one in found] == expected
