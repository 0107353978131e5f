"""The options that all policy commands share: where policies come from, and for which registry."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
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


SPACES = 'version: 1\nallow:\n  - {id: own, to: [authenticated], repositories: ["users/${user}/**"], role: writer}\n'


def mapped(site: Path, folder: Path, rule: str) -> Callable[..., Result]:
    """`policy` commands on a configuration whose file maps names, and whose only rule is about `${user}`."""
    write(folder / "web.yaml", SPACES)
    site.write_text(site.read_text().replace("{file: users.htpasswd}", f"{{file: users.htpasswd, names: {rule}}}"))
    return lambda *arguments: CliRunner().invoke(main, ["policy", *arguments, "--config", str(site)])


def test_a_namespace_that_the_name_tells(site: Path, folder: Path) -> None:
    """All sources map names in one way, so the name is enough for every question."""
    ask = mapped(site, folder, "{namespace: lower}")
    assert ask("why", "push", "users/johndoe/x", "--user", "JohnDoe").exit_code == 0
    assert ask("why", "push", "users/johndoe/x", "--user", "JohnDoe", "--namespace", "johndoe").exit_code == 0
    wrong = ask("why", "push", "users/x/x", "--user", "JohnDoe", "--namespace", "x")
    assert (wrong.exit_code, "no user source gives 'x' to 'JohnDoe'" in wrong.stderr) == (2, True)
    assert "users/johndoe/**" in ask("what-can", "user:JohnDoe").stdout
    assert "namespace:johndoe" in ask("who-can", "push", "users/johndoe/x").stdout
    below = ask("who-can", "push", "users/johndoe/**")
    assert (below.exit_code, "namespace:johndoe" in below.stdout) == (0, True), below.output
    answer = facts(ask("who-can", "push", "users/johndoe/x", "--json"))
    assert (answer["users"], answer["namespaces"]) == ([], ["johndoe"])
    unfit = ask("why", "push", "users/a/x", "--user", "a@b").stderr
    assert "'a@b' cannot be a segment of a repository name" in unfit
    assert "fix:" not in unfit


def test_a_namespace_that_depends_on_the_source(site: Path, folder: Path) -> None:
    """A directory is asked, or the option says it; `what-can` answers for any."""
    ask = mapped(site, folder, "{namespace: lower}")
    site.write_text(
        site.read_text().replace(
            "names: {namespace: lower}}}",
            "names: {namespace: lower}}}, {ldap: {preset: openldap, url: ldaps://ldap.example.com, base: dc=x,"
            " bind_dn: cn=reader, bind_password: secret, names: {namespace: attribute, attribute: mail}}}",
        )
    )
    unknown = ask("why", "push", "users/johndoe/x", "--user", "JohnDoe")
    assert (unknown.exit_code, "fix: --namespace NAME, or --as" in unknown.stderr) == (2, True)
    assert ask("why", "push", "users/jd/x", "--user", "JohnDoe", "--namespace", "jd").exit_code == 0
    assert "users/${user}/**" in ask("what-can", "user:JohnDoe").stdout
    assert "users/jd/**" in ask("what-can", "user:JohnDoe", "--namespace", "jd").stdout
    assert "pPd" in ask("matrix", "--who", "user:JohnDoe").stdout or "pP" in ask("matrix").stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["why", "push", "users/a/x", "--namespace", "a"], "--namespace goes with --user"),
        (["why", "push", "users/a/x", "--user", "A", "--namespace", "a"], "no user source maps names"),
        (["why", "push", "users/a/x", "--user", "a", "--namespace", "A"], "must be one segment"),
        (["what-can", "authenticated", "--namespace", "a"], "--namespace goes with user:NAME"),
        (["what-can", "user:A", "--namespace", "a"], "no user source maps names"),
    ],
)
def test_a_namespace_that_cannot_be(run: Run, arguments: list[str], problem: str) -> None:
    """Without a user, or where the namespace is the name."""
    result = run(*arguments)
    assert (result.exit_code, problem in result.stderr) == (2, True), result.output


def test_the_difference_names_namespaces(site: Path, folder: Path) -> None:
    """With a configuration, `policy diff` knows that names are mapped."""
    ask = mapped(site, folder, "{namespace: lower}")
    (folder.parent / "old").mkdir()
    write(folder.parent / "old" / "web.yaml", SPACES)
    more = '  - {id: x, to: [authenticated], repositories: ["users/john/x"], role: maintainer}\n'
    denied = 'deny:\n  - {id: d, to: [authenticated], repositories: ["users/${user}/x"], actions: ["*"]}\n'
    write(folder / "web.yaml", SPACES + more + denied)
    found = ask("diff", str(folder.parent / "old"), str(folder), "--json")
    assert found.exit_code == 4, found.output
    losses = json.loads(found.stdout)["losses"]
    assert {one["as"]["namespace"] for one in losses} != set()
    assert all(one["witness"] == f"users/{one['as']['namespace']}/x" for one in losses)
    assert "with the namespace" in ask("diff", str(folder.parent / "old"), str(folder)).stdout
