"""The story of docs/from-one-team-to-fifty.md, told in its order: every file is written, every command run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from tokenserver.cli import main
from tokenserver.config.load import load_settings
from tokenserver.policy.loading.loader import load_policies

PAGE = (Path(__file__).parents[2] / "docs" / "from-one-team-to-fifty.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(yaml|console)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, in which files come out as a checkout makes them."""
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o022)
    yield tmp_path
    os.umask(before)


def ran(command: str) -> list[str]:
    """The lines that a command prints, on both channels, without blanks at their ends."""
    program, *arguments = shlex.split(command)
    if program == "tokenserver":
        output = CliRunner().invoke(main, arguments).output
    else:
        done = subprocess.run([program, *arguments], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output = done.stdout.decode()
    return [line.rstrip() for line in output.splitlines()]


def test_no_example_is_left_out() -> None:
    """Every block of the page is a file with its name or a session."""
    blocks = [(kind, name) for kind, name, _ in BLOCK.findall(PAGE)]
    assert len(blocks) == len(re.findall("^```", PAGE, re.MULTILINE)) // 2 >= 20
    assert [kind for kind, name in blocks if (kind == "yaml") is not bool(name)] == []


def test_the_story_from_its_beginning_to_its_end(company: Path) -> None:
    """Each command prints what the page says; a last line `…` stands for more. At the end all of it loads."""
    for kind, name, text in BLOCK.findall(PAGE):
        if kind == "yaml":
            Path(name).parent.mkdir(exist_ok=True, parents=True)
            Path(name).write_text(text, encoding="utf-8")
            continue
        for command, shown in COMMAND.findall(text):
            expected, printed = shown.splitlines(), ran(command)
            if expected[-1:] == ["…"]:
                expected.pop()
                del printed[len(expected) :]
            assert (command, printed) == (command, expected)
    services = frozenset({"registry.example.com", "staging.example.com"})
    now = datetime(2026, 6, 1, tzinfo=UTC)
    assert load_policies(company / "policies", services=services, now=now).rule_count == 14
    assert load_policies(company / "proposal", services=services, now=now).rule_count == 15


def test_the_configuration_of_the_page_is_one(company: Path) -> None:
    """With the candidate beside the live policies."""
    (text,) = (text for _, name, text in BLOCK.findall(PAGE) if name == "tokenserver.yaml")
    path = company / "tokenserver.yaml"
    path.write_text(text)
    settings = load_settings(path, {})
    assert (settings.policies, settings.shadow_policies) == (company / "policies", company / "proposal")
