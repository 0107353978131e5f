"""Trees around the boundary of a lint code: where it is reported, and where one word more makes it go away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tokenserver.identity import Namespaces
from tokenserver.policy.budget import Budget
from tokenserver.policy.lint.lint import LintedFile, lint
from tokenserver.policy.lint.unknown_names import UnknownNames
from tokenserver.policy.loading.loader import compile_policies
from tokenserver.policy.model import PolicySet, Rule

NOW = datetime(2026, 6, 1, tzinfo=UTC)
Tree = tuple[str, bool]
"""Rules, each on its line, and the verdict.

A deny begins with `deny`, a comment of its own line with `#`, and a line without `id:` is of its own section. What
follows a line `file NAME` is in another file than `a.yaml`.
"""

USERS = "id: users, to: [authenticated], repositories: ['**'], role: maintainer"
ROBOT = "robots: {ci: }\n"
WORKLOADS = (
    "workloads:\n"
    "  web: {from: github, claims: {repository_id: 74, ref: refs/heads/main}}\n"
    "  prod: {from: github, claims: {repository_id: 74, ref: refs/heads/main, environment: production}}\n"
    "  lab: {from: gitlab, claims: {project_id: 5, ref_protected: true}}\n"
)
READERS = "id: a, to: [authenticated], repositories: [p], role: reader\n"
MIN_TREES = 10


def boundary(trees: Mapping[str, Sequence[Tree]]) -> pytest.MarkDecorator:
    """The parameters `code`, `tree` and `expected`: at least ten trees for each code, on both sides."""
    for code, found in trees.items():
        assert len(found) >= MIN_TREES, code
        assert {expected for _, expected in found} == {True, False}
    return pytest.mark.parametrize(
        ("code", "tree", "expected"),
        [
            pytest.param(code, tree, expected, id=f"{code}-{number}")
            for code, found in trees.items()
            for number, (tree, expected) in enumerate(found)
        ],
    )


def codes(
    folder: Path,
    tree: str,
    *,
    anonymous: bool | None = False,
    have_groups: bool = True,
    unknown_names: UnknownNames | None = None,
    namespaces: Namespaces | None = None,
    presets: Mapping[str, str] | None = None,
    access_keys: bool | None = None,
    budget: Budget | None = None,
) -> list[str]:
    """The codes of what lint finds in these lines."""
    policies, files = _linted(folder, tree)
    policies = replace(policies, namespaces=namespaces)
    found = lint(
        *(policies, files, NOW),
        have_groups=have_groups,
        anonymous=anonymous,
        unknown_names=unknown_names,
        presets=presets,
        access_keys=access_keys,
        budget=budget,
    )
    return [one.code for one in found]


def compiled(folder: Path, tree: str) -> tuple[PolicySet, Rule]:
    """The policies of these lines, and their first rule."""
    policies, _ = _linted(folder, tree)
    return policies, policies.rules[0]


def _linted(folder: Path, tree: str) -> tuple[PolicySet, list[LintedFile]]:
    """The files of these lines, compiled."""
    linted = {}
    for number, part in enumerate(f"\n{tree}".split("\nfile ")):
        name, _, lines = part.partition("\n") if number else ("a.yaml", "", part[1:])
        linted[name] = _file(lines.splitlines())
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(linted[name])
    policies, tests = compile_policies(folder)
    return policies, [
        LintedFile(name, linted[name], one.document, one.tests, one.service)
        for name, one in zip(policies.files, tests, strict=True)
    ]


def _file(lines: Sequence[str]) -> str:
    """The text of a file."""
    sections: dict[str, list[str]] = {"allow": [], "deny": []}
    others = []
    for line in lines:
        if line.startswith("#"):
            sections["allow"].append(f"  {line}")
        elif line.startswith(("id: ", "deny ")):
            rule, mark, comment = line.removeprefix("deny ").partition("  #")
            sections["deny" if line.startswith("deny ") else "allow"].append(f"  - {{{rule}}}{mark}{comment}")
        else:
            others.append(line)
    written = [text for key, found in sections.items() if found for text in (f"{key}:", *found)]
    return "\n".join(["version: 1", *written, *others, ""])
