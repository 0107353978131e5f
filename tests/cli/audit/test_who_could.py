"""`tokenserver audit who-could`: the policies of a moment, from snapshots and git, and who could do it by them."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from audit_lines import exchange, log
from click.testing import CliRunner, Result

from tokenserver.cli.main import main
from tokenserver.policy.history.kept_snapshots import keep
from tokenserver.policy.loading.loader import compile_texts

NAME = "web.yaml"


def text(principal: str) -> str:
    """Policies by which this principal can push."""
    return f'version: 1\nallow:\n  - {{id: w, to: ["{principal}"], repositories: ["web/**"], role: writer}}\n'


def digest(principal: str) -> str:
    """The digest of these policies."""
    return compile_texts({NAME: text(principal)})[0].digest


ANN, DEVS = digest("user:ann"), digest("group:devs")


@pytest.fixture(autouse=True)
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with kept policies and events: ann's were in force in the morning, those of a group from noon on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOKENSERVER_CONFIG", raising=False)
    for principal in ("user:ann", "group:devs"):
        keep(Path("kept"), compile_texts({NAME: text(principal)})[0], datetime(2026, 11, 3, tzinfo=UTC))
    at = {"08:00:00": ANN, "11:59:59": ANN, "12:00:00": DEVS, "12:00:01": ANN, "13:00:00": DEVS}
    Path("audit.jsonl").write_bytes(
        log(*(exchange(time=f"2026-11-03T{time}.000Z", policy=one) for time, one in at.items()), b"no event")
    )


def who_could(*arguments: str) -> Result:
    """Run the command about a push to web/site."""
    return CliRunner().invoke(main, ["audit", "who-could", "push", "web/site", *arguments])


@pytest.mark.parametrize(
    ("at", "expected", "seen"),
    [
        ("2026-11-03T09:00:00Z", "user:ann", "08:00:00"),
        ("2026-11-03T11:59:59Z", "user:ann", "11:59:59"),
        ("2026-11-03T12:00:00Z", "group:devs", "12:00:00"),
        ("2026-11-03T12:30:00Z", "user:ann", "12:00:01"),
        ("2026-11-04", "group:devs", "13:00:00"),
    ],
)
def test_the_policies_of_the_moment(at: str, expected: str, seen: str) -> None:
    """Those that decided the last event up to it."""
    result = who_could("audit.jsonl", "--at", at, "--snapshots", "kept")
    assert result.exit_code == 0, result.output
    assert result.stdout.split()[3] == expected
    assert f"which decided the event of 2026-11-03T{seen}.000Z: snapshot kept/" in result.stderr


def test_near_a_change() -> None:
    """Other policies that events less than a minute away name are said, with their times."""
    result = who_could("audit.jsonl", "--at", "2026-11-03T12:00:00Z", "--snapshots", "kept")
    _, notice, other, advice, *_ = result.stderr.splitlines()
    assert notice == "events less than a minute away were decided by other policies:"
    assert other == f"  {ANN} (2 from 2026-11-03T11:59:59.000Z to 2026-11-03T12:00:01.000Z)"
    assert "--policy DIGEST asks about those" in advice
    result = who_could("audit.jsonl", "--at", "2026-11-03T14:00:00Z", "--snapshots", "kept")
    assert "less than a minute" not in result.stderr


def test_json() -> None:
    """The evidence, the place where the policies were found, and the answer of `policy who-can`."""
    result = who_could("audit.jsonl", "--at", "2026-11-03T12:00:00Z", "--snapshots", "kept", "--json")
    assert result.exit_code == 0
    facts = json.loads(result.stdout)
    assert facts["other_policies"] == [
        {"policy": ANN, "first": "2026-11-03T11:59:59.000Z", "last": "2026-11-03T12:00:01.000Z", "count": 2}
    ]
    expected = {
        "at": "2026-11-03T12:00:00.000Z",
        "policy": DEVS,
        "policy_seen": "2026-11-03T12:00:00.000Z",
        "found": f"snapshot kept/{DEVS}.json",
        "found_since": "2026-11-03T00:00:00Z",
        "action": "push",
        "repository": "web/site",
        "groups": ["devs"],
        "users": [],
        "directory_groups": ["devs"],
    }
    assert {name: facts[name] for name in expected} == expected


def test_groups_of_user_sources() -> None:
    """Who was in them is in no policy file, and the answer says so."""
    result = who_could("--policy", DEVS[:8], "--at", "2026-11-03", "--snapshots", "kept")
    assert result.stderr.splitlines()[-1].startswith("the members of group:devs are in no policy file")
    result = who_could("--policy", ANN, "--at", "2026-11-03", "--snapshots", "kept")
    assert result.stderr == f"policies {ANN[:12]}: snapshot kept/{ANN}.json, 2026-11-03T00:00:00Z\n"


def test_nobody() -> None:
    """Exit code 1; and about a pattern."""
    for name in ("infra/x", "infra/**"):
        arguments = ["push", name, "--policy", ANN, "--at", "2026-11-03", "--snapshots", "kept"]
        result = CliRunner().invoke(main, ["audit", "who-could", *arguments])
        assert result.exit_code == 1
        assert result.stdout.startswith("nobody can push ")


def commit(user: str) -> str:
    """Commit policies for this user in policies/; the commit."""
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    names = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    def git(*arguments: str) -> str:
        run = subprocess.run(
            ["git", *arguments], check=True, capture_output=True, text=True, env={**os.environ, **settings, **names}
        )
        return run.stdout.strip()

    Path("policies").mkdir(exist_ok=True)
    Path("policies", NAME).write_text(text(user))
    git("init", "-q")
    git("add", "policies")
    git("commit", "-q", "-m", user)
    return git("rev-parse", "HEAD")


def test_from_git() -> None:
    """The commit and its time; snapshots are asked first where both are named."""
    first = commit("user:ann")
    commit("user:eve")
    result = who_could("audit.jsonl", "--at", "2026-11-03T09:00:00Z", "--git", "policies")
    assert result.exit_code == 0, result.output
    assert f": commit {first[:12]}, " in result.stderr
    assert "user:ann" in result.stdout
    both = who_could("audit.jsonl", "--at", "2026-11-03T09:00:00Z", "--git", "policies", "--snapshots", "kept")
    assert f"snapshot kept/{ANN}.json" in both.stderr
    none = who_could("--policy", "0" * 64, "--at", "2026-11-03", "--git", "policies", "--snapshots", "none")
    assert none.exit_code == 2
    assert "in snapshots of none or any commit of " in none.stderr
    eve = who_could("--policy", digest("user:eve"), "--at", "2026-11-03", "--git", "policies", "--snapshots", "kept")
    assert ": commit " in eve.stderr


CONFIG = """\
issuer: auth.example.com
server: {listen: "127.0.0.1:5001", url: "http://127.0.0.1:5001"}
registries: [{service: registry.example.com}]
authentication: [{htpasswd: {file: users}}]
policies: policies
keys: keys
"""


@pytest.mark.parametrize(
    ("more", "is_committed", "found"),
    [
        pytest.param("", True, "commit ", id="git"),
        pytest.param("audit: {policy_snapshots: kept}\n", False, "snapshot ", id="snapshots"),
        pytest.param("audit: {policy_snapshots: kept}\n", True, "snapshot ", id="both"),
        pytest.param("", False, "is in no git repository, and audit.policy_snapshots is not configured", id="neither"),
    ],
)
def test_as_the_configuration_says(more: str, is_committed: bool, found: str) -> None:
    """Without `--git` and `--snapshots`: the kept policies, and the repository in which the policies are."""
    Path("tokenserver.yaml").write_text(CONFIG + more)
    if is_committed:
        commit("user:ann")
    result = who_could("--policy", ANN, "--at", "2026-11-03")
    assert (result.exit_code, found in result.stderr) == ((0 if found[-1] == " " else 2), True), result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["audit.jsonl", "--at", "2026-11-02", "--snapshots", "kept"], "no event up to 2026-11-02T00:00:00",
                     id="too early"),
        pytest.param(["audit.jsonl", "--at", "2026-11-02", "--snapshots", "kept"],
                     f"the first one after it, of 2026-11-03T08:00:00.000Z, was decided by {ANN}", id="the first"),
        pytest.param(["empty.jsonl", "--at", "2026-11-02", "--snapshots", "kept"], "were in force; fix: name older",
                     id="no event at all"),
        pytest.param(["audit.jsonl", "--at", "noon", "--snapshots", "kept"], "'noon'", id="no moment"),
        pytest.param(["audit.jsonl", "--snapshots", "kept"], "Missing option '--at'", id="when"),
        pytest.param(["audit.jsonl", "--at", "2026-11-04"], "say where the policies of that time are", id="where"),
        pytest.param(["--policy", "no", "--at", "2026-11-04", "--snapshots", "kept"], "'no' is no digest", id="digest"),
        pytest.param(["--policy", "0" * 8, "--at", "2026-11-04", "--snapshots", "kept"], "no policies 00000000 in",
                     id="unknown"),
        pytest.param(["none.jsonl", "--at", "2026-11-04", "--snapshots", "kept"], "cannot be read", id="no file"),
    ],
)  # fmt: skip
def test_wrong_use(arguments: list[str], said: str) -> None:
    """Exit code 2, with what to do."""
    Path("empty.jsonl").write_text("")
    result = who_could(*arguments)
    assert (result.exit_code, said in result.stderr) == (2, True), result.output


def test_a_digest_that_is_not_unique() -> None:
    """All that begin so."""
    for end in "01":
        Path("kept", f"abcd{end:0<60}.json").write_text("{}")
    result = who_could("--policy", "abcd", "--at", "2026-11-03", "--snapshots", "kept")
    assert f"'abcd' begins several digests: abcd{'':0<60} abcd1{'':0<59}" in result.stderr


def test_a_shallow_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It lacks older commits, and the message has the command that gets them."""
    commit("user:ann")
    commit("user:eve")
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{Path.cwd()}", "clone"], check=True)
    result = who_could("--policy", ANN, "--at", "2026-11-03", "--git", "clone/policies")
    assert (result.exit_code, "git fetch --unshallow" in result.stderr) == (2, True)
