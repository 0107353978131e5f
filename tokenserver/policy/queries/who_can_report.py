"""The answer to "who can?" for people and machines: principals, their conditions, and exceptions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenserver.policy.analysis.conditions import as_facts
from tokenserver.policy.group_names import shown_name
from tokenserver.policy.model import PolicySet, Principal
from tokenserver.policy.principals import ANONYMOUS, AUTHENTICATED
from tokenserver.policy.queries.who_can import Line, People, Unless

Conditions = bool | list[dict[str, Any]]
"""True: always; False: never; else the alternative conditions, one of which must hold."""


@dataclass(frozen=True, slots=True)
class Roster:
    """Conditions of access by principal; a client that is one of `excepted` has no access in any case."""

    answers: Mapping[Principal, Conditions]
    excepted: tuple[Principal, ...]

    def facts(self) -> dict[str, Any]:
        """The roster as JSON. `when` has the conditions of users and groups without unconditional access."""
        authenticated, anonymous = self.answers.get(AUTHENTICATED, False), self.answers.get(ANONYMOUS, False)
        named = {one: answer for one, answer in self.answers.items() if one.name}
        namespaces = [one.name for one in named if one.sort == "namespace"]
        return {
            "everyone": _both(authenticated, anonymous),
            "authenticated": authenticated,
            "anonymous": anonymous,
            "users": [one.name for one in named if one.sort == "user"],
            **({"namespaces": namespaces} if namespaces else {}),
            "groups": [shown_name(one.name) for one in named if one.sort == "group"],
            "except": [str(one) for one in self.excepted],
            "when": {str(one): answer for one, answer in named.items() if answer is not True},
        }


def roster(policies: PolicySet, lines: Iterable[Line]) -> Roster:
    """The roster of the lines found by `holders`."""
    people = People(policies)
    lines = list(lines)
    excepted = excepted_from_all(people, lines)
    conditions: dict[Principal, list[dict[str, Any]]] = {}
    for line in lines:
        key = key_of(line)
        condition = condition_facts(line, key, excepted)
        conditions.setdefault(key, []).append({**condition, "rule": line.rule} if condition else {})
    answers: dict[Principal, Conditions] = {
        key: found if all(found) else True for key, found in sorted(conditions.items())
    }
    return Roster(answers, tuple(sorted(excepted)))


def key_of(line: Line) -> Principal:
    """The principal that a line is listed under: its user, else its namespace; the others are conditions then."""
    return max(line.who, key=lambda one: (one.sort == "user", one.sort == "namespace", one))


def excepted_from_all(people: People, lines: Collection[Line]) -> set[Principal]:
    """The principals that have no access by any of the lines."""
    return {
        one
        for line in lines
        for one in line.excepted
        if all(one in other.excepted or not people.ways(other.who | {one}) for other in lines)
    }


def spell_conditions(facts: Mapping[str, Any]) -> str:
    """One condition of the roster's JSON in words: `from 10.0.0.0/8, but not before 2027-01-01 (rule late)`."""
    parts = []
    if "groups" in facts:
        parts.append(f"if in {' and '.join(f'group:{name}' for name in facts['groups'])}")
    if "namespace" in facts:
        parts.append(f"with the namespace {facts['namespace']}")
    if "except" in facts:
        parts.append(f"except {' or '.join(facts['except'])}")
    keys = ("from", "not_from", "since", "until", "kind")
    parts += [f"{key.replace('_', ' ')} {_any_of(facts[key])}" for key in keys if key in facts]
    return ", ".join([*parts, *map(_spell_unless, facts.get("unless", ()))])


def _spell_unless(unless: Mapping[str, Any]) -> str:
    """A deny rule: `but not from 10.0.0.0/8, unless in group:ops (rule no-night)`."""
    return f"but not {spell_stopped(unless)}"


def spell_stopped(unless: Mapping[str, Any]) -> str:
    """The clients that a deny rule stops: `from 10.0.0.0/8, unless in group:ops (rule no-night)`."""
    parts = []
    if "from" in unless:
        parts.append(f"from {_any_of(unless['from'])}")
    if "not_from" in unless:
        parts.append(f"from anywhere but {_any_of(unless['not_from'])}")
    if "since" in unless and "until" in unless:
        parts.append(f"between {unless['since']} and {unless['until']}")
    elif "since" in unless:
        parts.append(f"from {unless['since']} on")
    elif "until" in unless:
        parts.append(f"before {unless['until']}")
    if "kind" in unless:
        parts.append(f"with kind {_any_of(unless['kind'])}")
    if "who" in unless:
        parts.append(f"if {_spell_principals(unless['who'], ' and ')}")
    excepted = f", unless {_spell_principals(unless['except'], ' or ')}" if "except" in unless else ""
    return f"{' '.join(parts)}{excepted} (rule {unless['rule']})"


def _spell_principals(principals: Sequence[str], joint: str) -> str:
    """Principals as conditions on a client: `user:bob and in group:a and group:b`."""
    groups = joint.join(one for one in principals if one.startswith("group:"))
    others = [one for one in principals if not one.startswith("group:")]
    return joint.join([*others, *([f"in {groups}"] if groups else [])])


def _any_of(value: str | Sequence[str]) -> str:
    return value if isinstance(value, str) else " or ".join(value)


def condition_facts(line: Line, key: Principal, excepted: set[Principal]) -> dict[str, Any]:
    """The condition for `key` as JSON; empty: none."""
    condition: dict[str, Any] = {}
    others = line.who - {key}
    groups = sorted(shown_name(one.name) for one in others if one.sort != "namespace")
    if groups:
        condition["groups"] = groups
    if len(groups) < len(others):
        (condition["namespace"],) = (one.name for one in others if one.sort == "namespace")
    exceptions = [str(one) for one in sorted(line.excepted - excepted)]
    if exceptions:
        condition["except"] = exceptions
    condition |= as_facts(line.when)
    if line.unless:
        condition["unless"] = sorted(map(unless_facts, line.unless), key=lambda one: (one["rule"], str(one)))
    return condition


def unless_facts(unless: Unless) -> dict[str, Any]:
    """The clients that a deny rule stops, as JSON."""
    facts: dict[str, Any] = {}
    if unless.who:
        facts["who"] = [str(one) for one in sorted(unless.who)]
    if unless.excepted:
        facts["except"] = [str(one) for one in sorted(unless.excepted)]
    return {**facts, **as_facts(unless.when), "rule": unless.rule}


def _both(one: Conditions, other: Conditions) -> Conditions:
    """The conditions for everyone, from those for the two halves."""
    if one is True:
        return other
    return one if other is True or one == other else False
