"""Lint: valid policy text that its author probably did not mean. Errors are not found here: loading rejects them.

Every finding has a code (see `CODES` and docs/policy-lint.md), and a comment in the file can suppress it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from tokenserver.policy.analysis.covering_rules import CoveringRules
from tokenserver.policy.analysis.subsumption import NOBODY, covers, possible_kinds
from tokenserver.policy.budget import Budget, TooComplex, command_budget
from tokenserver.policy.group_names import owned_name
from tokenserver.policy.lint.administrators import administrator_findings
from tokenserver.policy.lint.captures import capture_findings
from tokenserver.policy.lint.delegations import delegation_findings
from tokenserver.policy.lint.meetings import Meetings, as_of, no_tokens
from tokenserver.policy.lint.path_names import unfilled_variables
from tokenserver.policy.lint.robot_secrets import LONGEST, secret_findings
from tokenserver.policy.lint.shared_values import SharedValues
from tokenserver.policy.lint.single_rules import about_itself, capitals, never_applies
from tokenserver.policy.lint.suppressions import Suppression, find_suppressions
from tokenserver.policy.lint.tests import LintedFile, test_findings
from tokenserver.policy.lint.unknown_names import CODES as DIRECTORY_CODES
from tokenserver.policy.lint.unknown_names import UnknownNames, directory_groups, unknown_name_findings
from tokenserver.policy.lint.unused import unused_findings
from tokenserver.policy.lint.workload_claims import CODES as PRESET_CODES
from tokenserver.policy.lint.workload_claims import workload_findings
from tokenserver.policy.model import Effect, PolicySet, Rule

__all__ = ["CODES", "LintFinding", "LintedFile", "lint"]

CODES = MappingProxyType(
    {
        "TS101": "a rule that can never apply",
        "TS102": "an allow rule that a deny rule overrides completely",
        "TS103": "an allow rule that another allow rule covers completely",
        "TS104": "push without pull",
        "TS105": "a pattern that no repository name can match",
        "TS106": "an undefined group",
        "TS107": "a directory group with the name of a group of the tree",
        "TS108": "push or delete for clients that did not log in",
        "TS109": "an expired rule",
        "TS110": "a duplicate test",
        "TS111": "a user name with capital letters",
        "TS112": "a registry resource without the action `*`",
        "TS113": "a rule that could not be checked completely",
        "TS114": "a name that begins with a registry's host",
        "TS115": "a failing test in a delegated file",
        "TS116": "a rule with `${user}` that never matches for a client",
        "TS117": "a delegation without a contact",
        "TS118": "access that logging in takes away",
        "TS119": "a deny rule that meets no allow rule",
        "TS120": "a group, role, robot or workload that no rule uses",
        "TS121": "a rule for anonymous clients, which get no tokens",
        "TS122": "a test that holds only because it names no address",
        "TS123": "a condition on addresses that admits all of them",
        "TS124": "a rule for one group about every group of its members",
        "TS125": "a pattern under `not` that takes nothing away",
        "TS126": "a capture that takes no group",
        "TS127": "a capture that takes groups of another one",
        "TS128": "a variable beside `*` whose values share names",
        "TS129": "a robot's secret that has expired",
        "TS130": "a robot's secret that ends soon",
        "TS131": "a robot's secret that lives longer than allowed",
        "TS132": "a workload with a name and without an id",
        "TS133": "push or delete from any branch",
        "TS134": "a claim whose value can be anything",
        "TS135": "a workload by the `sub` of GitHub",
        "TS136": "access keys without an administrator",
        "TS201": "an invalid suppression",
        "TS202": "an unused suppression",
        "TS301": "a user who cannot log in under that name",
        "TS302": "a group that no directory has under that name",
        "TS303": "a name that two user sources share",
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
    have_groups: bool,
    anonymous: bool | None = None,
    unknown_names: UnknownNames | None = None,
    presets: Mapping[str, str] | None = None,
    longest: timedelta | None = None,
    access_keys: bool | None = None,
    budget: Budget | None = None,
) -> tuple[LintFinding, ...]:
    """Every finding that no comment suppresses, by file and line.

    `policies` is loaded from `files`. `have_groups`: a user source may have groups that the files do not define.
    `unknown_names` has the answers of the user sources about names in the policies; None: they were not queried.
    `anonymous`: whether anonymous clients get tokens; None: unknown.
    `presets` has the preset of each workload source, such as `github_actions`; None: they are guessed from claims.
    `longest`: how long from now a robot's secret may live; None: unknown, so a year.
    `access_keys`: whether people can have access keys; None: unknown.
    `now` is an aware time. What is not decided within the budget (None: that of one command) is a finding.
    """
    budget = budget or command_budget(policies.rule_count)
    found: set[LintFinding] = {
        *_rule_findings(policies, now, budget),
        *_group_findings(policies, files, have_groups=have_groups),
        *(LintFinding(*finding) for finding in test_findings(policies, files, now, budget)),
        *(LintFinding(*finding) for finding in delegation_findings(policies, files)),
        *(LintFinding(*finding) for finding in unused_findings(policies, files)),
        *(LintFinding(*finding) for finding in secret_findings(policies, files, now, longest or LONGEST)),
        *(LintFinding(*finding) for finding in workload_findings(policies, files, presets)),
        *(_at(*one) for one in capture_findings(policies, have_groups=have_groups)),
        *(_at(rule, "TS121", text) for rule, text in ([] if anonymous is not False else no_tokens(policies))),
    }
    found |= {
        LintFinding(*finding)
        for finding in administrator_findings(
            policies, files, have_groups=have_groups, access_keys=access_keys, unknown=unknown_names
        )
    }
    if unknown_names is not None:
        documents = [(file.name, file.document) for file in files]
        found |= {LintFinding(*finding) for finding in unknown_name_findings(policies, documents, unknown_names)}
    # Some codes depend on the configuration, while the comment is in a file that may be linted without it.
    unchecked = {*(DIRECTORY_CODES if unknown_names is None else ()), *(("TS106", "TS126") if have_groups else ())}
    unchecked |= {"TS121"} if anonymous is not False else set()
    unchecked |= PRESET_CODES if presets is None else set()
    unchecked |= {"TS131"} if longest is None else set()
    unchecked |= {"TS136"} if not access_keys else set()
    suppressed: set[LintFinding] = set()
    problems: list[LintFinding] = []
    by_file: dict[str, list[LintFinding]] = {}
    for finding in found:
        by_file.setdefault(finding.file, []).append(finding)
    for file in files:
        here = by_file.get(file.name, [])
        for suppression in find_suppressions(file.text, file.name):
            suppressed.update(_suppressed(suppression, here))
            problems += _suppression_findings(suppression, here, file.name, unchecked)
    return tuple(sorted((found - suppressed) | set(problems)))


def _suppressed(suppression: Suppression, here: Iterable[LintFinding]) -> Iterator[LintFinding]:
    """The findings of its file that a suppression applies to."""
    at_line = (finding for finding in here if finding.line == suppression.applies_to)
    return (finding for finding in at_line if finding.code in suppression.codes)


def _suppression_findings(
    suppression: Suppression, here: Iterable[LintFinding], file: str, unchecked: Collection[str]
) -> Iterator[LintFinding]:
    """What is wrong with a suppression. One of an `unchecked` code is never reported as unused."""
    if not suppression.codes:
        text = "malformed suppression, which has no effect; fix: write # lint: ignore TS104 because REASON"
        yield LintFinding(file, suppression.line, "TS201", text)
    used = {finding.code for finding in _suppressed(suppression, here)}
    for code in suppression.codes:
        if code not in CODES:
            text = f"no finding has the code {code}; fix: correct the code, or remove the suppression"
            yield LintFinding(file, suppression.line, "TS201", text)
        elif code.startswith("TS2"):
            text = f"{code} cannot be suppressed; fix: remove the code from the comment"
            yield LintFinding(file, suppression.line, "TS201", text)
        elif code not in used and code not in unchecked:
            text = (
                f"unused suppression: line {suppression.applies_to} has no finding {code}; fix: remove the suppression"
            )
            yield LintFinding(file, suppression.line, "TS202", text)


# --- rules -----------------------------------------------------------------------------------------------------------


def _rule_findings(policies: PolicySet, now: datetime, budget: Budget) -> Iterator[LintFinding]:
    in_force: dict[str, Rule] = {}
    unfilled, shared = unfilled_variables(policies), SharedValues(policies)
    for rule in policies.rules:
        dead = list(_decided(rule, never_applies(policies, rule, now, budget)))
        yield from (_at(rule, code, text) for code, text in dead)
        yield from (_at(rule, code, text) for code, text in _decided(rule, about_itself(rule, budget)))
        if not dead:
            in_force[rule.id] = as_of(rule, now)
            yield from (_at(rule, code, text) for code, text in _decided(rule, shared.findings(rule, budget)))
            if rule.id in unfilled:
                yield _at(rule, "TS116", unfilled[rule.id])
    covering = CoveringRules(policies)
    meetings = Meetings(policies, in_force, covering, budget)
    for rule in in_force.values():
        if rule.effect is Effect.ALLOW:
            found = _decided(rule, _beside_others(policies, rule, in_force, covering, budget))
            yield from (_at(rule, code, text) for code, text in found)
        yield from (_at(rule, code, text) for code, text in _decided(rule, meetings.findings(rule)))
        if budget.is_spent:
            text = "the step budget of this run is spent, so this rule and later ones were not compared with others"
            yield _at(rule, "TS113", f"{rule.id}: {text}; fix: lint fewer files in one run")
            return


def _decided(rule: Rule, findings: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The findings, and a last one if the budget of a question does not suffice."""
    try:
        yield from findings
    except TooComplex as error:
        yield "TS113", f"{rule.id}: {error}"


def _beside_others(
    policies: PolicySet, rule: Rule, in_force: Mapping[str, Rule], covering: CoveringRules, budget: Budget
) -> Iterator[tuple[str, str]]:
    others = [in_force[other.id] for other in covering.of(rule) if other.id in in_force]
    groups, kinds = policies.groups, possible_kinds(policies)
    for other in others:
        if other.effect is Effect.DENY and covers(other, rule, groups, rule.actions - {"*"}, budget, kinds=kinds):
            by = f"{other.id} ({other.file}:{other.line})"
            yield "TS102", f"{rule.id}: {by} forbids all of it; fix: remove the rule, or add except to {other.id}"
            return
    for other in others:
        if not _grants_all(policies, other, rule, budget):
            continue
        is_mutual = _grants_all(policies, rule, other, budget)
        if not is_mutual or (other.file, other.line, other.id) < (rule.file, rule.line, rule.id):
            by = f"{other.id} ({other.file}:{other.line})"
            yield "TS103", f"{rule.id}: {by} already grants all of it; fix: remove one of the two rules"
            break
    if "push" in rule.actions and "pull" not in rule.actions:
        pull = frozenset({"pull"})
        allows = (other for other in others if other.effect is Effect.ALLOW)
        if not any(covers(other, rule, groups, pull, budget, kinds=kinds) for other in allows):
            yield "TS104", f"{rule.id}: push without pull, but registries require both for a push; fix: role: writer"


def _grants_all(policies: PolicySet, other: Rule, rule: Rule, budget: Budget) -> bool:
    """Whether an allow rule grants whatever `rule` grants, and tokens live as long by it."""
    limits = [math.inf if one.max_lifetime is None else one.max_lifetime for one in (other, rule)]
    if other.effect is not Effect.ALLOW or limits[0] < limits[1]:
        return False
    return covers(other, rule, policies.groups, rule.actions, budget, kinds=possible_kinds(policies))


def _at(rule: Rule, code: str, text: str) -> LintFinding:
    return LintFinding(rule.file, rule.line, code, text)


# --- groups ----------------------------------------------------------------------------------------------------------


def _group_findings(policies: PolicySet, files: Sequence[LintedFile], *, have_groups: bool) -> Iterator[LintFinding]:
    known = policies.groups.written
    if not have_groups:
        for rule in policies.rules:
            named = rule.to.groups | (rule.excluded or NOBODY).groups
            for name in sorted(directory_groups(named - known.keys())):
                text = f"undefined group {name!r}, which has no members; fix: correct the name, or define the group"
                yield _at(rule, "TS106", f"{rule.id}: {text}")
    for file in files:
        for place, line in file.document.lines.items():
            if len(place) != 2 or place[0] != "groups":
                continue
            name = str(place[1])
            group = known.get(owned_name(name, file.name)) or known[name]
            for _, text in capitals(name, group.users):
                yield LintFinding(file.name, line, "TS111", text)
            for member in sorted(directory_groups(group.groups)):
                if member in known and member != name:
                    text = f"{name}: groups: [{member}] is the directory group, not {_definition(files, member)}"
                    fix = f"write includes: [{member}] if that one is meant, or rename one of the two groups"
                    yield LintFinding(file.name, line, "TS107", f"{text}; fix: {fix}")
                elif not have_groups:
                    text = f"{name}: undefined group {member!r}, since no user source has groups"
                    yield LintFinding(file.name, line, "TS106", f"{text}; fix: list its users under users:")


def _definition(files: Sequence[LintedFile], group: str) -> str:
    """The definition of a group of the tree, with its place if it is in one of these files."""
    place = ("groups", group)
    found = next((f" ({file.name}:{file.document.line(place)})" for file in files if place in file.document.lines), "")
    return f"the group of the tree{found}"
