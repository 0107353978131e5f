"""Notes on names in questions: other spellings, unknown groups, and users for whom `${user}` never stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from policy_commands import POLICY, Run, facts, write

from tokenserver.cli import main

OWN = """\
version: 1
allow:
  - {id: own, to: [authenticated], repositories: ["users/${user}/**", "cache/${user}"], role: maintainer}
  - {id: kim-own, to: ["user:kim"], repositories: ["kim/${user}/**"], role: reader}
deny:
  - {id: frozen, to: [everyone], except: ["group:web"], repositories: ["users/${user}/prod"], actions: [push]}
"""
FIX = "; fix: map names to namespaces with names: in the user source"
UNFIT = (
    "'JohnDoe' cannot be a segment of a repository name, so for this user these never match: "
    f"users/${{user}}/** and cache/${{user}} of own (own.yaml:3), users/${{user}}/prod of frozen (own.yaml:6){FIX}"
)
KNOWN = "the policies know 'bob', not 'Bob'; names are compared letter by letter"
LDAP = """\
authentication:
  - htpasswd: {file: users.htpasswd}
  - ldap:
      name: corp
      preset: openldap
      url: ldaps://ldap.example.com
      base: dc=example,dc=com
      user_dn_template: uid={user},dc=example,dc=com
"""


def ask(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["policy", *arguments, "--config", str(config)])


def with_directory(site: Path) -> Path:
    """The configuration with a directory that ignores case, and may have any groups."""
    write(site, site.read_text().replace("authentication: [{htpasswd: {file: users.htpasswd}}]\n", LDAP))
    return site


@pytest.mark.parametrize(
    ("arguments", "notes"),
    [
        pytest.param(["why", "pull", "web/x", "--user", "Bob"], [KNOWN], id="case"),
        pytest.param(["why", "pull", "web/x", "--user", "\uff42ob"], [KNOWN.replace("Bob", "\uff42ob")], id="width"),
        pytest.param(["why", "pull", "web/x", "--user", "bob"], [], id="known-user"),
        pytest.param(["why", "pull", "web/x", "--user", "eve"], [], id="user-that-nothing-names"),
        pytest.param(["why", "pull", "web/x", "--anonymous"], [], id="anonymous"),
        pytest.param(["what-can", "user:Bob"], [KNOWN], id="what-can"),
        pytest.param(["matrix", "--who", "user:Bob"], [KNOWN], id="matrix"),
        pytest.param(
            ["why", "pull", "web/x", "--group", "web-devs"],
            ["the policies name no directory group 'web-devs'; did you mean 'web-dev'?"],
            id="group-that-the-user-brings",
        ),
        pytest.param(
            ["what-can", "user:bob", "--group", "web-devs"],
            ["the policies name no directory group 'web-devs'; did you mean 'web-dev'?"],
            id="group-of-what-can",
        ),
        pytest.param(["why", "pull", "web/x", "--group", "web-dev"], [], id="known-group"),
        pytest.param(
            ["what-can", "group:Webb"],
            ["the policies name no group 'Webb'; did you mean 'web'?"],
            id="misspelled-group",
        ),
        pytest.param(
            ["what-can", "group:nosuch"],
            ["the policies name no group 'nosuch'; known: web, web-dev"],
            id="unknown-group",
        ),
        pytest.param(
            ["matrix", "--who", "group:nosuch"],
            ["the policies name no group 'nosuch'; known: web, web-dev"],
            id="unknown-group-in-the-matrix",
        ),
        pytest.param(["what-can", "group:web"], [], id="group-of-the-tree"),
        pytest.param(["matrix"], [], id="whole-matrix"),
    ],
)
def test_names(run: Run, arguments: list[str], notes: list[str]) -> None:
    """On standard error; the answer is the same as without."""
    assert run(*arguments).stderr.splitlines() == notes


def test_notes_as_data(run: Run) -> None:
    """With --json, why has them in the answer, which has no such key without any."""
    result = run("why", "pull", "web/x", "--user", "Bob", "--json")
    assert (result.stderr, facts(result)["notes"]) == ("", [KNOWN])
    assert "notes" not in facts(run("why", "pull", "web/x", "--user", "bob", "--json"))


def test_a_user_who_cannot_stand_in_a_path(run: Run, folder: Path) -> None:
    """The rules that include the user and can never match; not those for others or other registries."""
    write(folder / "own.yaml", OWN)
    elsewhere = OWN.replace("version: 1", "version: 1\nregistries: [other]").replace("id: ", "id: other-")
    write(folder / "other.yaml", elsewhere)
    service = ["--service", "here"]
    assert run("why", "push", "users/johndoe/x", "--user", "JohnDoe", *service).stderr.splitlines() == [UNFIT]
    assert run("what-can", "user:JohnDoe", *service).stderr.splitlines() == [UNFIT]
    assert run("why", "push", "users/john-doe/x", "--user", "john-doe", *service).stderr == ""
    everywhere = run("why", "push", "users/johndoe/x", "--user", "JohnDoe", "--service", "other").stderr
    assert everywhere.endswith(f"users/${{user}}/** and cache/${{user}} of own (own.yaml:3) and 1 more rule{FIX}\n")


def test_directories_that_ignore_case(site: Path) -> None:
    """The spelling under which such a directory reports the user."""
    result = ask(with_directory(site), "why", "pull", "web/x", "--user", "Bob")
    assert result.stderr == f"{KNOWN}; a login as 'Bob' to corp is reported as 'bob'\n"


def test_without_a_source_of_groups(site: Path) -> None:
    """An htpasswd file has none, so the group does not exist; a directory may have it."""
    result = ask(site, "what-can", "group:nosuch")
    start = "there is no group 'nosuch': the policies define none, and no user source has groups; "
    assert (result.exit_code, result.stderr) == (0, f"{start}known: web, web-dev\n")
    assert ask(with_directory(site), "what-can", "group:nosuch").stderr.startswith("the policies name no group")


def test_groups_of_a_variable(run: Run, folder: Path) -> None:
    """Where a rule has `${group}`, a group that nothing names is nothing special; one spelled alike still is."""
    team = '{id: team, to: [authenticated], repositories: ["teams/${group}/**"], role: writer}'
    write(folder / "team.yaml", f"version: 1\nallow: [{team}]\n")
    assert run("what-can", "user:bob", "--group", "games").stderr == ""
    assert "did you mean 'web-dev'?" in run("what-can", "user:bob", "--group", "web-devs").stderr
    assert "no directory group 'Board Games'" in run("what-can", "user:bob", "--group", "Board Games").stderr


def test_many_groups(run: Run, folder: Path) -> None:
    """Ten are listed, or no group at all."""
    names = [f"g{number:02}" for number in range(12)]
    groups = "".join(f"  {name}: {{users: [ann]}}\n" for name in names)
    write(folder / "web.yaml", POLICY.replace("groups:\n", f"groups:\n{groups}"))
    assert run("what-can", "group:nosuch").stderr.endswith(f"; known: {', '.join(names[:10])}, …\n")
    write(folder / "web.yaml", "version: 1\nallow:\n  - {id: a, to: [everyone], repositories: [a], role: reader}\n")
    assert run("what-can", "group:nosuch").stderr == "the policies name no group 'nosuch'; known: none\n"


def test_as_another_spelling(site: Path) -> None:
    """`--as` says which spelling the htpasswd file has."""
    result = ask(site, "why", "pull", "public/x", "--as", "Ann")
    assert result.exit_code == 2
    assert "no user source knows 'Ann' (asked: htpasswd); htpasswd has 'ann': names are compared" in result.stderr


def test_a_new_user_who_cannot_stand_in_a_path(site: Path, folder: Path) -> None:
    """`users set` warns with the rules of the configured policies; without them, of any rules."""
    write(folder / "own.yaml", OWN)

    def added(name: str, *options: str) -> Result:
        result = CliRunner().invoke(main, ["users", "set", name, *options], input="correct horse battery\n")
        assert result.exit_code == 0, result.output
        return result

    config = ["--config", str(site)]
    assert added("JohnDoe", *config).stderr == f"warning: {UNFIT}\n"
    assert added("john-doe", *config).stderr == ""
    (folder / "own.yaml").unlink()
    assert added("ann@example.com", *config).stderr == ""
    write(folder / "web.yaml", "version: 2\n")
    general = "cannot be a segment of a repository name, so ${user} in rules never matches this user\n"
    assert added("ann@example.com", *config).stderr == f"warning: 'ann@example.com' {general}"


@pytest.mark.parametrize(
    ("group", "notes"),
    [
        pytest.param("games", [], id="any-group"),
        pytest.param(
            "web-devs", ["the policies name no directory group 'web-devs'; did you mean 'web-dev'?"], id="nearly"
        ),
    ],
)
def test_a_rule_with_a_group_variable_takes_any_group(tmp_path: Path, group: str, notes: list[str]) -> None:
    """Then a group without a rule of its own is no mistake, unless it is nearly the name of one."""
    policies = tmp_path / "policies"
    policies.mkdir(mode=0o755)
    (policies / "a.yaml").write_text(
        "version: 1\nallow:\n"
        '  - {id: own, to: [authenticated], repositories: ["teams/${group}/**"], role: writer}\n'
        '  - {id: web, to: ["group:web-dev"], repositories: ["web/**"], role: writer}\n'
    )
    result = CliRunner().invoke(main, ["policy", "what-can", "user:gil", "--group", group, "--policies", str(policies)])
    assert result.stderr.splitlines() == notes


def test_a_new_user_whose_namespace_another_has(site: Path) -> None:
    """`users set` warns of it, for a name that is a segment as well; without a rule there is nothing to share."""
    arguments = ["users", "set", "--config", str(site)]
    text = site.read_text()
    assert CliRunner().invoke(main, [*arguments, "an-n"], input="correct horse battery\n").stderr == ""
    site.write_text(text.replace("{file: users.htpasswd}", "{file: users.htpasswd, names: {namespace: slug}}"))
    result = CliRunner().invoke(main, [*arguments, "an@n"], input="correct horse battery\n")
    said = "warning: 'an@n' cannot log in: the namespace 'an-n' is shared with 'an-n'\n"
    assert (result.exit_code, said in result.stderr) == (0, True), result.stderr
