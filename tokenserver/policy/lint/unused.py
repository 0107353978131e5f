"""Lint rules for definitions: groups and roles that no rule uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tokenserver.documents.document import parse
from tokenserver.policy.group_names import is_root, owned_name
from tokenserver.policy.groups import included
from tokenserver.policy.lint.captures import captured_groups
from tokenserver.policy.lint.tests import LintedFile
from tokenserver.policy.lint.unknown_names import LocatedFinding
from tokenserver.policy.model import PolicySet
from tokenserver.policy.patterns import SegmentKind


def unused_findings(policies: PolicySet, files: Sequence[LintedFile]) -> Iterator[LocatedFinding]:
    """Groups that no rule, no delegation and no used group names, and roles that no rule has.

    Where a rule has `${group}`, every group of a root file is used; where a rule captures a part of group names, those
    that fit are. Tests are no use: they grant nothing.
    """
    contents = {file.name: _content(file) for file in files}
    used = _used_groups(policies, contents.values())
    is_any = any(one.uses(SegmentKind.GROUP) and not one.captures for rule in policies.rules for one in rule.patterns)
    roles = {file.name: {str(rule["role"]) for rule in _rules(contents[file.name]) if "role" in rule} for file in files}
    of_all = frozenset[str]().union(*roles.values())
    for file in files:
        is_known_everywhere = is_root(file.name)
        for name in contents[file.name].get("groups", ()):
            own = owned_name(name, file.name)
            in_tree = own if own in policies.groups.written else name
            if in_tree not in used and not (is_any and is_known_everywhere):
                text = f"no rule uses the group {name!r}; fix: remove it, or name it in a rule"
                yield file.name, file.document.line(("groups", name)), "TS120", text
        for name in contents[file.name].get("roles", ()):
            if name not in (of_all if is_known_everywhere else roles[file.name]):
                text = f"no rule uses the role {name!r}; fix: remove it, or use it in a rule"
                yield file.name, file.document.line(("roles", name)), "TS120", text


def _used_groups(policies: PolicySet, contents: Iterable[dict[str, Any]]) -> frozenset[str]:
    people = [one for rule in policies.rules for one in (rule.to, rule.excluded) if one is not None]
    named = frozenset[str]().union(*(one.groups for one in people))
    entries = (entry for content in contents for entry in content.get("delegate", ()))
    named |= {str(one).removeprefix("group:") for entry in entries for one in entry.get("principals", ())}
    written = policies.groups.written
    named |= captured_groups(policies)
    return frozenset(group.name for name in named for group in included(written, name))


def _rules(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for effect in ("allow", "deny"):
        yield from content.get(effect, ())


def _content(file: LintedFile) -> dict[str, Any]:
    """The content of a file, which compiling does not keep."""
    value: dict[str, Any] = file.document.value or parse(file.text, file.name).value
    return value
