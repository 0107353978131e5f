"""The options that all policy commands share: where policies come from, and for which registry."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from policy_commands import POLICY, Run, write

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
