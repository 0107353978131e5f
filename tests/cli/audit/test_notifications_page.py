"""Every example of docs/registry-notifications.md does what the page says."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import canaries
import pytest
import yaml
from click.testing import CliRunner
from registries_commands import Site

from tokenserver.cli.main import main
from tokenserver.server.notifications.secret_files import secrets_in

PAGE = (Path(__file__).parents[3] / "docs" / "registry-notifications.md").read_text(encoding="utf-8")
(EVENTS,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
(ENTRY,) = re.findall(r"^   ```yaml\n(.*?)^   ```$", PAGE, re.MULTILINE | re.DOTALL)
MAKE, PRINT = (one.strip() for one in re.findall(r"^   ```sh\n(.*?)^   ```$", PAGE, re.MULTILINE | re.DOTALL))
((COMMAND, SHOWN),) = re.findall(r"^```console\n\$ tokenserver ([^\n]*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
(SEARCH,) = re.findall(r"`tokenserver (audit search [^`]*)`", PAGE)


@pytest.fixture
def trail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The events of the page, here."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "audit.jsonl").write_text(EVENTS)


@pytest.mark.usefixtures("trail")
def test_who_did_it() -> None:
    """The same lines; column widths do not count."""
    result = CliRunner().invoke(main, shlex.split(COMMAND))
    assert result.exit_code == 0
    assert [line.split() for line in result.output.splitlines()] == [line.split() for line in SHOWN.splitlines()]
    allowed = CliRunner().invoke(main, shlex.split(COMMAND.replace(" --really", ""))).stdout
    assert [line.split()[0] for line in allowed.splitlines()[1:]] == ["bob", "ann"]


@pytest.mark.usefixtures("trail")
def test_the_last_report() -> None:
    """It is found by the sort of event."""
    result = CliRunner().invoke(main, shlex.split(SEARCH))
    assert "push web/prod/site 4.3" in result.stdout
    assert "mallory" in result.stdout


def test_setting_it_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret, the entry and the printed section fit each other."""
    monkeypatch.chdir(tmp_path)
    site = Site(tmp_path)
    subprocess.run(["sh", "-c", MAKE], check=True, cwd=tmp_path)
    (secret,) = secrets_in(tmp_path / "reports.secret")
    canaries.know(secret.reveal())
    entries = yaml.safe_load(ENTRY)["registries"]
    site.write(*(yaml.safe_dump(entry, default_flow_style=True).strip() for entry in entries))
    result = site.run(*shlex.split(PRINT.removeprefix("tokenserver ")))
    assert result.exit_code == 0, result.stderr
    (endpoint,) = yaml.safe_load(result.stdout)["notifications"]["endpoints"]
    assert endpoint["url"] == "https://auth.example.com/notifications/registry.example.com"
    assert endpoint["headers"] == {"Authorization": [f"Bearer {secret.reveal()}"]}
