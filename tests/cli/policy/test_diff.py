"""`tokenserver policy diff`: folders and revisions, its three forms of output, its exit codes, and its page."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tokenserver.cli import main

PAGE = (Path(__file__).parents[3] / "docs" / "policy-diff.md").read_text(encoding="utf-8")

READER = """\
version: 1
registries: [one]
allow:
  - {id: web, to: [everyone], repositories: ["web/**"], actions: [pull]}
"""
WRITER = READER.replace("[pull]", "[pull, push]")
CATALOG = READER + '  - {id: catalog, to: ["group:ops"], registry: [catalog], actions: ["*"]}\n'


def folder(path: Path, text: str) -> Path:
    path.mkdir(mode=0o755, exist_ok=True)
    (path / "web.yaml").write_text(text)
    (path / "web.yaml").chmod(0o644)
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["policy", "diff", *map(str, arguments)])


def git(*arguments: str) -> str:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(text: str) -> None:
    folder(Path("policies"), text)
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message", "x")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a branch `main`, the working folder."""
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet", "--initial-branch=main")
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "options", "code", "last"),
    [
        pytest.param(READER, READER, [], 0, "the same access as before", id="same"),
        pytest.param(WRITER, READER, [], 3, "only less access (1 lost)", id="less"),
        pytest.param(READER, WRITER, [], 4, "new access (1 gained, 0 lost)", id="more"),
        pytest.param(WRITER, READER, ["--fail-on", "new-access"], 0, "only less access (1 lost)", id="less-is-fine"),
        pytest.param(READER, WRITER, ["--fail-on", "new-access"], 4, "new access (1 gained, 0 lost)", id="more-is-not"),
    ],
)
def test_exit_codes(tmp_path: Path, old: str, new: str, options: list[str], code: int, last: str) -> None:
    """0 same, 3 only less, 4 new access; with --fail-on new-access only the last one fails."""
    result = run(folder(tmp_path / "old", old), folder(tmp_path / "new", new), *options)
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (code, last)


def test_json(tmp_path: Path) -> None:
    """One row for each action and each half of everyone, with all that a question needs."""
    result = run(folder(tmp_path / "old", READER), folder(tmp_path / "new", WRITER), "--json", "--at", "2027-01-31")
    facts = json.loads(result.stdout)
    asked = {"service": "one", "from": None, "at": "2027-01-31"}
    shared = {
        "action": "push",
        "repositories": "web/**",
        "witness": "web/x",
        "when": {"service": ["one"]},
        "rules": ["web (web.yaml:4)"],
    }
    assert facts == {
        "gains": [
            {"as": {"user": None, "groups": []}, "who": "anonymous", "asked": {**asked, "kind": "anonymous"}, **shared},
            {
                "as": {"user": "Somebody", "groups": []},
                "who": "authenticated",
                "asked": {**asked, "kind": "password"},
                **shared,
            },
        ],
        "losses": [],
        "lifetimes": [],
        "administrators": [],
        "owners": [],
    }


OWN = """\
version: 1
allow:
  - {id: own, to: ["user:ann"], repositories: [own], actions: [pull]}
"""
TEAMS = f"""{OWN}\
  - id: teams
    to: ["group:reg-{{team}}-rw", "group:admin-{{team}}"]
    repositories: ["${{team}}/**"]
    not: ["*/prod/**"]
    actions: [push]
"""


@pytest.mark.parametrize(
    ("old", "new", "cells"),
    [
        pytest.param(
            OWN,
            TEAMS,
            ["group:admin-{team}, group:reg-{team}-rw", "push", "${team}/** but not */prod/**"],
            id="all-of-it",
        ),
        pytest.param(
            TEAMS.replace("]\n    actions", ', "*/test/**"]\n    actions'),
            TEAMS,
            ["group:admin-{team}, group:reg-{team}-rw", "push", "${team}/test/**"],
            id="a-part-less-is-taken-away",
        ),
        pytest.param(
            TEAMS.replace(', "group:admin-{team}"', ""),
            TEAMS,
            ["group:admin-{team}", "push", "${team}/** but not */prod/**"],
            id="one-more-capture",
        ),
    ],
)
def test_captures_and_not(tmp_path: Path, old: str, new: str, cells: list[str]) -> None:
    """Groups as they are in the rule, and the names without what `not` takes away."""
    result = run(folder(tmp_path / "old", old), folder(tmp_path / "new", new))
    assert result.exit_code == 4, result.output
    (line,) = result.stdout.splitlines()[2:-2]
    *shown, example, rules = re.split(r" {2,}", line.strip())
    assert (shown, rules) == (cells, "teams (web.yaml:4)")
    assert re.fullmatch(r"(\w+)/(test/)?\w+ as Somebody in (reg-\1-rw|admin-\1)", example)


def test_json_of_not(tmp_path: Path) -> None:
    """The patterns that a row leaves out are there only if there are any."""
    result = run(folder(tmp_path / "old", OWN), folder(tmp_path / "new", TEAMS), "--json")
    gains = json.loads(result.stdout)["gains"]
    assert [(row["who"], row["repositories"], row["not"]) for row in gains] == [
        (who, "${team}/**", ["*/prod/**"]) for who in ("group:admin-{team}", "group:reg-{team}-rw")
    ]
    teams = [row["witness"].partition("/")[0] for row in gains]
    assert [row["as"]["groups"] for row in gains] == [[f"admin-{teams[0]}"], [f"reg-{teams[1]}-rw"]]
    back = run(folder(tmp_path / "old", READER), folder(tmp_path / "new", OWN), "--json")
    assert all("not" not in row for row in json.loads(back.stdout)["losses"])


def test_lifetimes_are_told(tmp_path: Path) -> None:
    """In every form; they are no new access, whether they grow or not."""
    team = 'version: 1\nallow:\n  - {id: t, to: ["user:ann"], repositories: [web/x], actions: [push]}\n'
    delegate = READER + 'delegate:\n  - {file: t/web.yaml, repositories: ["web/**"], actions: [push]%s}\n'
    for side, limit in (("old", ", max_lifetime: 10m"), ("new", "")):
        folder(tmp_path / side, delegate % limit)
        folder(tmp_path / side / "t", team)
    both = (tmp_path / "old", tmp_path / "new")
    shown = run(*both)
    assert shown.exit_code == 0
    assert [re.split(r"\s{2,}", line) for line in shown.stdout.splitlines()] == [
        ["lifetimes"],
        ["tokens by the rules of", "lived at most", "live at most"],
        ["t/web.yaml", "600 s", "no limit"],
        [""],
        ["the same access as before"],
    ]
    assert "| `t/web.yaml` | `no limit` | `600 s` |" in run(*reversed(both), "--markdown").stdout
    assert json.loads(run(*both, "--json").stdout)["lifetimes"] == [{"file": "t/web.yaml", "old": 600, "new": None}]


def test_json_of_all_other_registries(tmp_path: Path) -> None:
    """The registry is null where any that no rule names will do."""
    everywhere = READER.replace("registries: [one]\n", "")
    result = run(folder(tmp_path / "old", READER), folder(tmp_path / "new", everywhere), "--json")
    (anonymous, _) = json.loads(result.stdout)["gains"]
    assert (anonymous["when"], anonymous["asked"]["service"]) == ({"not_service": ["one"]}, None)


def test_markdown(tmp_path: Path) -> None:
    """A table in which everything from policies is code."""
    new = CATALOG.replace("group:ops", "group:ops | `@all`")
    result = run(folder(tmp_path / "old", READER), folder(tmp_path / "new", new), "--markdown")
    assert result.exit_code == 4
    assert result.stdout.splitlines() == [
        "### Policies: new access (1 gained, 0 lost)",
        "",
        "**Gains**",
        "",
        "| who | may | repositories | when | for example | rules |",
        "|---|---|---|---|---|---|",
        (
            "| `group:ops \\| '@all'` | `*` | `registry:catalog` | `service one` "
            "| `registry:catalog as Somebody in ops \\| '@all'` | `catalog (web.yaml:5)` |"
        ),
    ]


def test_a_table_puts_people_together(tmp_path: Path) -> None:
    """Both halves of everyone are everyone."""
    result = run(folder(tmp_path / "old", WRITER), folder(tmp_path / "new", READER))
    lines = [re.split(r"\s{2,}", line) for line in result.stdout.splitlines()]
    assert lines[:3] == [
        ["losses"],
        ["who", "may", "repositories", "when", "for example", "rules"],
        ["everyone", "push", "web/**", "service one", "web/x as Somebody", "web (web.yaml:4)"],
    ]


def test_an_example_that_is_not_logged_in(tmp_path: Path) -> None:
    """Where nobody else is concerned."""
    logged_in = READER.replace("everyone", "authenticated")
    result = run(folder(tmp_path / "old", logged_in), folder(tmp_path / "new", READER))
    assert "web/x, not logged in" in result.stdout


MACHINES = """\
version: 1
robots:
  ci-web:
workloads:
  release: {from: github, claims: {repository_id: "74", environment: production}}
  ROW
allow:
  - {id: web, to: [everyone], repositories: ["web/**"], actions: [pull]}
"""
LESS = MACHINES.replace("  ROW\n", "")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(
            LESS,
            LESS.replace("[pull]", "[pull, push]"),
            [["everyone", "push", "web/**", "web/x as Somebody", "web (web.yaml:7)"]],
            id="everyone-has-four-parts",
        ),
        pytest.param(
            LESS,
            LESS.replace(
                "[pull]}", "[pull]}\n  - {id: more, to: [authenticated, anonymous], repositories: [b], role: reader}"
            ),
            [["anonymous, authenticated", "pull", "b", "b as Somebody", "more (web.yaml:8)"]],
            id="people-and-nobody-are-not-everyone",
        ),
        pytest.param(
            LESS,
            LESS.replace("  ci-web:", "  ci-web:\n  new:"),
            [["robot:new", "pull", "web/**", "web/x as robot:new", "web (web.yaml:8), robot new (web.yaml:4)"]],
            id="a-robot-that-comes",
        ),
        pytest.param(
            LESS,
            MACHINES.replace("ROW", 'branch: {from: github, claims: {repository_id: "74", ref: refs/heads/*}}'),
            [
                [
                    *("workload:branch", "pull", "web/**"),
                    "web/x as workload from github with ref=refs/heads/any, repository_id=74",
                    "web (web.yaml:8), workload branch (web.yaml:6)",
                ]
            ],
            id="a-workload-that-comes",
        ),
        pytest.param(
            LESS,
            f"{LESS}  - {{id: s, to: [workloads], repositories: [s], role: reader, when: {{claims: {{sub: x-y}}}}}}\n",
            [
                [
                    *("workloads where sub is x-y", "pull", "s"),
                    "s as workload from github with environment=production, repository_id=74, sub=x-y",
                    "s (web.yaml:8)",
                ]
            ],
            id="claims-that-a-rule-demands",
        ),
    ],
)
def test_machines(tmp_path: Path, old: str, new: str, expected: list[list[str]]) -> None:
    """Robots by name, workloads by their source and claims; the declaration that is the cause beside the rule."""
    result = run(folder(tmp_path / "old", old), folder(tmp_path / "new", new))
    lines = [re.split(r"\s{2,}", line) for line in result.stdout.splitlines()]
    assert lines[2:-2] == expected


def test_json_of_machines(tmp_path: Path) -> None:
    """The form that tests in policy files have, so that a witness can become one."""
    old = LESS.replace("web/**", "w")
    new = MACHINES.replace("ROW", "all: {from: github, claims: {repository_id: '*', environment: [production, test]}}")
    result = run(folder(tmp_path / "old", old), folder(tmp_path / "new", new), "--json")
    facts = [(one["who"], one["as"], one["asked"]["kind"]) for one in json.loads(result.stdout)["gains"]]
    claims = {"environment": "test", "repository_id": "any"}
    assert facts[2:] == [
        ("robots", {"robot": "ci-web"}, "robot"),
        ("workloads", {"workload": {"from": "github", "claims": claims}}, "workload"),
    ]


def test_markdown_of_machines(tmp_path: Path) -> None:
    """Values of claims are code, too."""
    new = MACHINES.replace("ROW", 'odd: {from: github, claims: {sub: "@a|`b`"}}')
    result = run(folder(tmp_path / "old", LESS), folder(tmp_path / "new", new), "--markdown")
    assert "| `web/x as workload from github with sub=@a\\|'b'` |" in result.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["old"], "name two folders", id="one-folder"),
        pytest.param(["old", "new", "more"], "name two folders", id="three-folders"),
        pytest.param(["old", "new", "--git", "a..b"], "name at most one folder", id="two-folders-and-revisions"),
        pytest.param(["old", "new", "--json", "--markdown"], "exclude each other", id="two-forms"),
        pytest.param(["old", "new", "--at", "noon"], "must be a date", id="no-date"),
        pytest.param(["old", "missing"], "cannot be read as a folder", id="no-folder"),
        pytest.param(["old", "new", "--staged"], "name at most one folder", id="two-folders-and-the-index"),
        pytest.param(["--git", "main", "old"], "git says", id="no-repository-for-one"),
        pytest.param(["--git", "main..HEAD", "old"], "git says", id="no-repository"),
    ],
)
def test_wrong_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str) -> None:
    """Exit code 2, and what would be right."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    folder(tmp_path / "old", READER)
    folder(tmp_path / "new", READER)
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_faults_of_both_sides(repository: Path) -> None:
    """All at once, each with its revision, file and line."""
    commit(READER.replace("actions", "acitons"))
    commit(READER.replace("everyone", "everybody"))
    old, new = (git("rev-parse", "--short=12", name) for name in ("HEAD~1", "HEAD"))
    result = run("--git", "HEAD~1..HEAD")
    assert result.exit_code == 2
    assert f"{old}:policies/web.yaml:4: allow[0].acitons: unknown key" in result.stderr
    assert f"{new}:policies/web.yaml:4: allow[0].to[0]: 'everybody'" in result.stderr


def test_two_dots_and_three(repository: Path) -> None:
    """Two compare the revisions themselves, three compare with where both parted; what is left out is HEAD."""
    commit(READER)
    git("checkout", "--quiet", "-b", "change")
    commit(CATALOG)
    git("checkout", "--quiet", "main")
    commit(WRITER)
    git("checkout", "--quiet", "change")
    codes = {text: run("--git", text).stdout.splitlines()[-1] for text in ("main..change", "main...", "..main")}
    assert codes == {
        "main..change": "new access (1 gained, 1 lost)",
        "main...": "new access (1 gained, 0 lost)",
        "..main": "new access (1 gained, 1 lost)",
    }


def test_one_revision_is_compared_with_the_files(repository: Path) -> None:
    """Those in the folder now, whether staged or not, as `git diff REV` does; faults name the folder's own files."""
    commit(READER)
    folder(repository / "policies", WRITER)
    result = run("--git", "main")
    assert (result.exit_code, result.stderr) == (4, "")
    assert result.stdout.splitlines()[-1] == "new access (1 gained, 0 lost)"
    git("add", "--all")
    assert run("--git", "HEAD", "policies").stdout == result.stdout
    git("commit", "--quiet", "--message", "x")
    assert run("--git", "main").stdout == "the same access as before\n"
    assert run("--git", "main~1").stdout == result.stdout
    folder(repository / "policies", READER.replace("actions", "acitons"))
    result = run("--git", "main")
    assert (result.exit_code, "\npolicies/web.yaml:4: allow[0].acitons" in f"\n{result.stderr}") == (2, True)


def test_staged(repository: Path) -> None:
    """The index alone counts, as for `git diff --staged`; by default it is compared with HEAD."""
    commit(READER)
    folder(repository / "policies", WRITER)
    assert run("--staged").exit_code == 0
    git("add", "--all")
    folder(repository / "policies", READER.replace("actions", "acitons"))
    assert (run("--staged").exit_code, run("--staged", "--git", "main").exit_code) == (4, 4)
    git("add", "--all")
    result = run("--staged", "policies")
    assert (result.exit_code, "\nstaged:policies/web.yaml:4: allow[0].acitons" in f"\n{result.stderr}") == (2, True)
    assert "with --staged, name one revision" in run("--staged", "--git", "main..HEAD").stderr


@pytest.mark.long
@pytest.mark.parametrize("linked", [False, True], ids=["repository", "linked-worktree"])
def test_a_hook(repository: Path, monkeypatch: pytest.MonkeyPatch, linked: bool) -> None:
    """The hook of the page stops a commit that grants access, also in a linked worktree, where git sets GIT_DIR."""
    (script,) = re.findall(r"^```sh hook\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    commit(READER)
    hook = repository / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(script)
    hook.chmod(0o755)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if linked:
        tree = repository.with_name(f"{repository.name}-linked")
        git("worktree", "add", "--quiet", str(tree))
        monkeypatch.chdir(tree)
    command = ["git", "-c", "user.name=T", "-c", "user.email=t@example.com", "commit", "--quiet", "-a", "-m", "x"]
    folder(Path("policies"), WRITER)
    stopped = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (stopped.returncode, "new access (1 gained, 0 lost)" in stopped.stdout + stopped.stderr) == (1, True), (
        stopped
    )
    folder(Path("policies"), READER.replace("[pull]", "[pull] "))
    assert subprocess.run(command, check=False).returncode == 0


@pytest.fixture
def shallow(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shallow clone of a branch that has left main, the working folder, as a build server makes it."""
    commit(READER)
    git("checkout", "--quiet", "-b", "change")
    commit(WRITER)
    commit(CATALOG)
    clone = repository.with_name(f"{repository.name}-clone")
    git("clone", "--quiet", "--depth=1", "--branch=change", repository.as_uri(), str(clone))
    monkeypatch.chdir(clone)
    return clone


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("origin/main", "'origin/main': no such revision in ", id="branch"),
        pytest.param("origin/main...HEAD", "'origin/main': no such revision in ", id="since-the-branch"),
        pytest.param("HEAD~1..HEAD", "'HEAD~1': no such revision in ", id="commit"),
    ],
)
def test_a_shallow_clone_is_recognised(shallow: Path, text: str, said: str) -> None:
    """The message has the settings of build servers and a command, which works."""
    result = run("--git", text)
    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr
    (command,) = re.findall(r"fix: git (fetch .*?) \(GitHub Actions: fetch-depth: 0 ", result.stderr)
    git(*shlex.split(command))
    assert run("--git", text).exit_code == 4


def test_a_shallow_clone_without_the_merge_base(shallow: Path) -> None:
    """Both revisions are there, and what they have in common is not."""
    git("fetch", "--quiet", "--depth=1", "origin", "main:refs/remotes/origin/main")
    result = run("--git", "origin/main...HEAD")
    assert result.exit_code == 2
    assert "'origin/main' and 'HEAD' have no common commit; this is a shallow clone" in result.stderr
    assert run("--git", "origin/main..HEAD").exit_code == 4


def test_revisions_without_a_common_commit(repository: Path) -> None:
    """A whole clone has no missing history to point at."""
    commit(READER)
    git("checkout", "--quiet", "--orphan", "other")
    commit(WRITER)
    result = run("--git", "main...other")
    assert "have no common commit; fix: compare the two themselves with main..other" in result.stderr
    assert run("--git", "main..other").exit_code == 4


def test_a_revision_without_the_folder(repository: Path) -> None:
    """Which revision it is."""
    commit(READER)
    result = run("--git", "main", "elsewhere")
    assert (result.exit_code, "elsewhere): has no such folder" in result.stderr) == (2, True)


def test_what_is_committed_counts(repository: Path) -> None:
    """Attributes that leave files out of archives, the working folder and other files do not."""
    (repository / ".gitattributes").write_text("*.yaml export-ignore\n")
    (repository / "policies").mkdir()
    (repository / "policies" / "README.md").write_text("not a policy\n")
    commit(READER)
    commit(WRITER)
    (repository / "policies" / "web.yaml").unlink()
    assert run("--git", "HEAD~1..HEAD", "policies").exit_code == 4


def test_a_folder_that_is_gone(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It need not be in the working tree, and the repository itself may be the folder."""
    commit(READER)
    commit(WRITER)
    (repository / "policies" / "web.yaml").rename(repository / "web.yaml")
    (repository / "policies").rmdir()
    assert run("--git", "HEAD~1..HEAD", "policies").exit_code == 4
    git("add", "--all")
    git("commit", "--quiet", "--message", "x")
    assert run("--git", "HEAD..HEAD", ".").exit_code == 0


def test_team_folders_come_out_of_git(repository: Path) -> None:
    """Files in sub-folders belong to the tree, with the modes that the loader wants."""
    teams = repository / "policies" / "teams"
    teams.mkdir(parents=True)
    (teams / "web.yaml").write_text(
        'version: 1\nallow:\n  - {id: t, to: ["user:ann"], repositories: [web/x], actions: [push]}\n'
    )
    commit(READER + 'delegate:\n  - {file: teams/web.yaml, repositories: ["web/**"], actions: [push]}\n')
    assert run("--git", "HEAD..HEAD").stdout == "the same access as before\n"


CONFIG = """\
issuer: i
server: {url: http://localhost:5001}
registries: [{service: one}]
anonymous: true
policies: access
keys: keys
"""


@pytest.mark.parametrize("options", [["--config", "site/server.yaml"], []], ids=["named", "found"])
def test_the_configuration_says_which_folder(repository: Path, options: list[str]) -> None:
    """Where the command line does not; it is looked for as every command does."""
    config = repository / ("site/server.yaml" if options else "tokenserver.yaml")
    for text in (READER, WRITER):
        config.parent.mkdir(exist_ok=True)
        config.write_text(CONFIG)
        folder(config.parent / "access", text)
        git("add", "--all")
        git("commit", "--quiet", "--message", "x")
    result = run("--git", "HEAD~1..HEAD", *options)
    assert (result.exit_code, result.stderr) == (4, "")
    assert run("--git", "HEAD..HEAD", *options).exit_code == 0
    config.write_text("polices: access\n")
    assert run("--git", "HEAD..HEAD", *options).exit_code == 2


def test_links_in_git_are_refused(repository: Path) -> None:
    """They could lead anywhere."""
    commit(READER)
    (repository / "policies" / "more.yaml").symlink_to("web.yaml")
    commit(READER)
    result = run("--git", "HEAD~1..HEAD")
    assert result.exit_code == 2
    assert "policies/more.yaml: is a symbolic link; commit the file itself" in result.stderr


def test_names_in_git_stay_inside_the_folder(repository: Path) -> None:
    """A tree that git would not make, with a name that leads out of the folder, writes nothing."""
    commit(READER)
    blob = git("rev-parse", "HEAD:policies/web.yaml")
    entry = b"100644 x.yaml\0" + bytes.fromhex(blob)
    for name in (b"..", b"policies"):
        made = subprocess.run(
            ["git", "hash-object", "-t", "tree", "-w", "--stdin", "--literally"],
            input=entry,
            check=True,
            capture_output=True,
        )
        entry = b"40000 " + name + b"\0" + bytes.fromhex(made.stdout.decode().strip())
    made = subprocess.run(
        ["git", "hash-object", "-t", "tree", "-w", "--stdin", "--literally"],
        input=entry,
        check=True,
        capture_output=True,
    )
    bad = git("commit-tree", "-m", "x", made.stdout.decode().strip())
    result = run("--git", f"HEAD..{bad}")
    assert result.exit_code == 2
    assert "leads out of the folder" in result.stderr


def test_a_revision_is_no_option(repository: Path) -> None:
    """Whatever it begins with."""
    commit(READER)
    for text in ("--all..HEAD", "--all"):
        result = run("--git", text)
        assert result.exit_code == 2
        assert "'--all': no such revision in " in result.stderr


def test_a_folder_outside_the_repository(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where the environment says which repository it is."""
    commit(READER)
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(repository))
    result = run("--git", "HEAD..HEAD", tmp_path_factory.mktemp("outside"))
    assert result.exit_code == 2
    assert "does not lie in the repository" in result.stderr


def test_git_is_not_installed(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is said."""
    monkeypatch.setenv("PATH", str(repository))
    result = run("--git", "HEAD..HEAD")
    assert result.exit_code == 2
    assert "needs the program git" in result.stderr


def test_the_example_of_the_page(repository: Path) -> None:
    """The page's change, as its lines with and without - and + say, gives the page's output."""
    (change,) = re.findall(r"^```diff\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    ((command, shown),) = re.findall(
        r"^```console\n\$ tokenserver ([^\n]*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
    )
    lines = change.splitlines()
    commit("version: 1\n\n" + "".join(f"{line[1:]}\n" for line in lines if line[0] in " -"))
    git("checkout", "--quiet", "-b", "change")
    commit("version: 1\n\n" + "".join(f"{line[1:]}\n" for line in lines if line[0] in " +"))
    result = CliRunner().invoke(main, shlex.split(command))
    assert (result.exit_code, result.stderr) == (4, "")
    assert result.stdout == shown


OPS = READER + 'groups: {ops: {users: [otto]}}\nadministrators: ["group:ops"]\n'


def test_administrators(tmp_path: Path) -> None:
    """Somebody who becomes an administrator is new access, and named in each form."""
    both = (folder(tmp_path / "old", OPS), folder(tmp_path / "new", OPS.replace("otto", "nina")))
    shown = run(*both)
    assert shown.exit_code == 4
    assert [re.split(r"\s{2,}", line) for line in shown.stdout.splitlines()] == [
        ["administrators"],
        ["change", "who", "by"],
        ["added", "user:nina", "group:ops"],
        ["removed", "user:otto", "group:ops"],
        [""],
        ["new access (1 gained, 1 lost)"],
    ]
    assert "| `added` | `user:nina` | `group:ops` |" in run(*both, "--markdown").stdout
    assert json.loads(run(*both, "--json").stdout)["administrators"] == [
        {"change": "added", "who": "user:nina", "entries": ["group:ops"]},
        {"change": "removed", "who": "user:otto", "entries": ["group:ops"]},
    ]


def test_owners_of_robots(tmp_path: Path) -> None:
    """Whoever comes to manage a robot's secrets is new access, and named in each form."""
    text = READER + 'groups: {web: {users: [otto]}}\nrobots: {ci: {owners: ["group:web"]}}\n'
    both = (folder(tmp_path / "old", text), folder(tmp_path / "new", text.replace("otto", "nina")))
    shown = run(*both)
    assert shown.exit_code == 4
    assert [re.split(r"\s{2,}", line) for line in shown.stdout.splitlines()] == [
        ["owners of robots"],
        ["change", "robot", "who", "by"],
        ["added", "ci", "user:nina", "group:web"],
        ["removed", "ci", "user:otto", "group:web"],
        [""],
        ["new access (1 gained, 1 lost)"],
    ]
    assert "| `added` | `ci` | `user:nina` | `group:web` |" in run(*both, "--markdown").stdout
    assert json.loads(run(*both, "--json").stdout)["owners"] == [
        {"change": "added", "robot": "ci", "who": "user:nina", "entries": ["group:web"]},
        {"change": "removed", "robot": "ci", "who": "user:otto", "entries": ["group:web"]},
    ]
    ownerless = folder(tmp_path / "none", READER + "groups: {web: {users: [otto]}}\nrobots: {ci: {description: x}}\n")
    assert run(both[0], ownerless).exit_code == 3
    assert run(ownerless, both[0], "--fail-on", "new-access").exit_code == 4


def test_fewer_administrators(tmp_path: Path) -> None:
    """Less access, with its exit code."""
    both = (folder(tmp_path / "old", OPS), folder(tmp_path / "new", OPS.replace("[otto]", "[ann]")))
    fewer = folder(tmp_path / "fewer", READER + "groups: {ops: {users: [otto]}}\n")
    assert run(both[0], fewer).exit_code == 3
    assert run(both[0], fewer, "--fail-on", "new-access").exit_code == 0
    assert run(fewer, both[0], "--fail-on", "new-access").exit_code == 4
