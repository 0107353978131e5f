"""Lint of delegations: whose owners users cannot reach."""

from __future__ import annotations

from pathlib import Path

import pytest
from lint_trees import READERS, boundary, codes

from tokenserver.policy.lint.delegations import delegation_findings
from tokenserver.policy.lint.tests import LintedFile
from tokenserver.policy.loading.loader import compile_policies

TEAM = 'version: 1\nallow:\n  - {id: %s, to: [everyone], repositories: ["%s/**"], role: reader}\n'


def findings(folder: Path, *contacts: str) -> list[str]:
    """What lint says about the delegations a, b, … with these contacts."""
    (folder / "teams").mkdir()
    root = "version: 1\ndelegate:\n"
    for name, contact in zip("abc", contacts, strict=False):
        more = f", contact: {contact}" if contact else ""
        root += f'  - {{file: teams/{name}.yaml, repositories: ["{name}/**"], actions: [pull]{more}}}\n'
        (folder / "teams" / f"{name}.yaml").write_text(TEAM % (name, name))
    (folder / "root.yaml").write_text(root)
    policies, tests = compile_policies(folder)
    linted = [
        LintedFile(name, (folder / name).read_text(), one.document, one.tests, one.service)
        for name, one in zip(policies.files, tests, strict=True)
    ]
    return [f"{file}:{line} {code} {text}" for file, line, code, text in delegation_findings(policies, linted)]


@pytest.mark.parametrize(
    ("contacts", "expected"),
    [
        pytest.param(["", ""], [], id="none"),
        pytest.param(["a@example.com", "b@example.com"], [], id="all"),
        pytest.param(
            ["a@example.com", "", "c@example.com"],
            [
                (
                    "root.yaml:4 TS117 b/** is delegated without a contact, unlike other delegations;"
                    " fix: add contact: to the entry"
                ),
            ],
            id="all but one",
        ),
    ],
)
def test_contacts(tmp_path: Path, contacts: list[str], expected: list[str]) -> None:
    """Contacts are optional; forgetting one where others are given is a finding at its line."""
    assert findings(tmp_path, *contacts) == expected


def test_a_file_that_is_not_linted(tmp_path: Path) -> None:
    """Only what was asked for is reported."""
    assert findings(tmp_path, "a@example.com", "") != []
    policies, _ = compile_policies(tmp_path)
    assert list(delegation_findings(policies, [])) == []


def entry(name: str, more: str = "", *, repositories: str = "") -> str:
    """An entry for a file."""
    return f"{{file: teams/{name}.yaml, repositories: [{repositories or name}], actions: [pull]{more}}}"


def files(*names: str) -> str:
    """These files, each with a rule."""
    return "".join(
        f"\nfile teams/{one}.yaml\nid: {one}, to: [everyone], repositories: [{one}], role: reader" for one in names
    )


CONTACT = ", contact: us"
DELEGATE = READERS + "delegate: [{}]"
NO_CONTACT = [
    (DELEGATE.format(entry("x")) + files("x"), False),
    (DELEGATE.format(entry("x", CONTACT)) + files("x"), False),
    (DELEGATE.format(f"{entry('x')}, {entry('y')}") + files("x", "y"), False),
    (DELEGATE.format(f"{entry('x', CONTACT)}, {entry('y')}") + files("x", "y"), True),
    (DELEGATE.format(f"{entry('x')}, {entry('y', CONTACT)}") + files("x", "y"), True),
    (DELEGATE.format(f"{entry('x', CONTACT)}, {entry('y', CONTACT)}") + files("x", "y"), False),
    (DELEGATE.format(f"{entry('x', CONTACT)}, {entry('y', CONTACT)}, {entry('z')}") + files("x", "y", "z"), True),
    (DELEGATE.format(f"{entry('x', ', max_lifetime: 60')}, {entry('y', CONTACT)}") + files("x", "y"), True),
    (
        DELEGATE.format(entry("x", CONTACT)) + f"\nfile b.yaml\ndelegate: [{entry('y')}]" + files("x", "y"),
        True,
    ),
    (
        DELEGATE.format(entry("x", CONTACT)) + f"\nfile b.yaml\ndelegate: [{entry('y', CONTACT)}]" + files("x", "y"),
        False,
    ),
    (READERS, False),
]


@boundary({"TS117": NO_CONTACT})
def test_boundary(tmp_path: Path, code: str, tree: str, expected: bool) -> None:
    """The code is reported for exactly those trees that have its fault."""
    assert (code in codes(tmp_path, tree)) is expected
