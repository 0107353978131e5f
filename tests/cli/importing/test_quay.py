"""`tokenserver import quay`, and docs/move-from-quay.md: its script and its commands, one after the other."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from fake_quay import TOKEN, fake_quay
from quay_exports import content, member, organization, permissions, prototype, quay_export, repository, user
from site_commands import Run

from tokenserver.cli import main

PAGE = (Path(__file__).parents[3] / "docs" / "move-from-quay.md").read_text("utf-8")
(SCRIPT,) = re.findall(r"^```sh export-quay\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^(tokenserver .*)$", PAGE, re.MULTILINE)
PATHS = ("web/shop", "web/api", "web/docs", "data/lake", "ann/x")

EXPORT = quay_export(
    organizations=[organization("web", owners="admin", devs="member"), organization("data", owners="admin")],
    members={"web/owners": [member("ann")], "web/devs": [member("bob"), member("web+ci")], "data/owners": []},
    repositories=[repository(path, public=path == "web/docs") for path in PATHS],
    permissions={
        path: permissions({"web+ci": "read"}, {"devs": "write"} if path == "web/shop" else {}) for path in PATHS
    },
    robots={"web": [{"name": "web+ci", "description": "builds"}], "data": []},
    prototypes={"web": [prototype("devs", "read", "team")], "data": []},
    users=[user("ann", superuser=True), user("bob")],
)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """The export of a small Quay."""
    (tmp_path / "quay.json").write_bytes(content(EXPORT))
    return tmp_path / "quay.json"


@pytest.mark.parametrize(
    ("who", "action", "path", "is_allowed"),
    [
        pytest.param(["--user", "ann"], "delete", "web/new", True, id="administrator of an organization"),
        pytest.param(["--user", "bob"], "push", "web/shop", True, id="write"),
        pytest.param(["--user", "bob"], "push", "web/api", False, id="another repository"),
        pytest.param(["--user", "bob"], "pull", "web/new", True, id="default permission"),
        pytest.param(["--robot", "web.ci"], "pull", "data/lake", True, id="robot"),
        pytest.param(["--anonymous"], "pull", "web/docs", True, id="public"),
        pytest.param(["--anonymous"], "pull", "web/shop", False, id="private"),
    ],
)
def test_a_site(run: Run, exported: Path, who: list[str], action: str, path: str, is_allowed: bool) -> None:
    """It starts, and grants what Quay granted."""
    result = run("import", "quay", exported, "site")
    assert result.exit_code == 0, result.stderr
    why = run("policy", "why", action, path, *who, "--config", "site/tokenserver.yaml")
    assert (why.exit_code, why.stderr) == (0 if is_allowed else 1, "")


def test_robots_as_users(run: Run, exported: Path) -> None:
    """They keep their names, and need passwords."""
    report = json.loads(run("import", "quay", exported, "site", "--robots", "users", "--json").stdout)
    assert report["next"][0].startswith("Give 3 users a password: ")
    assert {"user:web+ci"} in [set(one.get("became", ())) for one in report["constructs"]]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param(b"[]", "quay.json: is not a JSON object", id="broken"),
        pytest.param(content(quay_export()), "grants nothing to anybody", id="empty"),
        pytest.param(content({**EXPORT, "members": {}}), "members.web/owners: is missing", id="incomplete"),
    ],
)
def test_refused(run: Run, exported: Path, tmp_path: Path, text: bytes, fault: str) -> None:
    """With a fault, and nothing is written."""
    exported.write_bytes(text)
    result = run("import", "quay", exported, "site")
    assert (result.exit_code, fault in result.stderr) == (2, True), result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["quay.json"]


def test_the_script_of_the_page(tmp_path: Path) -> None:
    """It makes the export from the API, whole lists in pages, and fails if any answer is an error."""
    for program in ("curl", "jq", "sh"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    (tmp_path / "export-quay.sh").write_text(SCRIPT)
    with fake_quay(EXPORT) as port:
        command = ["sh", "export-quay.sh", f"http://127.0.0.1:{port}"]
        (tmp_path / "quay.curl").write_text(f'header = "Authorization: Bearer {TOKEN}"\n')
        done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout) == EXPORT
        (tmp_path / "quay.curl").write_text('header = "Authorization: Bearer wrong"\n')
        done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60)
        assert (done.returncode != 0, done.stdout) == (True, "")
    with fake_quay({**EXPORT, "members": {}}) as port:
        (tmp_path / "quay.curl").write_text(f'header = "Authorization: Bearer {TOKEN}"\n')
        command = ["sh", "export-quay.sh", f"http://127.0.0.1:{port}"]
        done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60)
        assert (done.returncode != 0, done.stdout) == (True, "")


def test_the_commands_of_the_page(run: Run, exported: Path) -> None:
    """Each works as it is written, in its order."""
    assert len(COMMANDS) == 4
    for command in COMMANDS:
        _, *words = shlex.split(command)
        result = CliRunner().invoke(main, words, input="twelve chars")
        assert (command, result.exit_code) == (command, 0), result.stderr
