"""Users for whom `${user}` can never stand, because their name cannot be a segment of a repository name.

Such a user gets nothing from an allow rule about `users/${user}/**`, and is not stopped by a deny rule about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tokenserver.identity import MACHINES, Identity
from tokenserver.patterns import Pattern, SegmentKind
from tokenserver.policy.model import PolicySet, Rule
from tokenserver.policy.principals import UNNAMED
from tokenserver.scopes import is_path_component


@dataclass(frozen=True, slots=True)
class UnfilledRule:
    """A rule that names a user, and those of its patterns that never match for the user."""

    rule: Rule
    patterns: tuple[Pattern, ...]

    def __str__(self) -> str:
        patterns = " and ".join(pattern.text for pattern in self.patterns)
        return f"{patterns} of {self.rule.id} ({self.rule.file}:{self.rule.line})"


def unfilled_rules(policies: PolicySet, identity: Identity, service: str | None = None) -> Iterator[UnfilledRule]:
    """The rules that include this user, with the patterns in which `${user}` can never stand for the name.

    Empty for a user whose name or namespace can be a segment or is not known, and for an anonymous client or a machine,
    which no rule expects to have a name. A rule that captures includes the members of the groups that it captures.
    `service` is the registry (None: any).
    """
    if identity.is_anonymous or identity.kind in MACHINES or is_path_component(identity.user_value):
        return
    if identity.user_value == UNNAMED:
        return
    groups = policies.groups.holding(identity)
    for rule in policies.rules:
        patterns = tuple(one for one in rule.patterns if one.uses(SegmentKind.USER) and _has_value(one, groups))
        is_elsewhere = service is not None and rule.services is not None and service not in rule.services
        is_excluded = rule.excluded is not None and rule.excluded.include(identity, groups)
        if patterns and rule.to.include(identity, groups) and not is_elsewhere and not is_excluded:
            yield UnfilledRule(rule, patterns)


def _has_value(pattern: Pattern, groups: frozenset[str]) -> bool:
    """Whether the pattern captures nothing, or a part of the name of one of these groups."""
    return not pattern.captures or any(
        capture.value(name) is not None for capture in pattern.captures for name in groups
    )
