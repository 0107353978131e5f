"""Answers of a store: the same events as a search of the files finds, in the order of time."""

from __future__ import annotations

import shutil
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from audit_lines import exchange, line, log
from audit_questions import EVENTS, SINGLE, at, questions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokenserver.audit.events import event_of
from tokenserver.audit.policy_in_force import PoliciesNear
from tokenserver.audit.question import AuditQuestion, spell_moment
from tokenserver.audit.store import indexer as indexer_module
from tokenserver.audit.store.indexer import indexer_of
from tokenserver.audit.store.reader import EventStore, open_events
from tokenserver.errors import LoadError


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventStore]:
    """All events, in chunks of four: times of one chunk are also in others."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indexer_module, "CHUNK_EVENTS", 4)
        with indexer_of(folder / "audit.db") as indexer:
            for number, event in enumerate(EVENTS):
                (folder / f"{number}.jsonl").write_bytes(log(event))
            indexer.add_files([str(folder / f"{number}.jsonl") for number in range(len(EVENTS))])
            assert (indexer.added, indexer.known, indexer.other_lines) == (len(EVENTS), 0, 0)
    with open_events(folder / "audit.db") as found:
        yield found


def time_of(event: dict[str, Any]) -> str:
    """By which events are ordered; that of one without a readable time comes first."""
    return "" if event["time"] == "yesterday" else str(event["time"]).replace("Z", "~")


def expected(question: AuditQuestion) -> list[str]:
    """The events that the question means, by their text."""
    return sorted(line(event).decode() for event in EVENTS if question.is_met_by(event))


def texts(events: list[dict[str, Any]]) -> list[str]:
    """Events by their text; they are in the order of time."""
    times = [time_of(event) for event in events]
    assert times == sorted(times)
    return sorted(line(event).decode() for event in events)


@pytest.mark.parametrize("question", [AuditQuestion(), *SINGLE], ids=str)
def test_each_condition(question: AuditQuestion, store: EventStore) -> None:
    """All of them, and the last ones with their number."""
    assert texts(list(store.events(question))) == expected(question)
    found = store.last(question, 100)
    assert (texts(found.last), found.count) == (expected(question), len(expected(question)))


@given(questions, st.integers(1, 5))
def test_conditions_together(store: EventStore, question: AuditQuestion, most: int) -> None:
    """The last ones are the end of all."""
    every = list(store.events(question))
    assert texts(every) == expected(question)
    found = store.last(question, most)
    assert found.count == len(every)
    assert [time_of(one) for one in found.last] == [time_of(one) for one in every[-most:]]


def test_requests_with_the_same_number(tmp_path: Path) -> None:
    """What is looked for by request is read and compared: two of these ids have one checksum."""
    ids = ["plumless", "buckeroo"]
    (tmp_path / "a").write_bytes(log(*(exchange(request_id=one) for one in ids)))
    with indexer_of(tmp_path / "s.db") as indexer:
        indexer.add_files([str(tmp_path / "a")])
    with open_events(tmp_path / "s.db") as store:
        for one in ids:
            found = store.last(AuditQuestion(request_id=one), 10)
            assert ([event["request_id"] for event in found.last], found.count) == ([one], 1)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(-200, 200), st.sampled_from("ab")), max_size=20), st.integers(0, 99))
def test_policies_near_a_moment(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[int, str]], seed: int
) -> None:
    """As lines say it, whatever chunks the events are in."""
    folder = tmp_path_factory.mktemp("near")
    noon = at("12:00:00")
    made = [
        exchange(time=spell_moment(noon + timedelta(seconds=seconds)), policy=name * 64, request_id=f"{number}")
        for number, (seconds, name) in enumerate(events)
    ]
    made = made[seed % 7 :: 2] + made[: seed % 7] + made[seed % 7 + 1 :: 2]  # each once, in another order
    (folder / "a").write_bytes(log(*made, exchange(time="never", policy="c" * 64)))
    by_lines, by_store = PoliciesNear(noon), PoliciesNear(noon)
    for text in (folder / "a").read_bytes().splitlines():
        by_lines.add_line(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indexer_module, "CHUNK_EVENTS", 3)
        with indexer_of(folder / "s.db") as indexer:
            indexer.add_files([str(folder / "a")])
    with open_events(folder / "s.db") as store:
        store.add_policies(by_store, noon)
    assert by_store.others("") == by_lines.others("")
    assert (by_store.before or ("",))[0] == (by_lines.before or ("",))[0]
    if by_lines.before is None:
        assert (by_store.after or ("",))[0] == (by_lines.after or ("",))[0]


def test_events_are_kept_as_they_were(store: EventStore) -> None:
    """Byte for byte, if they are ASCII as those of this server."""
    (found,) = store.last(AuditQuestion(since=at("12:00:01"), until=at("12:00:02"), event="exchange"), 1).last
    assert line(found) == line(EVENTS[1])
    assert event_of(line(found)) == EVENTS[1]


def _updates(table: str, columns: str, *values: str) -> list[str]:
    """Statements that set each of the columns to each of the values."""
    return [" ".join(("UPDATE", table, "SET", name, "=", value)) for name in columns.split() for value in values]


TAMPERED = (
    *_updates("chunks", "times", "x'00'", "'x'", "5", "zeroblob(9)"),
    *_updates("chunks", "keys requests", "x'00'", "'x'", "5", "x''"),
    *_updates("chunks", "count", "0", "-5", "65537", "99999999999", "'x'", "1.5", "2"),
    *_updates("chunks", "first last", "'x'", "x'00'", "1e300"),
    *_updates("blocks", "events", "x'00'", "'x'", "5", "x'789c030000000001'"),
    "DELETE FROM blocks",
    *_updates("terms", "positions", "x'00'", "'z'", "5", "x'ffff'", "zeroblob(8192)"),
    "UPDATE terms SET term = 5 WHERE term = x'653a65786368616e6765'",
    "UPDATE terms SET term = x'703aff' WHERE term = (SELECT min(term) FROM terms WHERE term >= x'703a')",
    *_updates("about", "key", "x''", "'k'", "5", "zeroblob(65)"),
    "DELETE FROM about",
    *_updates("sources", "length", "'a'", "-3", "1e300", "9223372036854775807"),
    "UPDATE sources SET digest = 5",
)


def use(folder: Path) -> None:
    """Ask a store everything, and add to it."""
    path = folder / "s.db"
    moment = at("08:00:00")

    def asked(ask: Callable[[EventStore], object]) -> None:
        with open_events(path) as store:
            ask(store)

    uses: list[Callable[[], object]] = [
        lambda: asked(lambda store: list(store.events(AuditQuestion(event="exchange", until=moment)))),
        lambda: asked(lambda store: store.last(AuditQuestion(request_id="x"), 5)),
        lambda: asked(lambda store: store.last(AuditQuestion(), 5)),
        lambda: asked(lambda store: store.add_policies(PoliciesNear(moment), moment)),
        lambda: indexed(folder, "a.jsonl", "b.jsonl"),
    ]
    for one in uses:
        with suppress(LoadError):
            one()


def indexed(folder: Path, *names: str) -> None:
    with indexer_of(folder / "s.db") as indexer:
        indexer.add_files([str(folder / name) for name in names])


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store, and with files of which the second is not in it."""
    folder = tmp_path_factory.mktemp("original")
    (folder / "a.jsonl").write_bytes(log(*EVENTS) * 3)
    (folder / "b.jsonl").write_bytes(log(exchange(request_id="new")))
    indexed(folder, "a.jsonl")
    return folder


@pytest.mark.parametrize("statement", TAMPERED)
def test_a_store_that_was_tampered_with(statement: str, original: Path, tmp_path: Path) -> None:
    """docs/design/threats.md#threat-257: a fault of the file, and never more memory than a chunk takes."""
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    with closing(sqlite3.connect(tmp_path / "s.db")) as connection:
        connection.execute(statement)
        connection.commit()
    use(tmp_path)


@pytest.mark.parametrize(("column", "table"), [("times", "chunks"), ("events", "blocks")])
def test_a_few_bytes_that_become_very_many(column: str, table: str, original: Path, tmp_path: Path) -> None:
    """docs/design/threats.md#threat-257: they are not decompressed."""
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    with closing(sqlite3.connect(tmp_path / "s.db")) as connection:
        connection.execute(_updates(table, column, "?")[0], (zlib.compress(bytes(300 << 20), 9),))
        connection.commit()
    with pytest.raises(LoadError, match="is damaged; fix: "), open_events(tmp_path / "s.db") as store:
        store.last(AuditQuestion(until=at("23:59:59")), 5)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=20), st.integers(0, 1 << 20)
)
def test_any_damage_of_the_file(
    original: Path, tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], cut: int
) -> None:
    """docs/design/threats.md#threat-257: it is read, or is a fault."""
    folder = tmp_path_factory.mktemp("damaged")
    shutil.copytree(original, folder, dirs_exist_ok=True)
    content = bytearray((folder / "s.db").read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    (folder / "s.db").write_bytes(content if cut % 4 else content[: cut % len(content)])
    use(folder)
