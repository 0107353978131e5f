"""Lint of delegations: whose owners users cannot reach."""

from __future__ import annotations

from pathlib import Path

import pytest

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
