"""Decision: the granted actions of one scope, and the rules that decided."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from tokenserver.policy.model import Effect, Rule
from tokenserver.scopes import Access, Scope


class Reason(NamedTuple):
    """A rule that decided about one action: an allow that grants it, or a deny that forbids it.

    A named tuple: every decision creates some, and a frozen dataclass takes three times as long.
    """

    action: str
    by: Rule

    @property
    def effect(self) -> Effect:
        """Whether the action was granted or forbidden."""
        return self.by.effect

    @property
    def rule(self) -> str:
        """The rule's id."""
        return self.by.id

    @property
    def file(self) -> str:
        """The rule's file, relative to the policy folder."""
        return self.by.file

    @property
    def line(self) -> int:
        """The line on which the rule begins."""
        return self.by.line

    @property
    def message(self) -> str | None:
        """The message of a deny for the client."""
        return self.by.message

    @property
    def max_lifetime(self) -> int | None:
        """How long, in seconds, a token may live in which this rule grants something (None: no limit)."""
        return self.by.max_lifetime


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer for one scope. `reasons` holds the deciding rules alone, by action and then by rule id.

    `is_lasting`: no rule about the resource has a condition, so the answer is the same at any time and from any
    address.
    """

    scope: Scope
    granted: frozenset[str]
    reasons: tuple[Reason, ...] = ()
    is_lasting: bool = field(default=True, compare=False)

    @property
    def access(self) -> Access | None:
        """What goes into the token, or None where nothing is granted."""
        return Access(self.scope.resource, self.granted) if self.granted else None

    @property
    def max_lifetime(self) -> int | None:
        """How long a token with this access may live, in seconds; None where no rule limits it.

        An action may live as long as the most generous rule that grants it allows; a token as long as the action
        that is granted for the shortest time.
        """
        longest: dict[str, float] = {}
        for reason in self.reasons:
            if reason.action in self.granted:
                limit = math.inf if reason.max_lifetime is None else reason.max_lifetime
                longest[reason.action] = max(limit, longest.get(reason.action, 0))
        shortest = min(longest.values(), default=math.inf)
        return None if shortest == math.inf else int(shortest)


def spell_reasons(decision: Decision, action: str) -> str:
    """The rules that decided about `action`, with their places."""
    reasons = [reason for reason in decision.reasons if reason.action == action]
    if not reasons:
        return "no allow rule applies"
    rules = ", ".join(
        f"{reason.rule} ({reason.file}:{reason.line}" + (f": {reason.message})" if reason.message else ")")
        for reason in reasons
    )
    return f"it is {'allowed' if action in decision.granted else 'forbidden'} by {rules}"
