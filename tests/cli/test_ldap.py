"""`tokenserver ldap test`: the steps as text and as JSON, the exit code, and which directory is tested."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from directory_entries import BASE
from rogue_directory import NUMBER, Rogue, entry, message, numbered, result, rogue

from tokenserver.cli import main

PASSWORD = "correct horse"
POLICY = 'version: 1\nallow:\n  - {id: a, to: ["group:web"], repositories: ["**"], role: reader}\n'
DIRECTORY = """\
  - ldap:
      name: NAME
      preset: openldap
      url: ldap://127.0.0.1:PORT
      insecure_plaintext: true
      base: BASE
      bind_dn: cn=reader
      bind_password: reader
"""


@pytest.fixture
def directory() -> Iterator[Rogue]:
    """A directory with one user, ann, who is in the group web; every password is right but that of mallory."""
    searches = 0

    def answers(number: int, tag: int) -> Iterator[bytes]:
        nonlocal searches
        if tag == 0x60:
            yield message(number, result(0x61))
        elif tag == 0x63:
            web = entry(f"cn=web,{BASE}".encode(), {b"cn": [b"web"]})
            ann = entry(f"uid=ann,{BASE}".encode(), {b"uid": [b"ann"], b"cn": [b"Ann \x1b[31mRed"]})
            found = [entry(BASE.encode(), {}), web, ann, web][min(searches, 3)]
            searches += 1
            yield from numbered([message(NUMBER, found), message(NUMBER, result(0x65))], number)

    with rogue(answers) as server:
        yield server


def site(folder: Path, port: int, *names: str) -> Path:
    """A configuration with directories of these names, all at this port."""
    (folder / "policies").mkdir(mode=0o755)
    (folder / "policies" / "p.yaml").write_text(POLICY)
    entries = "".join(
        DIRECTORY.replace("NAME", name).replace("PORT", str(port)).replace("BASE", BASE) for name in names
    )
    sources = f"authentication:\n{entries}" if names else "authentication: []\nanonymous: true\n"
    path = folder / "c.yaml"
    path.write_text(
        'issuer: auth.example.com\nserver: {url: "https://auth.example.com"}\nregistries: [{service: reg}]\n'
        f"{sources}policies: policies\nkeys: keys\n"
    )
    path.chmod(0o600)
    return path


def run(config: Path, *arguments: str, typed: str = "") -> Result:
    """The command."""
    return CliRunner().invoke(main, ["ldap", "test", *arguments, "--config", str(config)], input=typed)


def test_a_login_that_works(directory: Rogue, tmp_path: Path) -> None:
    """Each step with its result, and what the user is in policies; the password is nowhere."""
    found = run(site(tmp_path, directory.port, "corp"), "ann", typed=f"{PASSWORD}\n")
    assert found.exit_code == 0, found.output
    lines = found.stdout.splitlines()
    assert lines[0] == f"server    ldap://127.0.0.1:{directory.port}"
    at = lines.index("policies  match the user as")
    assert [line.strip() for line in lines[at + 1 : at + 4]] == ["authenticated", "user:ann", "group:web"]
    assert lines[-1] == "All steps passed."
    assert PASSWORD not in found.output


def test_the_steps_as_json(directory: Rogue, tmp_path: Path) -> None:
    """For programs; without a password the login is skipped."""
    found = run(site(tmp_path, directory.port, "corp"), "ann", "--json", typed="\n")
    facts = json.loads(found.stdout)
    assert (found.exit_code, facts["ok"]) == (0, True)
    assert [step["step"] for step in facts["steps"]][:4] == ["server", "tls", "bind", "base"]
    told = {step["step"]: step for step in facts["steps"]}
    assert told["login"] == {
        "step": "login",
        "told": "not tried, no password was given",
        "names": [],
        "cause": None,
        "advice": None,
    }
    assert told["groups"]["names"] == [{"name": "web", "dn": f"cn=web,{BASE}"}]


def test_what_a_directory_says_is_printed_safely(directory: Rogue, tmp_path: Path) -> None:
    """Names of entries cannot move the cursor of a terminal."""
    found = run(site(tmp_path, directory.port, "corp"), "ann", typed=f"{PASSWORD}\n")
    assert "\x1b" not in found.output


def test_a_step_that_fails(tmp_path: Path) -> None:
    """Exit code 1, and what to change."""
    with rogue(lambda number, _: iter([message(number, result(0x61, 49))])) as server:
        config = site(tmp_path, server.port, "corp")
        found = run(config)
    assert found.exit_code == 1
    assert "bind      cn=reader: wrong password" in found.stdout
    assert "to do: correct bind_dn and its password" in found.stdout
    down = run(config, "--json")
    facts = json.loads(down.stdout)
    assert (down.exit_code, facts["ok"], facts["steps"][-1]["cause"]) == (1, False, "refused")


def test_the_dns_of_groups(directory: Rogue, tmp_path: Path) -> None:
    """Only on request: they are long."""
    config = site(tmp_path, directory.port, "corp")
    assert f"  web  cn=web,{BASE}" in run(config, "ann", "--verbose", typed="\n").stdout


@pytest.mark.parametrize(
    ("names", "arguments", "expected"),
    [
        pytest.param([], [], "has no directory; fix: add one", id="none"),
        pytest.param([], ["--source", "corp"], "no directory is named 'corp'; configured: none", id="none, by name"),
        pytest.param(["a", "b"], [], "has several directories; fix: add --source with one of: a, b", id="several"),
        pytest.param(["a", "b"], ["--source", "c"], "no directory is named 'c'; configured: a, b", id="another"),
    ],
)
def test_which_directory(names: list[str], arguments: list[str], expected: str, tmp_path: Path) -> None:
    """It must be clear which one is meant."""
    found = run(site(tmp_path, 1, *names), *arguments)
    assert found.exit_code == 2
    assert expected in found.stderr


def test_one_of_several(directory: Rogue, tmp_path: Path) -> None:
    """By its name."""
    assert run(site(tmp_path, directory.port, "a", "b"), "--source", "b").exit_code == 0


@pytest.mark.parametrize("user", [" ", "a\nb", "x" * 1000])
def test_no_name_of_a_user(user: str, tmp_path: Path) -> None:
    """The server would reject it before it asked any directory, and so does the command."""
    found = run(site(tmp_path, 1, "corp"), user, typed="\n")
    assert found.exit_code == 2
    assert "a user name is 1 to" in found.stderr


def test_policies_that_do_not_load(directory: Rogue, tmp_path: Path) -> None:
    """The directory can be tested all the same, with a warning that the groups of policies are unknown."""
    config = site(tmp_path, directory.port, "corp")
    (tmp_path / "policies" / "p.yaml").write_text("version: 1\nalow: []\n")
    found = run(config, "ann", typed=f"{PASSWORD}\n")
    assert found.exit_code == 0
    assert "warning: the policies do not load" in found.stderr
