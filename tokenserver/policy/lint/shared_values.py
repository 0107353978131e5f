"""Lint rule for variables beside a `*`: known users or groups that get names of each other, as `web` and `web-x` do."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from tokenserver.patterns import Capture, Pattern, Segment, SegmentKind
from tokenserver.policy.budget import Budget
from tokenserver.policy.group_names import plain_name, shown_name
from tokenserver.policy.lint.meetings import shared_name
from tokenserver.policy.lint.unknown_names import named_users
from tokenserver.policy.model import PolicySet, Principals, Rule
from tokenserver.policy.principals import user_identity
from tokenserver.policy.variables.filling import VARIABLES, captured, filled
from tokenserver.scopes import is_path_component

VALUES_PER_STEP = 16
"""Number of values of one variable that are compared by their texts in one step."""


class SharedValues:
    """The users and groups that one policy set names, as values of variables."""

    def __init__(self, policies: PolicySet) -> None:
        self._policies = policies
        self._users = [user_identity(policies, name) for name in sorted(named_users(policies))]
        self._groups = sorted(name for name in policies.groups.written if plain_name(name) == name)
        self._of_users: dict[Principals, dict[str, str]] = {}
        self._of_groups: dict[tuple[Capture, ...], dict[str, str]] = {}

    def findings(self, rule: Rule, budget: Budget) -> Iterator[tuple[str, str]]:
        """Codes and texts about one rule: for each pattern, the first two that have names in common by it.

        Raises:
            TooComplex: not decided within the budget.
        """
        for pattern in rule.patterns:
            found = (one for segment in pattern.rest for one in self._shared(rule, pattern, segment, budget))
            text = next(found, None)
            if text is not None:
                fix = "put a / between the variable and *, or rename one of the two"
                yield "TS128", f"{rule.id}: {pattern.text} {text}; fix: {fix}"

    def _shared(self, rule: Rule, pattern: Pattern, segment: Segment, budget: Budget) -> Iterator[str]:
        """The pairs of principals that share names by a variable beside a `*` in this segment."""
        if segment.kind not in VARIABLES or "*" not in segment.text:
            return
        is_user = segment.kind is SegmentKind.USER
        values = self._user_values(rule.to) if is_user else self._group_values(pattern)
        budget.spend(1 + len(values) // VALUES_PER_STEP)
        for shorter, longer in _nested(segment.pieces, values):
            budget.spend()
            pair = _filled(pattern, segment.kind, shorter), _filled(pattern, segment.kind, longer)
            name = shared_name(pair, rule.without, budget)
            if name is not None:
                yield f"gives {values[shorter]} names of {values[longer]}, such as {name}"

    def _user_values(self, to: Principals) -> dict[str, str]:
        """The values of `${user}` for users in `to`, each with a user."""
        found = self._of_users.get(to)
        if found is None:
            found = self._of_users[to] = {}
            for one in self._users:
                if is_path_component(one.user_value) and to.include(one, self._policies.groups.holding(one)):
                    found.setdefault(one.user_value, f"user:{one.subject}")
        return found

    def _group_values(self, pattern: Pattern) -> dict[str, str]:
        """The values that groups of the tree give to the variable of the pattern, each with a group."""
        found = self._of_groups.get(pattern.captures)
        if found is None:
            found = self._of_groups[pattern.captures] = {}
            for name in self._groups:
                for value in captured(pattern, name):
                    found.setdefault(value, f"group:{shown_name(name)}")
        return found


def _filled(pattern: Pattern, kind: SegmentKind, value: str) -> Pattern:
    """The pattern with a legal value in the place of one variable."""
    if kind is SegmentKind.USER:
        (found,) = filled(pattern, user=value)
    else:
        (found,) = filled(replace(pattern, captures=()), group=value)
    return found


def _nested(pieces: tuple[str, ...], values: Collection[str]) -> Iterator[tuple[str, str]]:
    """The pairs of values of which the shorter one, with the text between the variable and `*`, begins the longer one.

    Where the `*` is before the variable, it ends it.
    """
    before, after = pieces
    for longer in values:
        for length in range(1, len(longer)):
            first, last = longer[:length], longer[-length:]
            if "*" in after and first in values and longer.startswith(first + after.partition("*")[0]):
                yield first, longer
            if "*" in before and last in values and longer.endswith(before.rpartition("*")[2] + last):
                yield last, longer
