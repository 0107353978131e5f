"""The answer to "who can?" for people and machines: principals, their conditions, and exceptions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from tokenserver.policy.analysis.conditions import as_facts
from tokenserver.policy.budget import Budget
from tokenserver.policy.group_names import shown_name
from tokenserver.policy.machines.workloads import base_of, shown_workload
from tokenserver.policy.model import PolicySet, Principal
from tokenserver.policy.principals import (
    ANONYMOUS,
    AUTHENTICATED,
    PARTS,
    ROBOTS,
    WORKLOADS,
    AllOf,
    client_principal,
    group_principal,
    parts_of_everyone,
)
from tokenserver.policy.queries.who_can import Line, People, Unless
from tokenserver.policy.queries.witnesses import machines_for

Conditions = bool | list[dict[str, Any]]
"""True: always; False: never; else the alternative conditions, one of which must hold."""


_BROAD = {ROBOTS: "every_robot", WORKLOADS: "every_workload"}
_LISTS = {"robot": ROBOTS, "workload": WORKLOADS}
_MEMBERS = {"robots": "a robot", "workloads": "a workload"}
_MEMBER_SORTS = ("user", "robot", "workload", "group")
_NARROWER = ("group", "workload", "namespace", "robot", "user")
"""The sorts of principals with names, those first that are rather a condition for another one."""


@dataclass(frozen=True, slots=True)
class Roster:
    """Conditions of access by principal; a client that is one of `excepted` has no access in any case."""

    answers: Mapping[Principal, Conditions]
    excepted: tuple[Principal, ...]
    parts: tuple[Principal, ...] = (AUTHENTICATED, ANONYMOUS)
    """The parts of everyone that have clients."""

    def facts(self) -> dict[str, Any]:
        """The roster as JSON. `when` has the conditions of named principals without unconditional access.

        `robots` and `workloads` are lists of names, as `users` is, so the answers for all machines, to which policies
        give these words, are called `every_robot` and `every_workload`. All four are absent where no such machine is
        declared.
        """
        broad = {part: self.answers.get(part, False) for part in self.parts}
        named = {one: answer for one, answer in self.answers.items() if one.name}
        names = {sort: [one.name for one in named if one.sort == sort] for sort in ("user", "namespace", *_LISTS)}
        machines = {part.sort: names[sort] for sort, part in _LISTS.items() if part in broad}
        return {
            "everyone": reduce(_both, broad.values()),
            **{_BROAD.get(part, part.sort): answer for part, answer in broad.items()},
            "users": names["user"],
            **({"namespaces": names["namespace"]} if names["namespace"] else {}),
            **machines,
            "groups": [shown_name(one.name) for one in named if one.sort == "group"],
            "except": [str(one) for one in self.excepted],
            "when": {str(one): answer for one, answer in named.items() if answer is not True},
        }


def roster(policies: PolicySet, lines: Iterable[Line]) -> Roster:
    """The roster of the lines found by `holders`."""
    lines = list(lines)
    excepted = excepted_from_all(people_of(policies, lines), lines)
    conditions: dict[Principal, list[dict[str, Any]]] = {}
    for line in lines:
        condition = condition_facts(policies, line, excepted)
        conditions.setdefault(key_of(line), []).append({**condition, "rule": line.rule} if condition else {})
    answers: dict[Principal, Conditions] = {
        key: found if all(found) else True for key, found in sorted(conditions.items())
    }
    return Roster(answers, tuple(sorted(excepted)), parts_of_everyone(policies))


def people_of(policies: PolicySet, lines: Iterable[Line], budget: Budget | None = None) -> People:
    """For questions about these lines."""
    return People(policies, budget, machines_for(policies, {one for line in lines for one in line.named}))


def key_of(line: Line) -> Principal:
    """The principal that a line is listed under: its user, else its namespace; the others are conditions then.

    So are the claims that a rule demands of a workload.
    """
    key = _narrowest(line.who)
    if key.sort != "workload":
        return key
    declared = base_of(key.name)
    return Principal("workload", declared) if declared else WORKLOADS


def _narrowest(who: AllOf) -> Principal:
    return max(who, key=lambda one: (_NARROWER.index(one.sort) if one.name else -1, one))


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
    if "workloads" in facts:
        parts.append(f"if also {' and '.join(f'workload:{name}' for name in facts['workloads'])}")
    if "claims" in facts:
        claims = (f"{name} is {_any_of(values)}" for name, values in facts["claims"].items())
        parts.append(f"if {' and '.join(claims)}")
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
    others = [_MEMBERS.get(one, one) for one in principals if not one.startswith("group:")]
    return joint.join([*others, *([f"in {groups}"] if groups else [])])


def _any_of(value: str | Sequence[str]) -> str:
    return value if isinstance(value, str) else " or ".join(value)


def condition_facts(policies: PolicySet, line: Line, excepted: set[Principal]) -> dict[str, Any]:
    """The condition for the `key_of` the line as JSON; empty: none."""
    condition: dict[str, Any] = {}
    key = _narrowest(line.who)
    others = sorted(line.who - {key})
    names = {sort: [one.name for one in others if one.sort == sort] for sort in _NARROWER}
    if names["group"]:
        condition["groups"] = sorted(map(shown_name, names["group"]))
    if names["workload"]:
        condition["workloads"] = list(map(shown_workload, names["workload"]))
    if names["namespace"]:
        (condition["namespace"],) = names["namespace"]
    claims = policies.groups.workloads.more_claims(key.name) if key.sort == "workload" else ()
    if claims:
        condition["claims"] = {name: [glob.text for glob in globs] for name, globs in claims}
    kinds = [kind for one in others if one in PARTS for kind in PARTS[one]]
    if kinds:
        condition["kind"] = sorted(kinds)
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
    """The conditions for two parts of everyone together."""
    if one is True:
        return other
    return one if other is True or one == other else False


def members_of(policies: PolicySet, name: str) -> dict[str, list[str]]:
    """The members of a group that the policy files name; those of a directory's group are unknown here.

    Robots and workloads are there only if the group has some.
    """
    group = policies.groups.by_name.get(name)
    if group is None:
        return {"users": [], "groups": [name]}
    members = [*map(client_principal, sorted(group.users)), *map(group_principal, sorted(group.groups))]
    found = {f"{sort}s": [one.name for one in members if one.sort == sort] for sort in _MEMBER_SORTS}
    return {key: names for key, names in found.items() if names or key in ("users", "groups")}


def spell_members(policies: PolicySet, principal: Principal) -> str:
    """The members of a group in words; empty for other principals."""
    if principal.sort != "group":
        return ""
    members = members_of(policies, principal.name)
    machines = [f"{sort}:{name}" for sort in ("robot", "workload") for name in members.get(f"{sort}s", ())]
    directory = [f"all of the directory's {name}" for name in members["groups"]]
    return ", ".join([*members["users"], *machines, *directory])
