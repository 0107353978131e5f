"""Lint rules about one rule by itself: what never applies, and what it says besides what was meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from datetime import datetime
from ipaddress import ip_network

from tokenserver.identity import MACHINES, PEOPLE, Kind
from tokenserver.patterns import Pattern, SegmentKind
from tokenserver.policy.analysis.containment import escape_from, is_empty, overlaps
from tokenserver.policy.analysis.subsumption import (
    NOBODY,
    covers_people,
    kinds_of,
    people_named,
    possible_kinds,
    recipients,
)
from tokenserver.policy.budget import Budget
from tokenserver.policy.group_names import shown_name
from tokenserver.policy.machines.robots import subject_of
from tokenserver.policy.machines.workloads import workload_of
from tokenserver.policy.model import Effect, PolicySet, Principals, Rule
from tokenserver.policy.networks import are_within, ranges_of
from tokenserver.policy.principals import UNNAMED, user_identity
from tokenserver.policy.syntax.hosts import host_remarks
from tokenserver.policy.variables.filling import VARIABLES, captured
from tokenserver.scopes import in_order, is_path_component

_FAMILIES = {family: ranges_of((ip_network(text),)) for family, text in (("IPv4", "0.0.0.0/0"), ("IPv6", "::/0"))}


def never_applies(policies: PolicySet, rule: Rule, now: datetime, budget: Budget) -> Iterator[tuple[str, str]]:
    """Why the rule never applies: codes and texts. Raises TooComplex beyond the budget of a question."""
    if rule.condition is not None and rule.condition.until is not None and rule.condition.until <= now:
        expired = f"expired at {rule.condition.until:%Y-%m-%d %H:%M} UTC"
        yield "TS109", f"{rule.id}: {expired}; fix: remove the rule, or set a later until"
    possible = possible_kinds(policies)
    kinds = kinds_of(rule, policies.groups, possible)
    to = recipients(rule, policies.groups)
    if rule.excluded is not None and covers_people(rule.excluded, to, policies.groups, possible):
        yield "TS101", f"{rule.id}: except excludes everybody in to; fix: shorten except, or remove the rule"
    if not kinds:
        yield "TS101", f"{rule.id}: {_without_kind(policies, rule, possible)}"
    if all(is_empty(pattern, budget.question()) for pattern in rule.patterns):
        yield "TS101", f"{rule.id}: no repository name can match any of its patterns; fix: correct the patterns"
    elif all(_is_unfillable(policies, rule, pattern, kinds) for pattern in rule.patterns):
        yield "TS101", f"{rule.id}: nobody in to has a value for ${{user}} or ${{group}}; fix: use literal patterns"


def _without_kind(policies: PolicySet, rule: Rule, possible: frozenset[Kind]) -> str:
    """Why no client in `to` has the kind of credential that the rule asks for, and what to do."""
    asked = rule.condition.kinds if rule.condition is not None else frozenset()
    declared = [f"{kind}s" for kind in sorted(asked & possible & MACHINES.keys())]
    if declared and rule.to.authenticated:
        text = "authenticated are the people who log in, not machines"
        return f"{text}; fix: write to: [{', '.join(declared)}] without kind"
    if kinds_of(rule, policies.groups):
        absent = " or ".join(f"{kind}s" for kind in sorted(kinds_of(rule, policies.groups)))
        return f"no file declares {absent}; fix: declare them, or remove the rule"
    return f"nobody in to has a credential of kind {', '.join(sorted(asked))}; fix: correct kind, or remove the rule"


def _is_unfillable(policies: PolicySet, rule: Rule, pattern: Pattern, kinds: frozenset[Kind]) -> bool:
    """Whether the pattern has a variable that none of the rule's clients can fill; `kinds` are those of its clients."""
    to = rule.to
    if not uses_variable(pattern):
        return False
    users, people_groups = people_named(to, policies.groups)
    if pattern.uses(SegmentKind.USER) and kinds and kinds <= MACHINES.keys():
        return True
    if to.everyone or to.authenticated or people_groups:
        return False
    if pattern.uses(SegmentKind.USER):
        values = (user_identity(policies, name).user_value for name in users)
        return not any(value == UNNAMED or is_path_component(value) for value in values)
    if not pattern.uses(SegmentKind.GROUP) or users:
        return False
    return not any(captured(pattern, name) for name in _groups_of_machines(policies, to))


def _groups_of_machines(policies: PolicySet, to: Principals) -> Iterator[str]:
    """The groups of the tree in which machines of `to` may be."""
    groups = policies.groups
    yield from to.groups & groups.of_machines
    for subject in map(subject_of, policies.robots) if to.robots else to.users:
        yield from groups.by_user.get(subject, ())
    if to.workloads or any(workload_of(name) is not None for name in to.groups):
        for member, names in groups.by_directory_group.items():
            if workload_of(member) is not None:
                yield from names


def about_itself(rule: Rule, budget: Budget) -> Iterator[tuple[str, str]]:
    """What is wrong with the rule by itself: codes and texts. Raises TooComplex as above."""
    empty = [pattern.text for pattern in rule.patterns if is_empty(pattern, budget.question())]
    if empty and len(empty) < len(rule.patterns):
        yield "TS105", f"{rule.id}: no repository name can match {', '.join(empty)}; fix: correct or remove the pattern"
    names = (pattern.text for pattern in (*rule.patterns, *rule.without))
    yield from (("TS114", f"{rule.id}: {text}") for text in host_remarks(names))
    yield from _idle_parts(rule, budget)
    named = {*rule.to.users, *(rule.excluded or NOBODY).users}  # names of robots have no capital letters
    yield from capitals(rule.id, named)
    yield from _wide_networks(rule)
    yield from _any_group(rule)
    if rule.effect is Effect.DENY:
        return
    changing = [action for action in in_order(rule.actions) if action in ("push", "delete")]
    if changing and reaches_anonymous(rule) and rule.resource_type == "repository":
        what = f"{' and '.join(changing)} for clients that did not log in"
        yield "TS108", f"{rule.id}: {what}; fix: grant it to authenticated, or to users and groups"
    if rule.resource_type == "registry" and "*" not in rule.actions:
        yield "TS112", f'{rule.id}: registries request only the action *; fix: actions: ["*"]'


def reaches_anonymous(rule: Rule) -> bool:
    """Whether the rule can apply to a client that did not log in."""
    excluded = rule.excluded or NOBODY
    is_meant = (rule.to.everyone or rule.to.anonymous) and not (excluded.everyone or excluded.anonymous)
    is_meant = is_meant and _asks_for(rule, {Kind.ANONYMOUS})
    return is_meant and not all(map(uses_variable, rule.patterns))


def reaches_any_user(rule: Rule) -> bool:
    """Whether the rule applies to people who log in whatever their name and groups are."""
    excluded = rule.excluded or NOBODY
    is_meant = (rule.to.everyone or rule.to.authenticated) and _asks_for(rule, PEOPLE)
    return is_meant and not (excluded.everyone or excluded.authenticated)


def _asks_for(rule: Rule, kinds: Set[Kind]) -> bool:
    """Whether a credential of one of these kinds is enough for the rule."""
    asked = rule.condition.kinds if rule.condition is not None else frozenset()
    return not asked or bool(asked & kinds)


def uses_variable(pattern: Pattern) -> bool:
    """Whether an anonymous client, which has no value for a variable, never matches the pattern."""
    return any(segment.kind in VARIABLES for segment in pattern.rest)


def _idle_parts(rule: Rule, budget: Budget) -> Iterator[tuple[str, str]]:
    """Patterns under `not` without which the rule would have the same names; of two equal ones, the later."""
    needed = list(rule.without)
    for part in reversed(rule.without):
        others = [one for one in needed if one is not part]
        if not _takes_away(rule, part, (), budget):
            text = f"{part.text} under not takes nothing away, since no pattern of the rule meets it"
        elif not _takes_away(rule, part, others, budget):
            text = f"{part.text} under not takes nothing away that {_listed(part, others, budget)} would leave"
        else:
            continue
        needed = others
        yield "TS125", f"{rule.id}: {text}; fix: correct or remove it"


def _takes_away(rule: Rule, part: Pattern, others: Sequence[Pattern], budget: Budget) -> bool:
    """Whether this pattern under `not` has a name of the rule that the others do not have."""
    return any(
        overlaps(pattern, part, budget.question()) is not None
        and (not others or escape_from(others, (pattern, part), budget.question()) is not None)
        for pattern in rule.patterns
    )


def _listed(part: Pattern, others: Iterable[Pattern], budget: Budget) -> str:
    """The patterns that meet `part`."""
    return " and ".join(one.text for one in others if overlaps(one, part, budget.question()))


def _wide_networks(rule: Rule) -> Iterator[tuple[str, str]]:
    if rule.condition is None or not rule.condition.networks:
        return
    admitted = ranges_of(rule.condition.networks)
    families = [family for family, every in _FAMILIES.items() if are_within(every, admitted)]
    if families:
        text = f"from includes every {' and every '.join(families)} address"
        yield "TS123", f"{rule.id}: {text}; fix: name smaller networks, or remove from"


def _any_group(rule: Rule) -> Iterator[tuple[str, str]]:
    groups = sorted(name for name in rule.to.groups if workload_of(name) is None)
    if groups and rule.to.are_named and any(one.uses(SegmentKind.GROUP) for one in rule.patterns):
        named = ", ".join(map(shown_name, groups))
        text = f"${{group}} stands for every group of a member of {named}, not only for {named}"
        fix = (
            'capture a part of the name, as to: ["group:team-{team}"] and ${team} do, or write the name in the pattern'
        )
        yield "TS124", f"{rule.id}: {text}; fix: {fix}"


def capitals(what: str, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """A finding for each name with capital letters; `what` names it."""
    for name in sorted(name for name in names if name != name.lower()):
        text = f"{name!r} has capital letters, and names are compared exactly"
        yield "TS111", f"{what}: {text}; fix: spell the name as the user source does"
