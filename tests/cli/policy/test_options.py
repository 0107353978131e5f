"""The options that all policy commands share: where policies come from, and for which registry."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from policy_commands import POLICY, Run, facts, write

from tokenserver.cli import main


def test_a_policy_whose_tests_fail_can_be_asked(run: Run, folder: Path) -> None:
    """That is when one needs to know why."""
    write(folder / "web.yaml", POLICY.replace("can: [push web/prod/x]", "cannot: [push web/prod/x]"))
    assert run("why", "push", "web/prod/x", "--user", "bob").exit_code == 0


def test_a_registry_must_be_chosen_where_it_matters(run: Run, folder: Path) -> None:
    """Rules for several registries: the question must say which."""
    for name in ("one", "two"):
        rule = f"{{id: in-{name}, to: [everyone], repositories: [x], role: reader}}"
        write(folder / f"{name}.yaml", f"version: 1\nregistries: [{name}]\nallow: [{rule}]\n")
    result = run("who-can", "pull", "x")
    assert (result.exit_code, "--service: one, two" in result.stderr) == (2, True)
    assert run("who-can", "pull", "x", "--service", "one").exit_code == 0
    assert run("who-can", "pull", "x", "--service", "three").exit_code == 1


def test_an_unknown_registry_is_refused(site: Path) -> None:
    """With a configuration it is known which there are."""
    arguments = ["policy", "who-can", "pull", "x", "--config", str(site), "--service", "regist"]
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, "no registry 'regist' is configured" in result.stderr) == (2, True)


def test_one_source_of_policies(run: Run, site: Path) -> None:
    """A configuration or a folder."""
    assert run("test", "--config", site).exit_code == 2


def test_faulty_policies(run: Run, folder: Path) -> None:
    """Every command: exit code 2 and each fault with its place."""
    write(folder / "web.yaml", "version: 1\nalow: []\n")
    for arguments in (["test"], ["why", "pull", "a", "--user", "x"], ["who-can", "pull", "a"], ["matrix"]):
        result = run(*arguments)
        assert (result.exit_code, "web.yaml:2: alow: unknown key" in result.stderr) == (2, True)


@pytest.fixture
def revised(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder in a repository: in the first commit as it is, then with a rule less. The hash of the first one."""
    monkeypatch.chdir(folder.parent)

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "--quiet", "--initial-branch=main")
    git("add", "--all")
    git("commit", "--quiet", "--message", "x")
    lines = [line for line in POLICY.splitlines() if "id: web-developers" not in line and "push web/prod/x" not in line]
    write(folder / "web.yaml", "\n".join([*lines, ""]))
    git("commit", "--quiet", "--all", "--message", "y")
    return git("rev-parse", "--short=12", "HEAD~1")


@pytest.mark.parametrize(
    ("arguments", "before"),
    [
        pytest.param(
            ["why", "push", "web/app", "--user", "bob", "--at", "2026-01-01"], "allowed by web-developers", id="why"
        ),
        pytest.param(["who-can", "push", "web/app"], "group:web        bob", id="who-can"),
        pytest.param(["what-can", "group:web"], "web-developers (web.yaml:5)", id="what-can"),
        pytest.param(["matrix", "--repositories", "web/app"], "group:web      pP", id="matrix"),
    ],
)
def test_the_policies_of_a_revision(run: Run, revised: str, arguments: list[str], before: str) -> None:
    """With --git REV; standard error says which, by its name and commit."""
    now, then = run(*arguments), run(*arguments, "--git", "HEAD~1")
    assert (before in now.stdout, before in then.stdout) == (False, True), then.output
    assert then.stderr == f"policies of HEAD~1 ({revised}), not those in the folder\n"
    assert run(*arguments, "--git", "HEAD").stdout == now.stdout


def test_the_revision_as_data(run: Run, revised: str) -> None:
    """With --json, where the answer is one object."""
    for arguments in (["why", "push", "web/app", "--user", "bob"], ["who-can", "push", "web/app"]):
        result = run(*arguments, "--git", "main~1", "--json")
        assert (result.stderr, facts(result)["revision"]) == ("", f"main~1 ({revised})")
        assert "revision" not in facts(run(*arguments, "--json"))


def test_a_revision_of_the_configured_folder(site: Path, revised: str) -> None:
    """The configuration itself is the current one."""
    arguments = ["policy", "who-can", "push", "registry.example.com/web/app", "--config", str(site), "--git", revised]
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, "group:web" in result.stdout) == (0, True)


def test_an_unknown_or_faulty_revision(run: Run, folder: Path, revised: str) -> None:
    """Exit code 2 and where the faults are."""
    assert "'nope': no such revision in " in run("who-can", "pull", "x", "--git", "nope").stderr
    write(folder / "web.yaml", "version: 1\nalow: []\n")
    subprocess.run(["git", "add", "--all"], check=True)
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.com"]
    subprocess.run(["git", *identity, "commit", "--quiet", "--message", "z"], check=True)
    result = run("who-can", "pull", "x", "--git", "HEAD")
    assert (result.exit_code, ":policies/web.yaml:2: alow: unknown key" in result.stderr) == (2, True)
