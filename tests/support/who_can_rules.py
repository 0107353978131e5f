"""Rules for questions about who can do something, and the short answers in words."""

from __future__ import annotations

from collections.abc import Iterable

from policy_files import NOW

from tokenserver.patterns import parse_name, parse_pattern
from tokenserver.policy.index import build_index
from tokenserver.policy.model import Context, Effect, Group, Groups, PolicySet, Rule
from tokenserver.policy.principals import AllOf, principals_of
from tokenserver.policy.queries.summary import short_answer, spell_answers
from tokenserver.policy.terms import parse_principal
from tokenserver.scopes import Resource


def policy_set(*rules: tuple[str, str, str, str], groups: Iterable[Group] = ()) -> PolicySet:
    """The policy set of these rules: name, principals, exceptions and pattern of each."""
    made = [
        Rule.of(
            name,
            Effect.DENY if name.startswith("no-") else Effect.ALLOW,
            principals_of(map(parse_principal, to.split())),
            [parse_name(pattern) if pattern == "catalog" else parse_pattern(pattern)],
            ["pull"],
            excluded=principals_of(map(parse_principal, but.split())) if but else None,
        )
        for name, to, but, pattern in rules
    ]
    return PolicySet("", (), tuple(made), Groups.of_all(groups), build_index(made))


def answers(policies: PolicySet, name: str = "web/x") -> str:
    """The short answer in words."""
    return spell_answers(
        policies, short_answer(policies, "pull", Resource("repository", name), Context("r", None, NOW))
    )


TREE = [Group("web", frozenset({"ann", "bob"}), frozenset({"web-devs"})), Group("pair", frozenset({"ann", "bob"}))]


def answer(text: str) -> AllOf:
    """The principals of one answer."""
    return frozenset(map(parse_principal, text.split(" & ")))
