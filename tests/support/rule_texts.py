"""Rules from short texts, with the words of the policy language: `PATTERN [PATTERN …] [not PATTERN …]`."""

from __future__ import annotations

from typing import Any

from tokenserver.patterns import parse_pattern
from tokenserver.policy.model import Effect, Rule
from tokenserver.policy.principals import AUTHENTICATED, principals_of
from tokenserver.policy.syntax.captures import CapturingGroup, parse_recipient
from tokenserver.policy.terms import parse_principal


def rule_of(
    name: str, effect: str, to: str, patterns: str, actions: str = "pull push", but: str = "", **more: Any
) -> Rule:
    """A rule to these principals (with blanks between them; all have captures, or none) except those of `but`."""
    texts, _, without = patterns.partition(" not ")
    recipients = [parse_recipient(one) for one in to.split()]
    capturing = [one for one in recipients if isinstance(one, CapturingGroup)]
    captures = tuple(one.capture for one in capturing)
    variable = capturing[0].variable if capturing else ""
    principals = [AUTHENTICATED] if capturing else [parse_principal(one) for one in to.split()]
    return Rule.of(
        name,
        Effect(effect),
        principals_of(principals),
        [parse_pattern(text, variable, captures) for text in texts.split()],
        actions.split(),
        excluded=principals_of(map(parse_principal, but.split())) if but else None,
        without=map(parse_pattern, without.split()),
        capturing=tuple(one.written for one in capturing),
        **more,
    )
