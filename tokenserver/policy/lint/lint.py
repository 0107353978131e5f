"""Lint: valid policy text that its author probably did not mean. Errors are not found here: loading rejects them.

Every finding has a code (see `CODES` and docs/policy-lint.md), and a comment in the file can suppress it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from tokenserver.policy.analysis.containment import is_empty
from tokenserver.policy.analysis.subsumption import NOBODY, candidates, covers, covers_people, kinds_of
from tokenserver.policy.budget import Budget, TooComplex, command_budget
from tokenserver.policy.group_names import owned_name
from tokenserver.policy.lint.path_names import unfilled_variables
from tokenserver.policy.lint.suppressions import Suppression, find_suppressions
from tokenserver.policy.lint.tests import LintedFile, test_findings
from tokenserver.policy.lint.unknown_names import CODES as OUTSIDE_CODES
from tokenserver.policy.lint.unknown_names import UnknownNames, unknown_name_findings
from tokenserver.policy.model import Effect, PolicySet, Principals, Rule
from tokenserver.policy.patterns import Pattern, SegmentKind
from tokenserver.policy.syntax.hosts import host_remarks
from tokenserver.scopes import in_order, is_path_component

__all__ = ["CODES", "LintFinding", "LintedFile", "lint"]

CODES = MappingProxyType(
    {
        "TS101": "a rule that can never apply",
        "TS102": "an allow rule that a deny rule forbids wholly",
        "TS103": "an allow rule that another allow rule covers wholly",
        "TS104": "push without pull",
        "TS105": "a pattern that no repository name can match",
        "TS106": "a group that nothing defines",
        "TS107": "a group of the tree where the directory's group of that name is meant",
        "TS108": "push or delete for clients that did not log in",
        "TS109": "a rule whose `until` has passed",
        "TS110": "a test that repeats another one",
        "TS111": "a user name with capital letters",
        "TS112": "a registry resource without the action `*`",
        "TS113": "a rule of which not all was decided",
        "TS114": "a name that begins with a registry's host",
        "TS115": "a test of a delegated file that fails",
        "TS116": "a user for whom `${user}` never stands",
        "TS201": "a silence that says too little",
        "TS202": "a silence that silences nothing",
        "TS301": "a user whom no user source lets in under that name",
        "TS302": "a group that no directory brings under that name",
        "TS303": "a name that two user sources have",
    }
)


@dataclass(frozen=True, slots=True, order=True)
class LintFinding:
    """One finding. `file` is the policy file's name in its folder, `line` counts from 1."""

    file: str
    line: int
    code: str
    text: str


def lint(
    policies: PolicySet,
    files: Sequence[LintedFile],
    now: datetime,
    *,
    brings_groups: bool,
    outside: UnknownNames | None = None,
) -> tuple[LintFinding, ...]:
    """Every finding that no comment suppresses, by file and line.

    `policies` is loaded from `files`. `brings_groups` tells whether a user source may have groups that the files do
    not define. `outside` has the answers of the user sources about names in the policies; None: they were not asked.
    `now` is an aware time.
    """
    budget = command_budget(policies.rule_count)
    found = {
        *_rule_findings(policies, now, budget),
        *_group_findings(policies, files, brings_groups=brings_groups),
        *(LintFinding(*told) for told in test_findings(policies, files, now, budget)),
    }
    if outside is not None:
        documents = [(file.name, file.document) for file in files]
        found |= {LintFinding(*told) for told in unknown_name_findings(policies, documents, outside)}
    sleeping = OUTSIDE_CODES if outside is None else frozenset[str]()
    silenced: set[LintFinding] = set()
    remarks: list[LintFinding] = []
    for file in files:
        here = [finding for finding in found if finding.file == file.name]
        for silence in find_suppressions(file.text, file.name):
            told, problems = _apply(silence, here, file.name, sleeping)
            silenced |= told
            remarks += problems
    return tuple(sorted((found - silenced) | set(remarks)))


def _apply(
    silence: Suppression, here: Iterable[LintFinding], file: str, sleeping: frozenset[str]
) -> tuple[set[LintFinding], list[LintFinding]]:
    """What a silence silences, and what is wrong with it. Nobody can tell whether one for a sleeping code is of use."""
    form = "write: # lint: ignore TS104 because REASON"
    if not silence.codes:
        return set(), [
            LintFinding(file, silence.line, "TS201", f"the comment silences nothing: it has another form; {form}")
        ]
    at_line = [finding for finding in here if finding.line == silence.speaks_for]
    told: set[LintFinding] = set()
    problems: list[LintFinding] = []
    for code in silence.codes:
        meant = {finding for finding in at_line if finding.code == code}
        told |= meant
        if code not in CODES or code.startswith("TS2"):
            problems.append(LintFinding(file, silence.line, "TS201", f"{code} is no code that can be silenced"))
        elif not meant and code not in sleeping:
            text = f"there is no {code} on line {silence.speaks_for} any more; take the comment away"
            problems.append(LintFinding(file, silence.line, "TS202", text))
    return told, problems


# --- rules -----------------------------------------------------------------------------------------------------------


def _rule_findings(policies: PolicySet, now: datetime, budget: Budget) -> Iterator[LintFinding]:
    in_force: dict[str, Rule] = {}
    unfilled = unfilled_variables(policies)
    for rule in policies.rules:
        dead = list(_decided(rule, _never_applies(policies, rule, now, budget)))
        yield from (_at(rule, code, text) for code, text in dead)
        yield from (_at(rule, code, text) for code, text in _decided(rule, _about_itself(rule, budget)))
        if not dead:
            in_force[rule.id] = rule
            if rule.id in unfilled:
                yield _at(rule, "TS116", unfilled[rule.id])
    for rule in in_force.values():
        if rule.effect is Effect.ALLOW:
            told = _decided(rule, _beside_others(policies, rule, in_force, budget))
            yield from (_at(rule, code, text) for code, text in told)
        if budget.is_spent:
            yield _at(rule, "TS113", f"{rule.id}: from here on, rules were not compared with others; lint fewer files")
            return


def _decided(rule: Rule, told: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """What was told, and that not all could be, where that is so."""
    try:
        yield from told
    except TooComplex as error:
        yield "TS113", f"{rule.id}: {error}"


def _never_applies(policies: PolicySet, rule: Rule, now: datetime, budget: Budget) -> Iterator[tuple[str, str]]:
    if rule.condition is not None and rule.condition.until is not None and rule.condition.until <= now:
        yield "TS109", f"{rule.id}: its until has passed ({rule.condition.until:%Y-%m-%d %H:%M} UTC); take it away"
    if rule.excluded is not None and covers_people(rule.excluded, rule.to, policies.groups):
        yield "TS101", f"{rule.id}: except leaves out everybody whom to names"
    if not kinds_of(rule):
        asked = ", ".join(sorted(rule.condition.kinds)) if rule.condition is not None else ""
        yield "TS101", f"{rule.id}: nobody whom to names has a credential of kind {asked}"
    if all(is_empty(pattern, budget.question()) for pattern in rule.patterns):
        yield "TS101", f"{rule.id}: no repository name can match any of its patterns"
    elif all(_is_unfillable(rule.to, pattern) for pattern in rule.patterns):
        yield "TS101", f"{rule.id}: nobody whom to names can stand in the place of ${{user}} or ${{group}}"


def _is_unfillable(to: Principals, pattern: Pattern) -> bool:
    """Whether the pattern has a variable that none of these people can fill."""
    if to.everyone or to.authenticated or to.groups:
        return False
    if pattern.uses(SegmentKind.USER):
        return not any(map(is_path_component, to.users))
    return pattern.uses(SegmentKind.GROUP) and not to.users


def _about_itself(rule: Rule, budget: Budget) -> Iterator[tuple[str, str]]:
    empty = [pattern.text for pattern in rule.patterns if is_empty(pattern, budget.question())]
    if empty and len(empty) < len(rule.patterns):
        yield "TS105", f"{rule.id}: no repository name can match {', '.join(empty)}"
    yield from (("TS114", f"{rule.id}: {told}") for told in host_remarks(pattern.text for pattern in rule.patterns))
    named = {*rule.to.users, *(rule.excluded or NOBODY).users}
    yield from _capitals(rule.id, named)
    if rule.effect is Effect.DENY:
        return
    changing = [action for action in in_order(rule.actions) if action in ("push", "delete")]
    if changing and (rule.to.everyone or rule.to.anonymous) and rule.resource_type == "repository":
        yield "TS108", f"{rule.id}: {' and '.join(changing)} for clients that did not log in"
    if rule.resource_type == "registry" and "*" not in rule.actions:
        yield "TS112", f'{rule.id}: registries ask for nothing but *; write actions: ["*"]'


def _beside_others(
    policies: PolicySet, rule: Rule, in_force: Mapping[str, Rule], budget: Budget
) -> Iterator[tuple[str, str]]:
    others = [in_force[other.id] for other in candidates(policies, rule) if other.id in in_force]
    groups = policies.groups
    for other in others:
        if other.effect is Effect.DENY and covers(other, rule, groups, rule.actions - {"*"}, budget):
            yield "TS102", f"{rule.id}: all of it is forbidden by {other.id} ({other.file}:{other.line})"
            return
    for other in others:
        if not _grants_all(policies, other, rule, budget):
            continue
        is_mutual = _grants_all(policies, rule, other, budget)
        if not is_mutual or (other.file, other.line, other.id) < (rule.file, rule.line, rule.id):
            yield "TS103", f"{rule.id}: {other.id} ({other.file}:{other.line}) grants all of it already"
            break
    if "push" in rule.actions and "pull" not in rule.actions:
        pull = frozenset({"pull"})
        if not any(other.effect is Effect.ALLOW and covers(other, rule, groups, pull, budget) for other in others):
            yield "TS104", f"{rule.id}: push without pull; registries ask for both when an image is pushed"


def _grants_all(policies: PolicySet, other: Rule, rule: Rule, budget: Budget) -> bool:
    """Whether an allow rule grants whatever `rule` grants, and tokens live as long by it."""
    limits = [math.inf if one.max_lifetime is None else one.max_lifetime for one in (other, rule)]
    is_allow = other.effect is Effect.ALLOW
    return is_allow and limits[0] >= limits[1] and covers(other, rule, policies.groups, rule.actions, budget)


def _capitals(what: str, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in sorted(name for name in names if name != name.lower()):
        yield "TS111", f"{what}: {name!r} has capital letters; names are compared letter by letter"


def _at(rule: Rule, code: str, text: str) -> LintFinding:
    return LintFinding(rule.file, rule.line, code, text)


# --- groups ----------------------------------------------------------------------------------------------------------


def _group_findings(policies: PolicySet, files: Sequence[LintedFile], *, brings_groups: bool) -> Iterator[LintFinding]:
    known = policies.groups.by_name
    if not brings_groups:
        for rule in policies.rules:
            named = rule.to.groups | (rule.excluded or NOBODY).groups
            for name in sorted(named - known.keys()):
                yield _at(rule, "TS106", f"{rule.id}: nothing defines the group {name!r}, so nobody is in it")
    for file in files:
        for place, line in file.document.lines.items():
            if len(place) != 2 or place[0] != "groups":
                continue
            name = str(place[1])
            group = known.get(owned_name(name, file.name)) or known[name]
            for _, text in _capitals(name, group.users):
                yield LintFinding(file.name, line, "TS111", text)
            for brought in sorted(group.groups):
                if brought in known and brought != name:
                    where = _where(files, brought)
                    text = f"{name}: groups: [{brought}] is the directory's group, not the one that {where}"
                    yield LintFinding(file.name, line, "TS107", text)
                elif not brings_groups:
                    text = f"{name}: no user source brings the group {brought!r}, so nobody comes in by it"
                    yield LintFinding(file.name, line, "TS106", text)


def _where(files: Sequence[LintedFile], group: str) -> str:
    place = ("groups", group)
    found = next((file for file in files if place in file.document.lines), None)
    return "is defined here" if found is None else f"{found.name}:{found.document.line(place)} defines"
