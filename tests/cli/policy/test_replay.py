"""`tokenserver policy replay`: changes as a table and as JSON, exit codes, and lines that are left out."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from policy_commands import Run, facts


def log(path: Path, *events: dict[str, Any] | str) -> Path:
    """An audit log of these events; text is a line as it is."""
    whole = {
        "time": "2026-05-01T12:00:00.000Z",
        "event": "exchange",
        "client": "10.1.2.3",
        "registry": "registry.example.com",
        "source": "htpasswd",
        "kind": "password",
        "groups": [],
        "outcome": "granted",
    }
    lines = [event if isinstance(event, str) else json.dumps({**whole, **event}) for event in events]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def asked(subject: str, asked: str, granted: str) -> dict[str, Any]:
    """An exchange about `web/prod/x`."""
    scope = "repository:web/prod/x:"
    return {"subject": subject, "asked": [scope + asked], "granted": [scope + granted] if granted else []}


def test_no_change(run: Run, tmp_path: Path) -> None:
    """Exit code 0, and how much was looked at."""
    result = run("replay", log(tmp_path / "a.jsonl", asked("bob", "pull,push", "pull,push")))
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "0 of 1 decisions in 1 exchanges would change\n"


def test_changes(run: Run, tmp_path: Path) -> None:
    """Exit code 1, the most frequent change first, with the rules that decide now."""
    path = log(
        tmp_path / "a.jsonl",
        asked("eve", "pull", "pull"),
        asked("bob", "push", ""),
        asked("bob", "push", ""),
        "no event",
    )
    result = run("replay", path)
    assert result.exit_code == 1
    heads, first, second = (line.split() for line in result.stdout.splitlines())
    assert heads == ["TIMES", "WHO", "GAINS", "LOSES", "WHERE", "LAST", "RULES", "NOW"]
    assert first[:6] == ["2", "bob", "push", "-", "registry.example.com", "web/prod/x"]
    assert second[:6] == ["1", "eve", "-", "pull", "registry.example.com", "web/prod/x"]
    assert (first[-1], second[-1]) == ("web-developers", "none")
    assert result.stderr.startswith("3 of 3 decisions in 3 exchanges would change\nleft out: 1 x ")


def test_json(run: Run, tmp_path: Path) -> None:
    """The same with every value; names from the log print nothing but text."""
    result = run("replay", "--json", log(tmp_path / "a.jsonl", asked("e\x1b[2Jve", "pull", "pull")))
    found = facts(result)
    assert (result.exit_code, found["changed"], found["not_listed"]) == (1, 1, 0)
    assert found["changes"][0]["as"] == {"user": "e\x1b[2Jve", "groups": []}
    assert (found["changes"][0]["lost"], found["changes"][0]["gained"]) == (["pull"], [])
    assert "\x1b" not in result.stdout + run("replay", tmp_path / "a.jsonl").stdout


def test_now(run: Run, tmp_path: Path) -> None:
    """`--now` decides at one time, instead of that of each event."""
    event = {"subject": "kim", "asked": ["repository:web/app:pull"], "granted": ["repository:web/app:pull"]}
    path = log(tmp_path / "a.jsonl", event)
    assert run("replay", path).exit_code == 0
    assert run("replay", path, "--now", "2027-06-01").exit_code == 1


WRAPPED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "docker": lambda text: json.dumps({"log": text.decode(), "stream": "stdout"}).encode() + b"\n",
    "kubernetes": lambda text: b"2026-05-01T12:00:00Z stdout F " + text,
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_files_as_others_keep_them(wrap: Callable[[bytes], bytes], run: Run, tmp_path: Path) -> None:
    """Compressed or wrapped, and several of them, as in `tokenserver audit`."""
    path = log(tmp_path / "a.jsonl", asked("bob", "push", ""))
    (tmp_path / "b.jsonl").write_bytes(wrap(path.read_bytes()))
    result = run("replay", path, tmp_path / "b.jsonl")
    assert (result.exit_code, result.stdout.splitlines()[1].split()[:3]) == (1, ["2", "bob", "push"])
    assert result.stderr == "2 of 2 decisions in 2 exchanges would change\n"


def test_wrong_use(run: Run, tmp_path: Path) -> None:
    """Exit code 2."""
    assert run("replay", tmp_path / "none").exit_code == 2
    assert run("replay").exit_code == 2
    assert run("replay", log(tmp_path / "a.jsonl"), "--now", "noon").exit_code == 2
