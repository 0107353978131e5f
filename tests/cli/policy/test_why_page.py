"""Every example of docs/why-and-who.md says what the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from tokenserver.cli import main

PAGE = (Path(__file__).parents[3] / "docs" / "why-and-who.md").read_text(encoding="utf-8")
(POLICY,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
(TESTS,) = re.findall(r"^```yaml tests\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SESSIONS = re.findall(r"^```console\n\$ tokenserver ([^\n]*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's policy file, in a folder below the working one."""
    path = tmp_path / "policies"
    path.mkdir(mode=0o755)
    (path / "web.yaml").write_text(POLICY)
    (path / "web.yaml").chmod(0o644)
    monkeypatch.chdir(tmp_path)
    return path


def test_the_page_has_examples() -> None:
    """The next test is about something."""
    assert len(SESSIONS) >= 8


@pytest.mark.parametrize(("command", "shown"), SESSIONS, ids=range(len(SESSIONS)))
def test_example(folder: Path, command: str, shown: str) -> None:
    """The output has the lines of the page in this order; `…` stands for any others, column widths do not count.

    Notes on standard error are part of the page.
    """
    result = CliRunner().invoke(main, shlex.split(command))
    assert set(result.stderr.splitlines()) <= set(shown.splitlines())
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    position = 0
    may_skip = False
    for line in (" ".join(line.split()) for line in shown.splitlines()):
        if line == "…":
            may_skip = True
            continue
        position = lines.index(line, position) if may_skip else position
        assert lines[position : position + 1] == [line]
        position, may_skip = position + 1, False
    assert may_skip or lines[position:] == []


def test_the_tests_of_the_page_pass(folder: Path) -> None:
    """Given with --tests."""
    path = folder.parent / "audit.yaml"
    path.write_text(TESTS)
    path.chmod(0o644)
    result = CliRunner().invoke(main, ["policy", "test", "--policies", str(folder), "--tests", str(path)])
    assert (result.exit_code, result.stdout) == (0, "4 tests in 2 files: 4 passed, 0 failed\n")
