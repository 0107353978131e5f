"""Every example of docs/answer-an-auditor.md prints what the page says."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from tokenserver.cli.main import main
from tokenserver.policy.history.kept_snapshots import keep
from tokenserver.policy.loading.loader import compile_texts

PAGE = (Path(__file__).parents[3] / "docs" / "answer-an-auditor.md").read_text(encoding="utf-8")
(EVENTS,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
(POLICY,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SESSIONS = re.findall(r"^```console\n\$ tokenserver ([^\n]*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
(INDEX,) = [command for command, _ in SESSIONS if command.startswith("audit index")]
PIPED = re.findall(r"\\\| tokenserver ([^`]*)`", PAGE)


def test_the_page_has_examples() -> None:
    """The next tests are about something."""
    assert (len(SESSIONS), len(PIPED)) == (9, 3)


@pytest.mark.parametrize(("command", "shown"), SESSIONS, ids=range(len(SESSIONS)))
def test_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, shown: str) -> None:
    """The same lines; column widths do not count."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "audit.jsonl").write_text(EVENTS)
    (tmp_path / "policies").mkdir(mode=0o755)
    (tmp_path / "policies" / "web.yaml").write_text(POLICY)
    (tmp_path / "policies" / "web.yaml").chmod(0o644)
    keep(tmp_path / "kept", compile_texts({"web.yaml": POLICY})[0], datetime(2026, 10, 28, 9, tzinfo=UTC))
    if "--store" in command:
        assert CliRunner().invoke(main, shlex.split(INDEX)).exit_code == 0
    result = CliRunner().invoke(main, shlex.split(command))
    assert result.exit_code == (1 if command.startswith("audit unused") else 0)
    assert [line.split() for line in result.output.splitlines()] == [line.split() for line in shown.splitlines()]


@pytest.mark.parametrize("command", PIPED)
def test_piped(command: str) -> None:
    """Events come in by standard input, also between lines of the log."""
    lines = f"{EVENTS}{json.dumps({'level': 'info'})}\n"
    result = CliRunner().invoke(main, shlex.split(command), input=lines)
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 2)
