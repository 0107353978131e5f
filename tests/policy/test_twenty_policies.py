"""The page "Twenty policies that companies have": each loads with its tests, and lint finds only what is meant."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tokenserver.policy.lint.lint import LintedFile, lint
from tokenserver.policy.loading.loader import compile_policies, load_policies

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PAGE = (Path(__file__).parents[2] / "docs" / "twenty-policies.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (\d+)\. .*?\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
SERVICES = frozenset({"registry.example.com", "staging.example.com"})
PRECAUTIONS = {"19": ["TS119"]}
"""Findings that are meant, by section."""


def files(section: str) -> list[tuple[str, str]]:
    """The files of one section: the first is the root file."""
    blocks = re.findall(r"^```yaml(?: ([a-z./-]+))?\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return [(name or "policy.yaml", text) for name, text in blocks]


def test_there_are_twenty() -> None:
    """Numbered without a gap."""
    assert list(SECTIONS) == [str(number) for number in range(1, 21)]


@pytest.mark.parametrize("number", SECTIONS)
def test_a_policy(tmp_path: Path, number: str) -> None:
    """It loads, each file has tests, they pass, and lint finds nothing else than is known."""
    for name, text in files(SECTIONS[number]):
        assert "\ntests:\n" in text
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert load_policies(tmp_path, services=SERVICES, now=NOW).notes == ()
    policies, tests = compile_policies(tmp_path, services=SERVICES)
    linted = [
        LintedFile(name, (tmp_path / name).read_text(encoding="utf-8"), one.document, one.tests, one.service)
        for name, one in zip(policies.files, tests, strict=True)
    ]
    found = lint(policies, linted, NOW, have_groups=True, anonymous=True)
    assert [one.code for one in found] == PRECAUTIONS.get(number, []), found
