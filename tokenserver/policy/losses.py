"""Rules that grant less to members of a group: with one of them, an identity with unknown groups must not get more."""

from __future__ import annotations

from tokenserver.patterns import SegmentKind
from tokenserver.policy.model import Effect, Groups, PolicySet, Principals, Rule


def restricting_rule(policies: PolicySet, service: str) -> Rule | None:
    """A rule that may grant less at this registry to a client with one more group; None if there is none.

    That is a deny rule for a group that a user source can report, or about `${group}`, and an allow rule that excepts
    such a group. Conditions (`when`) are ignored, so that the answer does not depend on the time.
    """
    return next((rule for rule in policies.rules if _restricts(rule, service, policies.groups)), None)


def _restricts(rule: Rule, service: str, groups: Groups) -> bool:
    if rule.services is not None and service not in rule.services:
        return False
    if rule.effect is Effect.ALLOW:
        return rule.excluded is not None and _depends_on_directory(rule.excluded, groups)
    return _depends_on_directory(rule.to, groups) or any(pattern.uses(SegmentKind.GROUP) for pattern in rule.patterns)


def _depends_on_directory(people: Principals, groups: Groups) -> bool:
    """Whether a client may be among these principals only by a group that a user source reports."""
    if people.everyone or people.authenticated:
        return False
    return any(name not in groups.by_name or groups.by_name[name].groups for name in people.groups)
