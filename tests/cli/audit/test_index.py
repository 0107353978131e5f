"""`tokenserver audit index`, and `--store` in the commands that ask: the same answers as from files."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from audit_lines import exchange, log
from click.testing import CliRunner, Result

from tokenserver.cli.main import main
from tokenserver.policy.history.kept_snapshots import keep
from tokenserver.policy.loading.loader import compile_texts

POLICY = 'version: 1\nallow:\n  - {id: writers, to: ["user:ann"], repositories: ["web/**"], role: writer}\n'
LIVE = compile_texts({"a.yaml": POLICY})[0]


def run(*arguments: str, input: bytes | None = None) -> Result:  # noqa: A002 - click's name
    """Run a command of `tokenserver audit`."""
    return CliRunner().invoke(main, ["audit", *arguments], input=input)


@pytest.fixture(autouse=True)
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with events of three hundred requests, and policies."""
    monkeypatch.chdir(tmp_path)
    made = [
        exchange(
            time=f"2026-11-03T12:{number // 60:02d}:{number % 60:02d}.000Z",
            request_id=f"{number:016x}",
            subject=("ann", "bob", "eve")[number % 3],
            granted=["repository:web/site:pull,push"] if number % 3 else ["repository:web/site:pull"],
            policy=LIVE.digest,
        )
        for number in range(300)
    ]
    Path("audit.jsonl").write_bytes(log(*made, b"a line of something else"))
    Path("policies").mkdir(mode=0o755)
    Path("policies/a.yaml").write_text(POLICY)
    Path("policies/a.yaml").chmod(0o644)
    keep(Path("kept"), LIVE, datetime(2026, 11, 1, tzinfo=UTC))


def test_what_was_added() -> None:
    """New events, those that were there, and lines of something else; exit code 0."""
    first = run("index", "audit.jsonl", "--into", "s.db")
    assert first.exit_code == 0, first.output
    assert first.stdout.startswith("300 new events, 0 were there; s.db has ")
    assert first.stderr == "1 lines are no audit events\n"
    again = json.loads(run("index", "audit.jsonl", "--into", "s.db", "--json").stdout)
    assert again == {
        "added": 0, "known": 0, "other_lines": 0, "read_bytes": 0, "skipped_bytes": Path("audit.jsonl").stat().st_size,
    }  # fmt: skip
    piped = run("index", "--into", "s.db", input=Path("audit.jsonl").read_bytes())
    assert piped.stdout.startswith("0 new events, 300 were there; ")


@pytest.mark.parametrize(
    "command",
    [
        "search --user ann",
        "search --last 7",
        "search --user nobody",
        "search --repository web/** --action push --outcome denied",
        "search --json --since 2026-11-03T12:03:00Z",
        "search --json --last 3",
        "who-did push web/**",
        "who-did push web/** --denied --json",
        "unused --policies policies",
        "who-could push web/site --at 2026-11-03T12:01:00Z --snapshots kept --json",
        "who-could push web/site --at 2026-11-04 --snapshots kept",
    ],
)
def test_the_same_answer(command: str) -> None:
    """From the store as from the file."""
    run("index", "audit.jsonl", "--into", "s.db")
    of_file, of_store = (run(*command.split(), *more) for more in (["audit.jsonl"], ["--store", "s.db"]))
    assert (of_store.exit_code, of_store.stdout) == (of_file.exit_code, of_file.stdout)
    assert of_store.exit_code in (0, 1), of_store.output


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("search audit.jsonl --store s.db", "name files, or --store, but not both"),
        ("who-could push x --at 2026-11-04 --snapshots kept audit.jsonl --store s.db", "but not both"),
        ("search --store none.db", "is no store; fix: tokenserver audit index FILES --into none.db"),
        ("search --store audit.jsonl", "cannot be used as a store: file is not a database"),
        ("index audit.jsonl --into audit.jsonl", "cannot be used as a store: file is not a database"),
        ("index none.jsonl --into s.db", "none.jsonl: cannot be read"),
        ("index audit.jsonl", "Missing option '--into'"),
    ],
)
def test_wrong_use(command: str, said: str) -> None:
    """Exit code 2, and what to do; no file of something else is changed."""
    before = Path("audit.jsonl").read_bytes()
    result = run(*command.split())
    assert (result.exit_code, said in result.stderr) == (2, True), result.output
    assert Path("audit.jsonl").read_bytes() == before
