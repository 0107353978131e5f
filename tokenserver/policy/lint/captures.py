"""Lint rules for captures: those that take no group, and those that take the groups of another one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tokenserver.patterns import Capture
from tokenserver.policy.group_names import plain_name
from tokenserver.policy.model import PolicySet, Rule
from tokenserver.policy.syntax.captures import CapturingGroup, parse_recipient
from tokenserver.scopes import is_path_component

EXAMPLE = "web"
"""What a capture takes in the example of a finding."""


def captured_groups(policies: PolicySet) -> frozenset[str]:
    """The groups of the tree that some rule captures a part of. A local group of a file is none of them."""
    captures = {one.capture for rule in policies.rules for one in _capturing(rule)}
    return frozenset(name for name in policies.groups.written if any(_takes(one, name) for one in captures))


def capture_findings(policies: PolicySet, *, have_groups: bool) -> Iterator[tuple[Rule, str, str]]:
    """Findings about principals with captures: rules, codes and texts. `have_groups` is as for `lint`."""
    first: dict[Capture, tuple[Rule, str]] = {}
    for rule in policies.rules:
        for one in _capturing(rule):
            first.setdefault(one.capture, (rule, one.written))
    longer = dict(_longer(first))
    taken = {one for one in first if any(_takes(one, name) for name in policies.groups.written)}
    for rule in policies.rules:
        for one in _capturing(rule):
            if not have_groups and one.capture not in taken:
                text = f"{rule.id}: no group of the tree is {one.written}, and no user source has groups"
                yield rule, "TS126", f"{text}; fix: correct the name, or define the groups"
            if one.capture in longer:
                yield rule, "TS127", _also_taken(rule, one, longer[one.capture], *first[longer[one.capture]])


def _also_taken(rule: Rule, one: CapturingGroup, longer: Capture, other: Rule, written: str) -> str:
    group = f"{longer.before}{EXAMPLE}{longer.after}"
    by = f"{written} of {other.id} ({other.file}:{other.line})"
    value = one.capture.value(group)
    text = f"{one.written} also takes {group}, which {by} is for, with {value} as ${{{one.variable}}}"
    return f"{rule.id}: {text}; fix: give its groups a beginning or an ending of their own"


def _capturing(rule: Rule) -> list[CapturingGroup]:
    """The principals with captures of a rule."""
    return [one for one in map(parse_recipient, rule.capturing) if isinstance(one, CapturingGroup)]


def _takes(capture: Capture, name: str) -> bool:
    return plain_name(name) == name and capture.value(name) is not None


def _longer(captures: Iterable[Capture]) -> Iterator[tuple[Capture, Capture]]:
    """Captures that take all groups of another one, which has more text, each with such a one."""
    known = {*captures}
    for one in sorted(known, reverse=True):
        before, after = one
        for start in range(len(before) + 1):
            for end in range(len(after) + 1):
                wider = Capture(before[:start], after[end:])
                if wider != one and wider in known and is_path_component(f"{before[start:]}{EXAMPLE}{after[:end]}"):
                    yield wider, one
