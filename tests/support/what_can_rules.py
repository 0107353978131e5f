"""Rules for questions about what one client can do."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_network

from tokenserver.identity import Identity
from tokenserver.patterns import parse_name, parse_pattern
from tokenserver.policy.analysis.conditions import (
    Given,
)
from tokenserver.policy.decide import decide
from tokenserver.policy.index import build_index
from tokenserver.policy.model import Condition, Context, Effect, Group, Groups, PolicySet, Rule
from tokenserver.policy.principals import principals_of
from tokenserver.policy.terms import parse_principal
from tokenserver.scopes import Resource, Scope


def rule(
    name: str,
    to: str,
    pattern: str = "web/**",
    actions: str = "pull push",
    when: Condition | None = None,
    but: str = "",
) -> Rule:
    """A rule, a deny if its name begins with no-."""
    return Rule.of(
        name,
        Effect.DENY if name.startswith("no-") else Effect.ALLOW,
        principals_of(map(parse_principal, to.split())),
        [parse_name(pattern) if pattern == "catalog" else parse_pattern(pattern)],
        actions.split(),
        resource_type="registry" if pattern == "catalog" else "repository",
        condition=when,
        excluded=principals_of(map(parse_principal, but.split())) if but else None,
    )


def policy_set(*rules: Rule) -> PolicySet:
    """The policy set of these rules, with one group."""
    return PolicySet("", (), rules, Groups.of_all(TREE), build_index(rules))


TREE = [Group("web", frozenset({"ann"}), frozenset({"web-devs"}))]
OFFICE = Condition((ip_network("10.0.0.0/8"),))
OPEN = Given("registry")
JULY = datetime(2026, 7, 1, tzinfo=UTC)


def can(policies: PolicySet, identity: Identity, action: str, name: str, context: Context) -> bool:
    """Whether a decision grants the action."""
    scope = Scope(Resource("repository", name), frozenset({action}))
    return action in decide(policies, identity, scope, context).granted
