"""`tokenserver audit who-did`: deeds as a table and as JSON, exit codes, and wrong use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from audit_lines import exchange, log
from click.testing import CliRunner, Result

from tokenserver.audit import deeds as deeds_module
from tokenserver.cli.main import main


def who_did(*arguments: object) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["audit", "who-did", *map(str, arguments)])


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """Two pushes of ann, one of a workload with a key, and one that bob was denied."""
    path = tmp_path / "audit.jsonl"
    path.write_bytes(
        log(
            exchange(),
            exchange(time="2026-11-03T12:00:09.000Z", client="10.0.0.9"),
            exchange(
                time="2026-11-03T13:00:00.000Z", subject="workload:ci", credential="AAAABBBBCCCC", workloads=["ci"]
            ),
            exchange(subject="bob", granted=["repository:web/site:pull"], rules=[]),
            exchange(subject="eve", asked=["repository:infra/x:push"], granted=["repository:infra/x:push"]),
            {"time": "2026-11-03T12:00:03.000Z", "event": "management", "asked": ["repository:web/site:push"]},
        )
    )
    return path


def test_table(events: Path) -> None:
    """One row for each deed, the last first."""
    result = who_did("push", "web/**", events)
    assert result.exit_code == 0, result.output
    heads, first, second = result.stdout.splitlines()
    assert heads.split() == ["WHO", "WHAT", "WHERE", "TIMES", "FIRST", "LAST", "FROM", "RULES"]
    assert first.startswith("workload:ci (ci) by key AAAABBBBCCCC  push web/site  registry.example.com  1  ")
    assert second.split() == [
        "ann", "push", "web/site", "registry.example.com", "2", "2026-11-03T12:00:00.250Z", "2026-11-03T12:00:09.000Z",
        "10.1.2.3,", "10.0.0.9", "writers",
    ]  # fmt: skip


def test_denied_as_json(events: Path) -> None:
    """Who was denied it, with the facts of each deed."""
    result = who_did("push", "web/**", events, "--denied", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "deeds": [
            {
                "subject": "bob",
                "what": "push web/site",
                "registry": "registry.example.com",
                "outcome": "denied",
                "count": 1,
                "first": "2026-11-03T12:00:00.250Z",
                "last": "2026-11-03T12:00:00.250Z",
                "clients": ["10.1.2.3"],
                "credentials": [],
                "workloads": [],
                "rules": [],
            }
        ],
        "not_kept": 0,
    }


def test_nobody(events: Path) -> None:
    """Exit code 1."""
    result = who_did("delete", "web/**", events)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "nobody was granted delete web/** in these events\n"


def test_too_many(events: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not listed is counted; of many clients a few are shown."""
    monkeypatch.setattr(deeds_module, "MAX_DEEDS", 1)
    result = who_did("push", "**", events, "--user", "ann")
    assert result.exit_code == 0
    result = who_did("push", "**", events)
    assert "2 more accesses are not listed; narrow the question" in result.stderr


def test_anonymous_and_many_clients(tmp_path: Path) -> None:
    """Anonymous clients have no name, and the fourth client is one of `1 more`."""
    path = tmp_path / "a"
    path.write_bytes(log(*(exchange(subject="", client=f"10.0.0.{number}", rules=None) for number in range(4))))
    assert who_did("pull", "web/*", path).stdout.splitlines()[1].split() == [
        "anonymous", "pull", "web/site", "registry.example.com", "4", "2026-11-03T12:00:00.250Z",
        "2026-11-03T12:00:00.250Z", "10.0.0.0,", "10.0.0.1,", "10.0.0.2", "and", "1", "more", "no", "rule",
    ]  # fmt: skip


@pytest.mark.parametrize("pattern", ["web/${user}/*", "web//x"])
def test_wrong_pattern(events: Path, pattern: str) -> None:
    """Exit code 2."""
    result = who_did("push", pattern, events)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
