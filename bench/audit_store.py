"""`python -m bench.audit_store [--events N]`: searches of audit events, in the file and in an indexed store.

The yardsticks are of the same run: for searches, reading the file and looking for one text in it; for indexing, zlib
over the same bytes. All times are those of the processor, so that neighbours on the machine count little.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from tokenserver.audit.candidates import BLOCK, is_within
from tokenserver.audit.events import event_of
from tokenserver.audit.log_files import LogReader
from tokenserver.audit.question import AuditQuestion
from tokenserver.audit.recurring_lines import RecurringLines
from tokenserver.audit.store.indexer import indexer_of
from tokenserver.audit.store.reader import open_events
from tokenserver.patterns import parse_pattern

PEOPLE, TEAMS, REPOSITORIES, RULINGS = 5_000, 200, 20, 20_000
START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()

QUESTIONS = {
    "user": AuditQuestion(user="user42"),
    "repository, push denied": AuditQuestion(repository=parse_pattern("team70/**"), action="push", outcome="denied"),
    "rule": AuditQuestion(rule="team9-writers"),
    "network": AuditQuestion(network=ip_network("10.1.7.0/24")),
    "credential": AuditQuestion(credential="key00000042"),
    "outcome": AuditQuestion(outcome="partial"),
    "no word": AuditQuestion(outcome="granted"),
    "action": AuditQuestion(action="push"),
    "an hour": AuditQuestion(
        since=datetime(2026, 1, 1, 2, tzinfo=UTC), until=datetime(2026, 1, 1, 3, tzinfo=UTC), action="push"
    ),
    "request": AuditQuestion(request_id=f"{77:016x}"),
}


def ruling(number: int) -> str:
    """The members of an exchange between the ids, with its outcome apart."""
    person, team = number * 7919 % PEOPLE, number * 104_729 % TEAMS
    name = f"repository:team{team}/app{number % REPOSITORIES}"
    is_denied = number % 10 == 0
    event: dict[str, Any] = {
        "method": "GET",
        "client": f"10.1.{person // 250}.{person % 250}",
        "user_agent": "docker/28.0.1 go/go1.23.6 kernel/6.1.0 os/linux arch/amd64",
        "asked": [f"{name}:pull,push"],
        "registry": "registry.example.com",
        "subject": f"user{person}",
        "source": "corp",
        "kind": "password",
        "credential": f"key{person:08d}",
        "groups": [f"team{team}", "everybody"],
        "granted": [f"{name}:pull" if is_denied else f"{name}:pull,push"],
        "rules": [
            {"resource": name, "action": action, "effect": "allow", "rule": f"team{team}-{rule}", "at": "teams.yaml:9"}
            for action, rule in (("pull", "readers"), ("push", "writers"))[: 1 if is_denied else 2]
        ],
        "policy": "ab" * 32,
    }
    return json.dumps(event, separators=(",", ":"))[1:-1]


def lines(count: int) -> Iterator[str]:
    """The lines of so many exchanges, ten a second."""
    members = [ruling(number) for number in range(min(count, RULINGS))]
    for number in range(count):
        moment = datetime.fromtimestamp(START + number // 10, UTC).isoformat()[:19]
        chosen = number * 15_485_863 % len(members)
        outcome = "partial" if chosen % 10 == 0 else "granted"
        start = f'{{"time":"{moment}.{number % 10}00Z","event":"exchange","request_id":"{number:016x}"'
        yield f'{start},{members[chosen]},"jti":"{number:032x}","outcome":"{outcome}","ms":0.412}}\n'


def seconds_of(work: Callable[[], Any]) -> tuple[float, Any]:
    """The time of the processor, and the result."""
    begun = time.process_time()
    found = work()
    return max(1e-6, time.process_time() - begun), found


def read_for(path: Path, text: bytes) -> int:
    """How often the text is in the file: the yardstick of searches."""
    count = 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            count += block.count(text)
    return count


def search(path: Path, question: AuditQuestion) -> int:
    """How many events of the file meet the question."""
    first, last = question.time_bounds()
    meeting = RecurringLines(question).meeting
    lines = LogReader([str(path)]).lines(question.needles())
    return sum(1 for line in lines if is_within(line, first, last) and meeting(line) is not None)


def search_by_decoding(path: Path, question: AuditQuestion) -> int:
    """The same by decoding each line: the yardstick of what is not decoded."""
    first, last = question.time_bounds()
    lines = LogReader([str(path)]).lines(question.needles())
    found = (event_of(line) for line in lines if is_within(line, first, last))
    return sum(1 for event in found if event is not None and question.is_met_by(event))


def index(path: Path, store: Path) -> int:
    """Index the file; how many events are new."""
    with indexer_of(store) as indexer:
        indexer.add_files([str(path)])
        return indexer.added


def ask(store: Path, question: AuditQuestion) -> int:
    """The last hundred events of the store that meet the question, and how many do."""
    with open_events(store) as events:
        return events.last(question, 100).count


def compress(path: Path) -> int:
    """The size of the file, compressed: the yardstick of indexing."""
    packer = zlib.compressobj(4)
    size = 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            size += len(packer.compress(block))
    return size + len(packer.flush())


def main() -> None:
    """Print sizes, times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500_000)
    count = parser.parse_args().events
    with tempfile.TemporaryDirectory() as folder:
        path, store = Path(folder) / "audit.jsonl", Path(folder) / "audit.db"
        with path.open("w", encoding="ascii") as file:
            made = lines(count)
            while some := list(itertools.islice(made, 10_000)):
                file.write("".join(some))
        zlib_seconds, zlib_size = seconds_of(lambda: compress(path))
        seconds, added = seconds_of(lambda: index(path, store))
        size = path.stat().st_size
        print(f"{added:,} events, {size / added:.0f} bytes each; zlib: {zlib_size / size:.0%} of the size")
        print(
            f"index: {store.stat().st_size / size:.0%} of the size, {seconds / added * 1e6:.1f} us each,"
            f" {seconds / zlib_seconds:.2f} of zlib's time"
        )
        again, _ = seconds_of(lambda: index(path, store))
        print(f"index again, nothing new: {again / seconds:.3f} of that")
        bare, _ = seconds_of(lambda: read_for(path, b"user42"))
        print(f"yardstick: to look for a text in the file, {bare:.3f} s")
        for name, question in QUESTIONS.items():
            decoding, expected = seconds_of(lambda question=question: search_by_decoding(path, question))  # type: ignore[misc]
            plain, found = seconds_of(lambda question=question: search(path, question))  # type: ignore[misc]
            assert found == expected  # noqa: S101 - otherwise something else would be measured
            indexed, counted = seconds_of(lambda question=question: ask(store, question))  # type: ignore[misc]
            same = "" if found == counted else f", but the store has {counted:,}"
            ratios = f"file {plain / bare:.2f}, store {indexed / bare:.3f} of the yardstick"
            decoded = f"{plain / decoding:.2f} of decoding each"
            print(f"{name:24} {found:9,} events{same}: {ratios}, {decoded} ({plain:.3f} s, {indexed:.3f} s)")


if __name__ == "__main__":
    main()
