"""Trees around the boundary of a lint code: where it is reported, and where one word more makes it go away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tokenserver.policy.lint.lint import LintedFile, lint
from tokenserver.policy.loading.loader import compile_policies

NOW = datetime(2026, 6, 1, tzinfo=UTC)
Tree = tuple[str, bool]
"""Rules, each on its line (a deny begins with `deny`, a line without `id:` is of its own section), and the verdict."""

USERS = "id: users, to: [authenticated], repositories: ['**'], role: maintainer"
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


def codes(folder: Path, tree: str, *, anonymous: bool | None = False) -> list[str]:
    """The codes of what lint finds in these lines."""
    lines = tree.splitlines()
    text = "version: 1\n"
    rules = [line for line in lines if line.startswith("id: ")]
    denies = [line.removeprefix("deny ") for line in lines if line.startswith("deny ")]
    for key, found in (("allow", rules), ("deny", denies)):
        text += f"{key}:\n" + "".join(f"  - {{{line}}}\n" for line in found) if found else ""
    text += "".join(f"{line}\n" for line in lines if not line.startswith(("id: ", "deny ")))
    (folder / "a.yaml").write_text(text)
    policies, tests = compile_policies(folder)
    linted = [LintedFile("a.yaml", text, tests[0].document, tests[0].tests, tests[0].service)]
    return [one.code for one in lint(policies, linted, NOW, have_groups=True, anonymous=anonymous)]
