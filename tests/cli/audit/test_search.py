"""`tokenserver audit search`: the table, JSON, limits, exit codes, and what is wrong with files and conditions."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from audit_lines import exchange, line, log, report
from click.testing import CliRunner, Result

from tokenserver.cli.main import main

_EVENTS = (
    exchange(),
    exchange(time="2026-11-03T12:00:01.000Z", subject="", asked=["repository:public/x:pull"], granted=[],
             outcome="denied"),
    exchange(time="2026-11-03T12:00:02.000Z", subject=None, username="bob", granted=None, groups=None, rules=None,
             outcome="invalid_credentials", reason="wrong password"),
    {"time": "2026-11-03T12:00:03.000Z", "event": "management", "action": "end", "actor": "root", "owner": "ann",
     "credential": "AAAABBBBCCCC", "client": "10.1.2.3"},
    exchange(time="2026-11-03T12:00:04.000Z", asked=[f"repository:web/r{number}:pull" for number in range(5)],
             granted=[]),
)  # fmt: skip


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """A log of five events, and a line of something else."""
    path = tmp_path / "audit.jsonl"
    path.write_bytes(log(*_EVENTS, b'{"level":"info"}'))
    return path


def search(*arguments: object, input: bytes | None = None) -> Result:  # noqa: A002 - click's name
    """Run the command."""
    return CliRunner().invoke(main, ["audit", "search", *map(str, arguments)], input=input)


@pytest.mark.parametrize("is_stored", [False, True])
def test_reports_of_registries(tmp_path: Path, is_stored: bool) -> None:
    """Are found by the repository and the action that was made use of, in files and in a store."""
    path, store = tmp_path / "audit.jsonl", tmp_path / "audit.db"
    path.write_bytes(log(exchange(), report(), report(2, used=["repository:web/x:pull"], action="pull")))
    assert CliRunner().invoke(main, ["audit", "index", str(path), "--into", str(store)]).exit_code == 0
    where = ("--store", store) if is_stored else (path,)
    for conditions in (("--repository", "web/site"), ("--action", "push"), ("--action", "push", "--user", "ann")):
        found = [json.loads(one) for one in search("--json", *conditions, *where).stdout.splitlines()]
        assert [one["event"] for one in found] == ["exchange", "registry"]
        assert found[1]["event_id"] == "e-1"


def test_everything(events: Path) -> None:
    """Without a condition, each event is a row; other lines are counted."""
    result = search(events)
    assert result.exit_code == 0, result.output
    heads, *rows = result.stdout.splitlines()
    assert heads.split() == ["TIME", "EVENT", "WHO", "FROM", "WHERE", "WHAT", "OUTCOME"]
    assert [row.split()[:4] for row in rows] == [
        ["2026-11-03T12:00:00.250Z", "exchange", "ann", "10.1.2.3"],
        ["2026-11-03T12:00:01.000Z", "exchange", "anonymous", "10.1.2.3"],
        ["2026-11-03T12:00:02.000Z", "exchange", "bob", "10.1.2.3"],
        ["2026-11-03T12:00:03.000Z", "management", "root", "10.1.2.3"],
        ["2026-11-03T12:00:04.000Z", "exchange", "ann", "10.1.2.3"],
    ]
    assert rows[1].split()[4:] == ["registry.example.com", "repository:public/x:pull", "denied"]
    assert rows[2].endswith("invalid_credentials: wrong password")
    assert "end AAAABBBBCCCC" in rows[3]
    assert "repository:web/r2:pull and 2 more" in rows[4]
    assert result.stderr == "1 lines are no audit events\n"


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        (["--user", "ann"], [0, 3, 4]),
        (["--user", "ann", "--event", "exchange"], [0, 4]),
        (["--repository", "web/**"], [0, 2, 4]),
        (["--repository", "web/**", "--outcome", "granted"], [0]),
        (["--action", "push", "--outcome", "denied"], [2]),
        (["--outcome", "denied"], [1]),
        (["--credential", "AAAABBBBCCCC"], [3]),
        (["--rule", "writers"], [0, 1, 4]),
        (["--group", "web-devs", "--since", "2026-11-03T12:00:01Z"], [1, 4]),
        (["--until", "2026-11-03T12:00:01Z"], [0]),
        (["--until", "2026-11-03"], []),
        (["--since", "1s"], []),
        (["--from", "10.0.0.0/8", "--registry", "registry.example.com", "--user", "bob"], [2]),
        (["--robot", "ci"], []),
        (["--workload", "release"], []),
        (["--request-id", "0123456789abcdef", "--event", "management"], []),
    ],
)  # fmt: skip
def test_conditions(events: Path, conditions: list[str], found: list[int]) -> None:
    """Conditions narrow each other; exit code 1 where nothing is left."""
    result = search(events, "--json", *conditions)
    assert [json.loads(one) for one in result.stdout.splitlines()] == [_EVENTS[number] for number in found]
    assert result.exit_code == (0 if found else 1)


def test_last(events: Path) -> None:
    """The last ones, and how many there were."""
    result = search(events, "--last", 2, "--json")
    assert [json.loads(one)["time"][17:19] for one in result.stdout.splitlines()] == ["03", "04"]
    assert result.stderr.startswith("the last 2 of 5 events; --last N prints more\n")


@pytest.mark.parametrize("more", [(), ("--last", 1)])
def test_numbers_that_json_does_not_have(tmp_path: Path, more: tuple[str | int, ...]) -> None:
    """jq and others read each line: they are null."""
    text = line(exchange(seconds=5)).replace(b'"seconds":5', b'"seconds":[NaN,1e999,{"least":-Infinity},0.5]')
    (tmp_path / "a").write_bytes(text + b"\n")
    result = search(tmp_path / "a", "--json", *more)
    assert result.exit_code == 0
    assert json.loads(result.stdout, parse_constant=pytest.fail)["seconds"] == [None, None, {"least": None}, 0.5]


def test_several_files_and_standard_input(events: Path, tmp_path: Path) -> None:
    """In their order; compressed ones and standard input are read as well, which is the default."""
    packed = tmp_path / "audit.jsonl.1.gz"
    packed.write_bytes(gzip.compress(log(exchange(request_id="old"))))
    result = search(packed, events, "--json", "--user", "ann", "--event", "exchange")
    assert [json.loads(one)["request_id"] for one in result.stdout.splitlines()] == ["old"] + ["0123456789abcdef"] * 2
    wrapped = json.dumps({"MESSAGE": line(exchange(request_id="journal")).decode()}).encode()
    assert json.loads(search("--json", input=wrapped).stdout)["request_id"] == "journal"


def test_nothing(tmp_path: Path) -> None:
    """Exit code 1, and how much was read."""
    (tmp_path / "a").write_bytes(log(exchange()))
    result = search(tmp_path / "a", "--user", "eve")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "bytes meets these conditions" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--repository", "web/${user}/*"], "a question has no variables; fix: write the name, or *"),
        (["--repository", "web//x"], "--repository"),
        (["--since", "yesterday"], "must be a date (2027-01-31)"),
        (["--since", "999999w"], "is before the year 1"),
        (["--from", "10.0.0.0.0"], "--from"),
        (["--action", "write"], "--action"),
        (["--last", "0"], "--last"),
        (["no-such-file"], "no-such-file: cannot be read: No such file or directory"),
    ],
)
def test_wrong_use(arguments: list[str], problem: str) -> None:
    """Exit code 2, with what is wrong."""
    result = search(*arguments)
    assert result.exit_code == 2
    assert problem in result.stderr
    assert "Traceback" not in result.output


def test_control_characters(tmp_path: Path) -> None:
    """What a client sent moves no cursor."""
    (tmp_path / "a").write_bytes(log(exchange(subject="ev\x1b[31me", reason="a\nb")))
    assert "\x1b" not in search(tmp_path / "a").stdout


@pytest.mark.parametrize(
    ("event", "what", "outcome"),
    [
        pytest.param(
            {
                "what": "policies",
                "old": "a" * 64,
                "new": "b" * 64,
                "changed": ["x", "y", "z", "w"],
                "revision": "c" * 40,
                "clean": False,
                "outcome": "in_force",
            },
            f"policies: changed x, y, z and 1 more; {'a' * 12} to {'b' * 12}; commit {'c' * 12}, with changes",
            "in_force",
            id="policies",
        ),
        pytest.param(
            {
                "what": "users",
                "name": "local",
                "in_force": "a" * 64,
                "problems": ["users:3: wrong"],
                "outcome": "rejected",
            },
            f"users local: {'a' * 12}",
            "rejected: users:3: wrong",
            id="rejected",
        ),
        pytest.param(
            {
                "what": "policies",
                "in_force": "a" * 64,
                "revision": "c" * 40,
                "problems": ["p.yaml:3: wrong"],
                "outcome": "rejected",
            },
            f"policies: {'a' * 12}; rejected commit {'c' * 12}",
            "rejected: p.yaml:3: wrong",
            id="a rejected commit",
        ),
        pytest.param(
            {"what": "keys", "new": "b" * 64, "added": ["k2"], "dropped": ["k1"], "outcome": "in_force"},
            f"keys: added k2; dropped k1; {'b' * 12}",
            "in_force",
            id="keys",
        ),
        pytest.param(
            {"what": "oidc", "name": "corp", "outcome": "in_force"}, "oidc corp", "in_force", id="nothing more"
        ),
    ],
)
def test_changes(tmp_path: Path, event: dict[str, object], what: str, outcome: str) -> None:
    """What came into force, by names, digests and commit; nobody is named who did not do it."""
    path = tmp_path / "audit.jsonl"
    path.write_bytes(log({"time": "2026-11-03T12:00:00.000Z", "event": "change", **event}))
    _, row = search("--event", "change", path).stdout.splitlines()
    assert re.split(r" {2,}", row) == ["2026-11-03T12:00:00.000Z", "change", "-", "-", "-", what, outcome]
