"""`tokenserver import verify`: what is compared, printed and answered."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from site_commands import Run

from tokenserver.cli import main

CONFIG = """\
server: {addr: ":5001"}
token: {issuer: us, expiration: 900}
users:
  "": {}
  admin: {password: "$2y$05$LO.vzwpWC5LZGqThvEfznu8qhb5SGqvBSWY1J3yZ4AxtMRZ3kN5jC"}
  open: {}
acl:
  - match: {account: admin}
    actions: ["*"]
  - match: {account: open}
    actions: [pull]
  - match: {account: "", name: "public/*", service: registry.example.com}
    actions: [pull]
"""


@pytest.fixture(scope="module")
def moved_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration of docker_auth, and the site that it was imported to, which no test changes."""
    folder = tmp_path_factory.mktemp("moved")
    (folder / "auth.yml").write_text(CONFIG)
    arguments = ["import", "docker-auth", str(folder / "auth.yml"), str(folder / "site")]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    return folder


@pytest.fixture
def moved(moved_once: Path, tmp_path: Path) -> Path:
    """A configuration of docker_auth that was imported."""
    shutil.copytree(moved_once, tmp_path, dirs_exist_ok=True)
    return tmp_path


def _verify(run: Run, *options: str | Path) -> tuple[int, str]:
    result = run("import", "verify", "--docker-auth", "auth.yml", "--with", "site", *options)
    return result.exit_code, result.stdout + result.stderr


@pytest.mark.usefixtures("moved")
def test_they_agree(run: Run) -> None:
    """But for what is announced: nobody can log in as a user without a password."""
    code, output = _verify(run, "--random", "500", "--seed", "7")
    assert code == 0, output
    assert "500 requests compared: 0 differ" in output


def test_a_rule_that_is_not_theirs(run: Run, moved: Path) -> None:
    """It is a difference, which nothing announces."""
    policies = moved / "site" / "policies"
    without_tests = (policies / "acl.yaml").read_text().partition("\ntests:")[0] + "\n"
    (policies / "acl.yaml").write_text(without_tests)  # which would not let the rule in
    (policies / "more.yaml").write_text(
        'version: 1\nallow:\n  - {id: x, to: [everyone], repositories: ["**"], role: writer}\n'
    )
    code, output = _verify(run, "--random", "300")
    assert code == 1
    assert "DIFFERENT: " in output
    assert "more; --json prints all" in output
    code, output = _verify(run, "--random", "300", "--json")
    lines = [json.loads(line) for line in output.splitlines()]
    assert len(lines) > 20
    assert not any(line["announced"] for line in lines if set(line["here"]) - set(line["docker_auth"]))


def test_recorded_requests(run: Run, moved: Path) -> None:
    """They alone, unless others are wanted; lines without one are counted."""
    line = {"account": "admin", "name": "a/b", "actions": ["pull"], "service": "registry.example.com"}
    (moved / "log").write_text(f"{json.dumps(line)}\nhello\n")
    code, output = _verify(run, "--requests", "log")
    assert code == 0
    assert "log: 1 skipped: no JSON" in output
    assert "1 requests compared" in output
    assert "11 requests compared" in _verify(run, "--requests", "log", "--random", "10")[1]


def test_no_requests(run: Run, moved: Path) -> None:
    """In the file."""
    (moved / "log").write_text("hello\n")
    code, output = _verify(run, "--requests", "log")
    assert code == 2
    assert "log has no request that can be compared" in output


def test_other_sources_of_rules(run: Run, moved: Path) -> None:
    """What they decide is not compared."""
    (moved / "auth.yml").write_text(CONFIG + "ext_authz: {command: /bin/x}\n")
    code, output = _verify(run, "--random", "200")
    assert code == 0, output
    assert "are decided by sources that are not in the file" in output
