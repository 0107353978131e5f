"""A team's test that the company's change breaks: where it shows, in the running server and in each command."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask.testing import FlaskClient
from policy_files import COMPANY, company_deny, team_file
from tests_web_server import make_server, server_folder

from tokenserver.cli import main
from tokenserver.config.load import load_settings
from tokenserver.policy.loading.gating import MAX_NOTES
from tokenserver.server.compose import build
from tokenserver.server.running import RunningServer
from tokenserver.web.application import application

__all__ = ["server_folder"]

DENY = company_deny("ann", "web/**")
WEB = team_file("ann")
SENTENCE = (
    "teams/web.yaml:5: tests[0].can[0]: test failed: expected that user ann can push web/x, "
    "but it is forbidden by no-ann (company.yaml:7)"
)


@pytest.fixture
def config(server_folder: Path, tmp_path: Path) -> Path:
    """The configuration of a server whose policies are these two files; users and keys are the session's."""
    make_server(server_folder)
    path = tmp_path / "tokenserver.yaml"
    text = (server_folder / "tokenserver-True-1.yaml").read_text()
    text = text.replace("users.htpasswd", f"{server_folder}/users.htpasswd")
    write(path, text.replace("keys: keys", f"keys: {server_folder}/keys"))
    (tmp_path / "policies" / "teams").mkdir(mode=0o755, parents=True)
    write(tmp_path / "policies" / "company.yaml", COMPANY)
    write(tmp_path / "policies" / "teams" / "web.yaml", WEB)
    return path


def write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o644)


def ready(parts: RunningServer) -> tuple[int, dict[str, object]]:
    client: FlaskClient = application(parts).test_client()
    answer = client.get("/readyz")
    content = answer.get_json()
    assert isinstance(content, dict)
    return answer.status_code, content.get("notes", {})


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--config", str(config)])


def test_the_deny_goes_live_and_says_so(config: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Logged with the failure, in `/readyz` with the place only; the server is ready."""
    parts = build(load_settings(config, {}))
    assert ready(parts) == (200, {})
    write(config.parent / "policies" / "company.yaml", COMPANY + DENY)
    with caplog.at_level(logging.WARNING, "tokenserver"):
        assert [parts.live.look(), parts.live.look()] == [False, True]
    assert any(SENTENCE in record.getMessage() for record in caplog.records)
    note = "tests of delegated files fail (policies/teams/web.yaml:5); see the log, or run: policy test"
    assert ready(parts) == (200, {"policies": note})
    write(config.parent / "policies" / "teams" / "web.yaml", WEB.replace("can:", "cannot:"))
    assert [parts.live.look(), parts.live.look()] == [False, True]
    assert ready(parts) == (200, {})


def test_a_restart_is_no_exit_code_2(config: Path) -> None:
    """Caused by another team's change: `check`, like the start, warns and succeeds."""
    write(config.parent / "policies" / "company.yaml", COMPANY + DENY)
    checked = run(config, "check")
    assert (checked.exit_code, SENTENCE in checked.stderr) == (0, True)
    assert "2 files, tests of delegated files fail, see the warnings" in checked.stdout
    assert any(SENTENCE in one for one in json.loads(run(config, "check", "--json").stdout)["warnings"])
    assert "all tests pass" not in checked.stdout
    assert ready(build(load_settings(config, {})))[0] == 200
    write(config.parent / "policies" / "company.yaml", COMPANY + "tests:\n  - {as: anonymous, can: [pull base/x]}\n")
    assert run(config, "check").exit_code == 2


def test_commands_tell_it(config: Path) -> None:
    """`policy test` fails, and `policy lint` has a code that can be silenced."""
    company, team = config.parent / "policies" / "company.yaml", config.parent / "policies" / "teams" / "web.yaml"
    assert run(config, "policy", "lint").stdout == ""
    write(company, COMPANY + DENY)
    tested = run(config, "policy", "test")
    assert (tested.exit_code, f"{team}:5" in tested.stdout) == (1, True)
    linted = run(config, "policy", "lint", "--json")
    assert linted.exit_code == 1
    found = {one["code"]: one for one in json.loads(linted.stdout)}
    assert (found["TS115"]["file"], found["TS115"]["line"]) == (str(team), 5)
    assert found["TS115"]["text"] == SENTENCE.partition(": tests[0].can[0]: ")[2]
    write(team, WEB.replace("web/x]}", "web/x]}  # lint: ignore TS115 because we talk about it"))
    codes = [one["code"] for one in json.loads(run(config, "policy", "lint", "--json").stdout)]
    assert "TS115" not in codes
    assert "TS202" not in codes
    write(team, WEB)
    write(company, COMPANY + "tests:\n  - {as: anonymous, can: [pull base/x]}\n")
    assert "TS115" not in run(config, "policy", "lint").stdout  # a root file's failing test refuses the load instead


def test_many_notes_are_counted(config: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log is not filled by one team's file."""
    tests = "".join(f"  - {{as: {{user: ann}}, can: [push web/x{number}]}}\n" for number in range(MAX_NOTES + 5))
    write(config.parent / "policies" / "teams" / "web.yaml", WEB + tests)
    parts = build(load_settings(config, {}))
    write(config.parent / "policies" / "company.yaml", COMPANY + DENY)
    with caplog.at_level(logging.WARNING, "tokenserver"):
        assert [parts.live.look(), parts.live.look()] == [False, True]
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("policies: ")]
    assert (len(told), told[-1]) == (MAX_NOTES + 1, "policies: and 6 more; run: policy test")
