"""Who can, as people and machines read it: users, groups and sets of people, their conditions, and who is left out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tokenserver.policy.analysis.conditions import as_facts
from tokenserver.policy.group_names import shown_name
from tokenserver.policy.model import PolicySet, Principal
from tokenserver.policy.queries.who_can import ANONYMOUS, AUTHENTICATED, Line, People, Unless

Answer = bool | list[dict[str, Any]]
"""True: always; False: never; else the conditions of which one has to hold."""


@dataclass(frozen=True, slots=True)
class Roster:
    """`answers` by principal; whoever is one of `excepted` cannot, whatever he or she is besides."""

    answers: Mapping[Principal, Answer]
    excepted: tuple[Principal, ...]

    def facts(self) -> dict[str, Any]:
        """The roster as JSON. `when` has the conditions of users and groups who cannot always."""
        authenticated, anonymous = self.answers.get(AUTHENTICATED, False), self.answers.get(ANONYMOUS, False)
        named = {one: answer for one, answer in self.answers.items() if one.name}
        return {
            "everyone": _both(authenticated, anonymous),
            "authenticated": authenticated,
            "anonymous": anonymous,
            "users": [one.name for one in named if one.sort == "user"],
            "groups": [shown_name(one.name) for one in named if one.sort == "group"],
            "except": [str(one) for one in self.excepted],
            "when": {str(one): answer for one, answer in named.items() if answer is not True},
        }


def roster(policies: PolicySet, lines: Iterable[Line]) -> Roster:
    """The roster of the lines that `holders` found."""
    people = People(policies)
    lines = list(lines)
    excepted = excepted_from_all(people, lines)
    conditions: dict[Principal, list[dict[str, Any]]] = {}
    for line in lines:
        # A user before a group: that is who it is, the groups are what he or she must be in.
        key = max(line.who, key=lambda one: (one.sort == "user", one))
        condition = _condition(line, key, excepted)
        conditions.setdefault(key, []).append({**condition, "rule": line.rule} if condition else {})
    answers: dict[Principal, Answer] = {key: found if all(found) else True for key, found in sorted(conditions.items())}
    return Roster(answers, tuple(sorted(excepted)))


def excepted_from_all(people: People, lines: Collection[Line]) -> set[Principal]:
    """Whoever is one of these cannot by any of the lines."""
    return {
        one
        for line in lines
        for one in line.excepted
        if all(one in other.excepted or not people.ways(other.who | {one}) for other in lines)
    }


def _condition(line: Line, key: Principal, excepted: set[Principal]) -> dict[str, Any]:
    """What must hold for `key`; empty where nothing must."""
    condition: dict[str, Any] = {}
    groups = sorted(shown_name(one.name) for one in line.who - {key})
    if groups:
        condition["groups"] = groups
    others = [str(one) for one in sorted(line.excepted - excepted)]
    if others:
        condition["except"] = others
    condition |= as_facts(line.when)
    if line.unless:
        condition["unless"] = sorted(map(_unless, line.unless), key=lambda one: (one["rule"], str(one)))
    return condition


def _unless(unless: Unless) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if unless.who:
        facts["who"] = [str(one) for one in sorted(unless.who)]
    if unless.excepted:
        facts["except"] = [str(one) for one in sorted(unless.excepted)]
    return {**facts, **as_facts(unless.when), "rule": unless.rule}


def _both(one: Answer, other: Answer) -> Answer:
    """What holds for everyone, of what holds for the two halves."""
    if one is True:
        return other
    return one if other is True or one == other else False
