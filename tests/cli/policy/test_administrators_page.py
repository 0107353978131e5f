"""docs/administrators.md: its policy loads, and its commands say what the page says."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from policy_folders import NOW

from tokenserver.cli import main
from tokenserver.identity import Identity, Kind
from tokenserver.policy.administration import is_administrator, may_manage_robot
from tokenserver.policy.loading.loader import load_policies

PAGE = (Path(__file__).parents[3] / "docs" / "administrators.md").read_text(encoding="utf-8")
(POLICY,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
(COMMANDS,) = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's policy file, in a folder below the working one."""
    path = tmp_path / "policies"
    path.mkdir(mode=0o755)
    (path / "company.yaml").write_text(POLICY)
    monkeypatch.chdir(tmp_path)
    return path


def run(command: str, *more: str) -> Result:
    """A command of the page."""
    name, *arguments = shlex.split(command)
    assert name == "tokenserver"
    return CliRunner().invoke(main, [*arguments, *more])


def test_the_policy(policies: Path) -> None:
    """Those whom the page names administer, and the owners manage their robot."""
    loaded = load_policies(policies, now=NOW)
    ann, otto, dora = (Identity(name, Kind.PASSWORD) for name in ("ann", "otto", "dora"))
    assert (is_administrator(loaded, ann), is_administrator(loaded, otto)) == (True, True)
    web = Identity("will", Kind.PASSWORD, groups=frozenset({"web"}))
    robots = ("ci-web", "terraform")
    assert [may_manage_robot(loaded, web, robot) for robot in robots] == [True, False]
    assert [may_manage_robot(loaded, dora, robot) for robot in robots] == [False, False]


def test_the_commands(policies: Path) -> None:
    """They say who administers, who becomes an administrator, and which group does not exist."""
    (what_can, diff, lint) = COMMANDS.splitlines()
    git = ("git", "-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    for arguments in (("init", "-q"), ("add", "--all"), ("commit", "-q", "-m", "x")):
        subprocess.run([*git, *arguments], check=True, capture_output=True)
    assert "user:otto is an administrator, by group:ops" in run(what_can, "--policies", "policies").stderr
    (policies / "company.yaml").write_text(POLICY.replace("otto", "nina"))
    compared = run(diff)
    assert compared.exit_code == 4
    assert re.search(r"added +user:nina +group:ops\n", compared.stdout)
    (policies / "company.yaml").write_text(POLICY.replace("groups:\n  ops", "groups:\n  unused"))
    assert "TS120" in run(lint, "--policies", "policies").stdout
