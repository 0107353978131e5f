"""`tokenserver policy who-can`: people and groups with their conditions and exceptions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from policy_commands import EVERY_WORD, POLICY, Run, facts, write

from tokenserver.cli import main


def test_who_can(run: Run) -> None:
    """Groups with their members, conditions as conditions."""
    result = run("who-can", "pull", "web/app", "--json")
    assert (result.exit_code, facts(result)) == (
        0,
        {
            "action": "pull",
            "repository": "web/app",
            "everyone": False,
            "authenticated": False,
            "anonymous": False,
            "users": ["kim"],
            "groups": ["web"],
            "except": [],
            "when": {"user:kim": [{"from": ["10.0.0.0/8"], "until": "2027-01-01", "rule": "kim"}]},
            "members": {"web": {"users": ["bob"], "groups": ["web-dev"]}},
        },
    )
    assert [line.split() for line in run("who-can", "pull", "web/app").stdout.splitlines()] == [
        ["who", "when", "members"],
        ["group:web", "bob,", "all", "of", "the", "directory's", "web-dev"],
        ["user:kim", "from", "10.0.0.0/8,", "until", "2027-01-01"],
    ]
    settled = run("who-can", "pull", "web/app", "--at", "2027-01-01", "--json")
    assert facts(settled)["users"] == []


def test_who_can_nobody(run: Run) -> None:
    """Exit code 1."""
    result = run("who-can", "delete", "web/app")
    assert (result.exit_code, result.stdout) == (1, "nobody can delete web/app\n")


def test_who_can_tells_exceptions(run: Run, folder: Path) -> None:
    """Those who are left out, and those whom a deny under a condition stops."""
    more = '  - {id: no-ops, to: ["group:ops"], repositories: ["public/a"], actions: [pull]}\n'
    more += '  - {id: no-night, to: ["group:x"], except: ["group:y"], repositories: ["public/**"], actions: [pull]}\n'
    write(folder / "web.yaml", POLICY.replace("tests:\n", more + "tests:\n"))
    text = run("who-can", "pull", "public/a").stdout
    assert "but never group:ops" in text
    assert "but not if in group:x, unless in group:y (rule no-night)" in text


MACHINES = """\
version: 1
robots: {ci: , cd: , ce: }
workloads:
  web: {from: github, claims: {repository_id: "74"}}
  release: {from: github, claims: {environment: production}}
groups:
  builds: {users: [ann], robots: [ci, cd]}
allow:
  - {id: ref, to: ["workload:web"], repositories: ["ref/**"], role: reader, when: {claims: {ref: [main, v1]}}}
  - {id: any-ref, to: [workloads], repositories: ["any/**"], role: reader, when: {claims: {ref: main}}}
  - {id: both, to: ["workload:web"], repositories: ["both/**"], role: reader}
  - {id: kind, to: ["group:builds"], repositories: ["kind/**"], role: reader, when: {kind: robot}}
  - {id: apart, to: ["group:builds"], repositories: ["apart/**"], role: reader}
  - {id: later, to: ["group:builds"], repositories: ["later/**"], role: reader}
deny:
  - {id: no-both, to: [workloads], except: ["workload:release"], repositories: ["both/**"], actions: [pull]}
  - {id: no-apart, to: [robots], except: ["robot:ci"], repositories: ["apart/**"], actions: [pull]}
  - {id: no-later, to: [everyone], repositories: ["later/x/**"], actions: [pull], when: {from: [10.0.0.0/8]}}
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("ref/a", ["workload:web  if ref is main or v1"], id="claims of a rule for a workload"),
        pytest.param("any/a", ["workloads  if ref is main"], id="claims of a rule for all"),
        pytest.param("both/a", ["workload:web  if also workload:release"], id="two workloads"),
        pytest.param("kind/a", ["group:builds  kind robot  ann, robot:cd, robot:ci"], id="machines of a group"),
        pytest.param(
            "apart/a",
            ["group:builds  except robots  ann, robot:cd, robot:ci", "robot:ci"],
            id="a group without its robots but one",
        ),
        pytest.param(
            "later/x/y",
            ["group:builds  but not from 10.0.0.0/8 (rule no-later)  ann, robot:cd, robot:ci"],
            id="a deny for all that are in a group",
        ),
    ],
)
def test_machines(run: Run, folder: Path, name: str, expected: list[str]) -> None:
    """Claims, further workloads and sorts of clients are conditions; parts of a group are said in one line."""
    write(folder / "web.yaml", MACHINES)
    lines = run("who-can", "pull", name).stdout.splitlines()[1:]
    assert [re.sub(" {2,}", "  ", line.strip()) for line in lines] == expected


def test_a_deny_for_all_below_a_pattern(run: Run, folder: Path) -> None:
    """It is one exception, whatever sorts of clients a group has."""
    write(folder / "web.yaml", MACHINES)
    (found,) = facts(run("who-can", "pull", "later/**", "--json"))["access"]
    assert found["except"] == [{"repositories": "later/x/**", "from": ["10.0.0.0/8"], "rule": "no-later"}]


def test_below_a_pattern(run: Run) -> None:
    """All of it or the parts, with conditions and exceptions, and the members below."""
    result = run("who-can", "push", "web/**")
    assert result.exit_code == 0
    assert [re.split(r"\s{2,}", line) for line in result.stdout.splitlines()] == [
        ["who", "where", "except", "rule"],
        ["group:web", "all of it", "web/prod/*, unless user:bob (rule freeze)", "web-developers (web.yaml:5)"],
        [""],
        ["members:"],
        ["", "group:web: bob, all of the directory's web-dev"],
    ]
    result = run("who-can", "pull", "**")
    assert [re.split(r"\s{2,}", line) for line in result.stdout.splitlines()][:6] == [
        ["who", "where", "when", "rule"],
        ["anonymous", "public/**", "public (web.yaml:7)"],
        ["authenticated", "public/**", "public (web.yaml:7)"],
        ["group:web", "web/**", "web-developers (web.yaml:5)"],
        ["user:kim", "web/app", "from 10.0.0.0/8, until 2027-01-01", "kim (web.yaml:6)"],
        [""],
    ]
    assert "until" not in run("who-can", "pull", "**", "--at", "2026-01-01").stdout


def test_below_a_pattern_as_data(run: Run) -> None:
    """Who can always do it on all of it, and each entry."""
    found = facts(run("who-can", "push", "web/**", "--json"))
    entry = {"who": "group:web", "all": False, "repositories": ["web/**"], "when": {}, "rule": "web-developers"}
    stop = {"repositories": "web/prod/*", "who": ["authenticated"], "except": ["user:bob"], "rule": "freeze"}
    assert found == {
        "action": "push",
        "repository": "web/**",
        "all": [],
        "anonymous": False,
        "access": [{**entry, "except": [stop]}],
        "members": {"web": {"users": ["bob"], "groups": ["web-dev"]}},
    }
    assert facts(run("who-can", "pull", "web/**", "--json"))["all"] == ["group:web"]
    assert facts(run("who-can", "pull", "public/*", "--json"))["all"] == ["anonymous", "authenticated"]


def test_below_a_pattern_somebody_never_can(run: Run, folder: Path) -> None:
    """Who is left out everywhere is told once; a deny that stops all of an entry is spelled by its rule alone."""
    more = '  - {id: no-eve, to: ["user:eve"], repositories: ["**"], actions: ["*"]}\n'
    more += '  - {id: closed, to: [everyone], repositories: ["web/old/**"], actions: ["*"]}\n'
    write(
        folder / "web.yaml",
        POLICY.replace("tests:\n", f"{more}tests:\n").replace("exactly: [pull public/**]", "exactly: []"),
    )
    lines = run("who-can", "pull", "web/**").stdout.splitlines()
    assert re.split(r"\s{2,}", lines[1]) == [
        "group:web",
        "all of it",
        "web/old/** (closed)",
        "web-developers (web.yaml:5)",
    ]
    assert "but never user:eve" in lines


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(["push", "lib/**"], 1, "nobody can push anything in lib/**\n", id="nobody"),
        pytest.param(["puhs", "web/**"], 2, "unknown action 'puhs'; did you mean 'push'?", id="action"),
        pytest.param(["*", "web/**"], 2, "unknown action '*'", id="star"),
        pytest.param(
            ["push", "users/${user}/*"], 2, "a question has no variables; fix: write * instead", id="variable"
        ),
        pytest.param(["push", "web/***"], 2, "** must be a whole segment", id="pattern"),
        pytest.param(["push", "Web/*"], 2, "repositories are lower case", id="capital"),
    ],
)
def test_below_a_pattern_wrong_use(site: Path, arguments: list[str], code: int, said: str) -> None:
    """Exit codes as for one repository."""
    result = CliRunner().invoke(main, ["policy", "who-can", *arguments, "--config", str(site)])
    assert (result.exit_code, said in result.output) == (code, True), result.output


def test_anonymous_clients_of_a_configuration_without_them(site: Path) -> None:
    """The answer says that they get nothing, for one repository and for a pattern."""
    for name in ("public/x", "public/**"):
        result = CliRunner().invoke(main, ["policy", "who-can", "pull", name, "--config", str(site)])
        assert "anonymous: false" in result.stdout.splitlines()[-1]


def test_a_pattern_with_a_host(site: Path) -> None:
    """The host chooses the registry."""
    name = "registry.example.com/public/**"
    result = CliRunner().invoke(main, ["policy", "who-can", "pull", name, "--config", str(site)])
    assert (result.exit_code, result.stderr) == (
        0,
        f"{name} is read as public/** on registry registry.example.com\n",
    )


def test_who_can_with_every_word(run: Run, folder: Path) -> None:
    """Groups are named as far as the names tell them; what a rule leaves out is told with its names."""
    write(folder / "web.yaml", EVERY_WORD)
    settled = facts(run("who-can", "push", "web/**", "--json"))
    assert [one["who"] for one in settled["access"]] == ["group:adm-web", "group:reg-web-rw"]
    first = settled["access"][0]
    assert (first["repositories"], first["not"], first["all"]) == (["web/**"], ["*/prod/**"], False)
    assert [(one["repositories"], one.get("not")) for one in first["except"]] == [
        ("web/f/**", ["web/f/open/**"]),
        ("web/secret", None),
    ]
    every = facts(run("who-can", "push", "**", "--json"))["access"]
    named = ["group:reg-{team}-rw", "group:adm-{team}"]
    assert [(one["repositories"], one.get("capturing")) for one in every] == [
        (["${team}/**"], named),
        (["home-${user}/**"], None),
        (["shared/${team}-*"], named),
    ]
    assert every[0]["except"][1]["capturing"] == ["group:no-{team}"]
    text = " ".join(run("who-can", "push", "**").stdout.split())
    assert "group:reg-{team}-rw or group:adm-{team} ${team}/** without */prod/** and shared/web-x" in text
    assert (
        "web/f/** without web/f/open/**, unless user:bob (rule freeze); ${team}/secret of group:no-{team} (no)" in text
    )
    assert "group:adm-web" in run("who-can", "push", "web/a").stdout


def test_who_can_for_a_user_in_a_captured_group(run: Run, folder: Path) -> None:
    """A user whom a deny rule spares is listed with the groups as a condition."""
    spared = 'deny:\n  - {id: d, to: [everyone], except: ["user:bob"], repositories: ["**"], actions: [push]}\n'
    allow = '{id: t, to: ["group:reg-{team}-rw"], repositories: ["${team}/**"], role: writer, %s}'
    for when, expected in (
        ("not: [x]", ["user:bob", "if", "in", "group:reg-{team}-rw", "${team}/**"]),
        ("when: {until: 2030-01-01}", ["user:bob", "if", "in", "group:reg-{team}-rw,", "until", "2030-01-01"]),
    ):
        write(folder / "web.yaml", f"version: 1\nallow:\n  - {allow % when}\n{spared}")
        words = run("who-can", "push", "**").stdout.split()
        assert set(expected) <= set(words)
