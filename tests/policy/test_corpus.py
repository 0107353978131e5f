"""The cases of tests/corpus/policy: policies, questions, decisions and reasons, written as data."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml

from tokenserver.errors import LoadError
from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.policy.decide import decide
from tokenserver.policy.loading.loader import load_policies
from tokenserver.policy.model import Context
from tokenserver.policy.terms import parse_moment, parse_request
from tokenserver.scopes import in_order

CORPUS = Path(__file__).parent.parent / "corpus" / "policy" / "cases"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
CASES: dict[str, Any] = {
    path.stem: yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - it makes text alone
    for path in sorted(CORPUS.glob("*.yaml"))
}


def questions() -> Iterator[Any]:
    """Every question with its policies."""
    for name, case in CASES.items():
        for number, question in enumerate(case.get("questions", [])):
            yield pytest.param(case["policies"], question, id=f"{name}-{number}")


def written(folder: Path, files: dict[str, str]) -> Path:
    """A policy folder with these files."""
    for name, text in files.items():
        (folder / name).parent.mkdir(mode=0o755, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o644)
    return folder


@pytest.mark.parametrize(("files", "question"), list(questions()))
def test_question(tmp_path: Path, files: dict[str, str], question: dict[str, Any]) -> None:
    """The decision is the one that is written down, and so are the rules that decided it."""
    who = question["as"]
    identity = ANONYMOUS
    if who != "anonymous":
        identity = Identity(who["user"], Kind.PASSWORD, groups=frozenset(who.get("groups", [])))
    client = ip_address(question["from"]) if "from" in question else None
    at = parse_moment(question["at"]) if "at" in question else NOW
    context = Context(question.get("service", "registry.example.com"), client, at)
    decision = decide(
        load_policies(written(tmp_path, files), now=NOW), identity, parse_request(question["ask"]), context
    )
    reasons = [f"{one.action} {one.effect} {one.rule} {one.file}:{one.line}" for one in decision.reasons]
    lifetime = int(question["max_lifetime"]) if "max_lifetime" in question else None
    expected = (question["granted"], sorted(question["reasons"]), lifetime)
    assert (in_order(decision.granted), sorted(reasons), decision.max_lifetime) == expected


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "refused" in case])
def test_refused_folder(tmp_path: Path, name: str) -> None:
    """Every fault that is written down is told, and no other."""
    with pytest.raises(LoadError) as caught:
        load_policies(written(tmp_path, CASES[name]["policies"]), now=NOW)
    found = [(fault.file.removeprefix(f"{tmp_path}/"), fault.line, fault.message) for fault in caught.value.faults]
    expected = [(one["file"], int(one["line"]), one["says"]) for one in CASES[name]["refused"]]
    missing = [
        (file, line, says)
        for file, line, says in expected
        if not any((file, line) == (at, on) and says in message for at, on, message in found)
    ]
    assert missing == [], found
    assert len({(file, line) for file, line, _ in found}) == len({(file, line) for file, line, _ in expected}), found


def test_every_case_asks_something() -> None:
    """A case without questions and without faults would prove nothing."""
    assert [name for name, case in CASES.items() if not (case.get("questions") or case.get("refused"))] == []
    assert len(CASES) >= 10
