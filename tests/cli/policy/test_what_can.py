"""`tokenserver policy what-can`: patterns with actions, conditions, and what denies cut off."""

from __future__ import annotations

from pathlib import Path

import pytest
from policy_commands import EVERY_WORD, POLICY, Run, facts, write


def test_what_can(run: Run) -> None:
    """Patterns with actions, conditions and what denies cut off."""
    result = run("what-can", "user:eve", "--group", "web-dev", "--json")
    assert (result.exit_code, facts(result)) == (
        0,
        [
            {
                "repositories": "web/**",
                "actions": ["pull"],
                "when": {},
                "rule": "web-developers",
                "except": [],
                "unless": [],
            },
            {
                "repositories": "web/**",
                "actions": ["push"],
                "when": {},
                "rule": "web-developers",
                "except": ["web/prod/*"],
                "unless": [],
            },
            {
                "repositories": "public/**",
                "actions": ["pull"],
                "when": {},
                "rule": "public",
                "except": [],
                "unless": [],
            },
        ],
    )
    kim = facts(run("what-can", "user:kim", "--json"))[0]
    assert kim["when"] == {"from": ["10.0.0.0/8"], "until": "2027-01-01"}
    assert "web/prod/* (freeze)" in run("what-can", "group:web").stdout
    assert run("what-can", "everyone").exit_code == 2
    assert run("what-can", "anonymous", "--group", "x").exit_code == 2


TEAM = """\
version: 1
groups: {devs: {users: [zoe]}}
allow:
  - {id: %s, to: ["group:devs"], repositories: ["%s/**"], role: reader}
"""


def test_a_group_of_a_team_s_own(run: Run, folder: Path) -> None:
    """It is found by its name where no other could be meant, and by the name that answers give it in any case."""
    delegate = 'delegate:\n  - {file: t/a.yaml, repositories: ["a/**"], actions: [pull]}\n'
    write(folder / "web.yaml", POLICY + delegate)
    (folder / "t").mkdir(mode=0o755)
    write(folder / "t" / "a.yaml", TEAM % ("a", "a"))

    def rules(who: str) -> tuple[list[str], str]:
        result = run("what-can", who, "--json")
        return sorted(one["rule"] for one in facts(result)), result.stderr

    told = "group:devs is resolved to group:devs (t/a.yaml)\n"
    assert rules("group:devs") == (["a", "public"], told)
    assert rules("group:devs (t/a.yaml)") == (["a", "public"], "")
    assert rules("group:web-dev")[1] == ""
    matrix = run("matrix", "--who", "group:devs", "--repositories", "a/**")
    assert (matrix.stdout.splitlines()[1].split(), matrix.stderr) == (["group:devs", "(t/a.yaml)", "p"], told)
    write(folder / "web.yaml", POLICY + delegate + '  - {file: t/b.yaml, repositories: ["b/**"], actions: [pull]}\n')
    write(folder / "t" / "b.yaml", TEAM % ("b", "b"))
    found, told = rules("group:devs")
    assert found == ["public"]
    assert "delegated files also have 'group:devs (t/a.yaml)' and 'group:devs (t/b.yaml)'" in told
    assert rules("group:devs (t/b.yaml)") == (["b", "public"], "")


def test_what_can_nothing(run: Run, folder: Path) -> None:
    """Exit code 1."""
    write(
        folder / "web.yaml",
        POLICY.replace('to: [everyone], repositories: ["public', 'to: ["user:x"], repositories: ["public'),
    )
    result = run("what-can", "anonymous")
    assert (result.exit_code, result.stdout) == (1, "anonymous can do nothing\n")


def test_what_can_with_every_word(run: Run, folder: Path) -> None:
    """What a rule leaves out is an exception; what a deny rule spares is told with its exception."""
    write(folder / "web.yaml", EVERY_WORD)
    found = {(one["repositories"], *one["actions"]): one for one in facts(run("what-can", "group:adm-web", "--json"))}
    pushed = found["web/**", "push"]
    assert pushed["except"] == ["*/prod/**"]
    freeze = {"repositories": "web/f/**", "not": ["web/f/open/**"], "when": {}, "rule": "freeze"}
    assert pushed["unless"] == [freeze]
    assert found["shared/web-*", "pull", "push"]["except"] == ["shared/web-x"]
    rows = " ".join(run("what-can", "group:adm-web").stdout.split())
    assert "*/prod/** (not of teams); web/f/** without web/f/open/** (freeze)" in rows
    assert [one["repositories"] for one in facts(run("what-can", "user:eve", "--json"))] == ["home-eve/**"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["user:otto"], "user:otto is an administrator, by group:ops\n", id="in a group"),
        pytest.param(["group:ops"], "group:ops is an administrator, by group:ops\n", id="a group"),
        pytest.param(
            ["user:kim", "--group", "dir", "--group", "ops"],
            "user:kim is an administrator, by group:dir\n",
            id="in a directory group",
        ),
        pytest.param(["user:kim"], "", id="nobody"),
        pytest.param(["anonymous"], "", id="anonymous"),
        pytest.param(["--robot", "tf"], "robot:tf is an administrator, by robot:tf\n", id="a robot"),
    ],
)
def test_administrators(run: Run, folder: Path, arguments: list[str], expected: str) -> None:
    """What-can says by which entry a client administers, beside the answer."""
    more = 'robots: {tf: }\nadministrators: ["group:ops", "group:dir", "robot:tf"]\n'
    write(folder / "web.yaml", POLICY.replace("groups:\n", "groups:\n  ops: {users: [otto]}\n") + more)
    result = run("what-can", *arguments)
    assert result.exit_code in (0, 1)
    found = [line for line in result.stderr.splitlines(keepends=True) if "administrator" in line]
    assert "".join(found) == expected
