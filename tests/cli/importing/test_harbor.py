"""`tokenserver import harbor`, and docs/move-from-harbor.md: its script and its commands, one after the other."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from fake_harbor import LOGIN, fake_harbor
from harbor_exports import access, content, harbor_export, member, permission, project, robot
from site_commands import Run

from tokenserver.cli import main

PAGE = (Path(__file__).parents[3] / "docs" / "move-from-harbor.md").read_text("utf-8")
(SCRIPT,) = re.findall(r"^```sh export-harbor\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^(tokenserver .*)$", PAGE, re.MULTILINE)

EXPORT = harbor_export(
    [project(1, "web"), project(2, "base", public=True, auto_scan="true")],
    {1: [member("ann", 2), member("devs", 1, "g", 7)]},
    users=[{"username": "ann", "sysadmin_flag": False}, {"username": "root", "sysadmin_flag": True}],
    usergroups=[{"id": 7, "group_name": "devs", "group_type": 1, "ldap_group_dn": "cn=web-devs,dc=example"}],
    robots=[
        robot("robot$deploy", permission("*", access("repository:pull")), level="system"),
        robot("robot$web+ci", permission("web", access("repository:pull", "repository:push", "scan:create"))),
    ],
    configurations={"auth_mode": {"value": "db_auth", "editable": True}},
    immutabletagrules={"1": [{"id": 1, "disabled": False, "action": "immutable"}], "2": []},
)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """The export of a small Harbor."""
    (tmp_path / "harbor.json").write_bytes(content(EXPORT))
    return tmp_path / "harbor.json"


def why(run: Run, action: str, repository: str, *who: str) -> bool:
    """Whether the policies of the new site allow it."""
    result = run("policy", "why", action, repository, *who, "--config", "site/tokenserver.yaml")
    assert result.exit_code in (0, 1), result.stderr
    return result.exit_code == 0


def test_a_site(run: Run, exported: Path, tmp_path: Path) -> None:
    """It starts, and grants what Harbor granted."""
    result = run("import", "harbor", exported, "site")
    assert result.exit_code == 0, result.stderr
    assert run("check", "--config", "site/tokenserver.yaml").exit_code == 0
    assert yaml.safe_load((tmp_path / "site" / "tokenserver.yaml").read_text())["anonymous"] is True
    assert why(run, "push", "web/x", "--user", "ann")
    assert not why(run, "delete", "web/x", "--user", "ann")
    assert why(run, "delete", "web/x", "--user", "bob", "--group", "web-devs")
    assert why(run, "push", "web/x", "--robot", "web.ci")
    assert not why(run, "push", "web/x", "--robot", "deploy")
    assert why(run, "pull", "base/x", "--anonymous")
    assert "Give 2 users a password: tokenserver users set NAME --file site/users.htpasswd" in result.stdout
    assert "Give 2 robots a secret" in result.stdout
    assert "images are scanned when they are pushed" in result.stdout
    assert "tags cannot be changed, by rules" in result.stdout


def test_a_directory(run: Run, exported: Path, tmp_path: Path) -> None:
    """Its settings are a comment to complete, and nobody needs a password."""
    settings = {"auth_mode": {"value": "ldap_auth"}, "ldap_url": {"value": "ldaps://ldap.example.com"}}
    exported.write_bytes(content({**EXPORT, "configurations": settings}))
    result = run("import", "harbor", exported, "site", "--json")
    report = json.loads(result.stdout)
    assert not any("a password" in step for step in report["next"])
    assert "  #     url: ldaps://ldap.example.com\n" in (tmp_path / "site" / "tokenserver.yaml").read_text()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param(b"{", "harbor.json: is not JSON", id="broken"),
        pytest.param(b'{"projects": [], "projects": []}', "has a duplicate member", id="twice"),
        pytest.param(b'{"errors": [{"code": "UNAUTHORIZED"}]}', "is an error of Harbor's API", id="an error"),
        pytest.param(content(harbor_export()), "grants nothing to anybody", id="empty"),
        pytest.param(content({**EXPORT, "members": {}}), "members.1: is missing", id="incomplete"),
    ],
)
def test_refused(run: Run, exported: Path, tmp_path: Path, text: bytes, fault: str) -> None:
    """With a fault, and nothing is written."""
    exported.write_bytes(text)
    result = run("import", "harbor", exported, "site")
    assert (result.exit_code, fault in result.stderr) == (2, True), result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["harbor.json"]


def test_too_large(run: Run, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not read."""
    monkeypatch.setattr("tokenserver.cli.importing.exports.MAX_EXPORT", 100)
    assert "is larger than 100 bytes" in run("import", "harbor", exported, "site").stderr


def test_the_script_of_the_page(tmp_path: Path) -> None:
    """It makes the export from the API, whole lists in pages, and fails if any answer is an error."""
    for program in ("curl", "jq", "sh"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    many = [{"username": f"user{number}", "sysadmin_flag": False} for number in range(200)]
    export: dict[str, Any] = {**EXPORT, "users": [*EXPORT["users"], *many]}
    (tmp_path / "export-harbor.sh").write_text(SCRIPT)
    with fake_harbor(export) as port:
        user, _, password = LOGIN.partition(":")
        (tmp_path / "harbor.netrc").write_text(f"machine 127.0.0.1 login {user} password {password}\n")
        command = ["sh", "export-harbor.sh", f"http://127.0.0.1:{port}"]
        done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout) == export
        (tmp_path / "harbor.netrc").write_text(f"machine 127.0.0.1 login {user} password wrong\n")
        done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60)
        assert (done.returncode != 0, done.stdout) == (True, "")
    with fake_harbor({**export, "members": {}}) as port:
        (tmp_path / "harbor.netrc").write_text(f"machine 127.0.0.1 login {user} password {password}\n")
        command = ["sh", "export-harbor.sh", f"http://127.0.0.1:{port}"]
        done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60)
        assert (done.returncode != 0, done.stdout) == (True, "")


def test_the_commands_of_the_page(run: Run, exported: Path) -> None:
    """Each works as it is written, in its order."""
    assert len(COMMANDS) == 8
    for command in COMMANDS:
        _, *words = shlex.split(command)
        result = CliRunner().invoke(main, words, input="twelve chars")
        assert (command, result.exit_code) == (command, 0), result.stderr
