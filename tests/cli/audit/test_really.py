"""`tokenserver audit who-did --really`: what registries report, as a table and as JSON, and the alarm."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from audit_lines import exchange, log, report
from click.testing import CliRunner, Result

from tokenserver.audit import real_deeds
from tokenserver.cli.main import main


def really(*arguments: object) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["audit", "who-did", *map(str, arguments), "--really"])


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """A push of ann with its token, sent twice; a mount; a push that no token allowed; and one that nobody did."""
    used = ["repository:web/site:push", "repository:base/os:pull"]
    path = tmp_path / "audit.jsonl"
    path.write_bytes(
        log(
            exchange(jti="t-1", credential="AAAABBBBCCCC"),
            exchange(subject="bob", granted=["repository:web/idle:push"]),
            report(1),
            report(1, time="2026-11-03T12:06:00.000Z"),
            report(2, action="mount", from_repository="base/os", used=used, tag=None, at="2026-11-03T12:06:00.000Z"),
            report(3, subject="mallory\x1b[2J", at="2026-11-03T12:07:00.000Z", client=None),
            report(4, subject=None, at="2026-11-03T12:08:00.000Z", repository="web/zot", digest=None),
        )
    )
    return path


def test_table(events: Path) -> None:
    """A row for each deed, the last first; nothing from elsewhere controls the terminal."""
    result = really("push", "web/**", events)
    assert result.exit_code == 0, result.output
    heads, *rows = (line.split("  ") for line in result.stdout.splitlines())
    assert [one.strip() for one in heads if one.strip()] == [
        "WHO", "WHAT", "WHERE", "TIMES", "FIRST", "LAST", "FROM", "ALLOWED BY",
    ]  # fmt: skip
    cells = [[one.strip() for one in row if one.strip()] for row in rows]
    where = "registry.example.com"
    short = "sha256:000000000000"
    times = [f"2026-11-03T12:0{minute}:00.000Z" for minute in (8, 7, 6, 5)]
    assert "\x1b" not in result.stdout
    assert [row[1:] for row in cells] == [
        ["push web/zot:1", where, "1", times[0], times[0], "10.1.2.3", "a token"],
        [f"push web/site:1@{short}", where, "1", times[1], times[1], "-", "NO TOKEN"],
        [f"mount web/site@{short} from base/os", where, "1", times[2], times[2], "10.1.2.3", "writers"],
        [f"push web/site:1@{short}", where, "1", times[3], times[3], "10.1.2.3", "writers"],
    ]
    assert [row[0] for row in cells][0::3] == ["not reported", "ann by key AAAABBBBCCCC"]
    assert "1 were allowed by no token of this server" in result.stderr


def test_json(events: Path) -> None:
    """The facts of each deed, with the ids of the tokens, and the counts."""
    result = really("push", "web/**", events, "--json", "--user", "ann")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert {name: answer[name] for name in ("without_token", "repeated", "not_kept")} == {
        "without_token": 0,
        "repeated": 1,
        "not_kept": 0,
    }
    assert answer["deeds"][1] == {
        "subject": "ann",
        "action": "push",
        "repository": "web/site",
        "from_repository": None,
        "tag": "1",
        "digest": "sha256:" + "0" * 64,
        "registry": "registry.example.com",
        "outcome": "allowed",
        "count": 1,
        "first": "2026-11-03T12:05:00.000Z",
        "last": "2026-11-03T12:05:00.000Z",
        "clients": ["10.1.2.3"],
        "credentials": ["AAAABBBBCCCC"],
        "workloads": [],
        "rules": ["writers"],
        "tokens": ["t-1"],
    }


def test_nobody(events: Path) -> None:
    """Exit code 1; what was allowed and not done is no deed."""
    result = really("push", "web/idle", events)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no registry reports that in these events" in result.stderr


def test_what_is_not_kept(events: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said."""
    monkeypatch.setattr(real_deeds, "MAX_DEEDS", 1)
    assert "more are not listed; narrow the question" in really("push", "web/**", events).stderr


def test_what_cannot_be_told(events: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report whose token may have been among those that were not kept is no alarm."""
    monkeypatch.setattr(real_deeds, "MAX_WAITING", 0)
    result = really("push", "web/**", events)
    assert "unknown" in result.stdout
    assert "NO TOKEN" not in result.stdout


def test_denied_and_done_exclude_each_other(events: Path) -> None:
    """Wrong use."""
    result = really("push", "web/**", events, "--denied")
    assert result.exit_code == 2
    assert "exclude each other" in result.stderr


QUESTIONS = {
    "everything": ("push", "**"),
    "of a user": ("push", "web/**", "--user", "ann"),
    "of a registry": ("push", "web/**", "--registry", "registry.example.com"),
    "of another registry": ("push", "web/**", "--registry", "other.example.com"),
    "by the rule of the token": ("push", "web/**", "--rule", "writers"),
    "by the credential of the token": ("push", "web/**", "--credential", "AAAABBBBCCCC"),
    "by the group of the token": ("push", "web/**", "--group", "web-devs"),
    "from where the token was issued to": ("push", "web/**", "--from", "10.1.0.0/16"),
    "the other repository of a mount": ("pull", "base/**"),
    "in a time": ("push", "web/**", "--since", "2026-11-03T12:05:30Z", "--until", "2026-11-03T12:07:30Z"),
    "nothing": ("delete", "web/**"),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_store(events: Path, tmp_path: Path, name: str) -> None:
    """Gives the answer of the files."""
    made = CliRunner().invoke(main, ["audit", "index", str(events), "--into", str(tmp_path / "audit.db")])
    assert made.exit_code == 0, made.output
    of_files = really(*QUESTIONS[name], "--json", events)
    of_store = really(*QUESTIONS[name], "--json", "--store", tmp_path / "audit.db")
    assert (of_store.exit_code, of_store.stdout, of_store.stderr) == (
        of_files.exit_code,
        of_files.stdout,
        of_files.stderr,
    )
    assert of_files.exit_code == (1 if name in {"nothing", "of another registry"} else 0)
