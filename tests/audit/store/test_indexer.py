"""Indexing: each event once, what is known is skipped, and a run that ends anywhere loses and doubles nothing."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from audit_lines import exchange, line, log

from tokenserver.audit.question import AuditQuestion
from tokenserver.audit.store import indexer as indexer_module
from tokenserver.audit.store.chunk import write_chunk
from tokenserver.audit.store.indexer import HEAD, Indexer, indexer_of
from tokenserver.audit.store.reader import open_events
from tokenserver.errors import LoadError


def events(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Exchanges, one per second."""
    return [
        exchange(
            time=f"2026-11-03T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000Z",
            request_id=f"{number:016x}",
            jti=f"{number:08x}",
            outcome="granted",
        )
        for number in range(first, first + count)
    ]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, int]]:
    """Index files into one store, in chunks of 100; how many events were new and known."""
    monkeypatch.setattr(indexer_module, "CHUNK_EVENTS", 100)
    monkeypatch.chdir(tmp_path)

    def index(*files: str) -> tuple[int, int]:
        with indexer_of(Path("s.db")) as indexer:
            indexer.add_files(files)
            return indexer.added, indexer.known

    return index


def stored() -> list[str]:
    """The request ids of all events of the store, in order."""
    with open_events(Path("s.db")) as store:
        return [event["request_id"] for event in store.events(AuditQuestion())]


def ids(count: int) -> list[str]:
    """The request ids of so many events."""
    return [f"{number:016x}" for number in range(count)]


def chunks() -> list[int]:
    """The sizes of the chunks."""
    with sqlite3.connect("s.db") as connection:
        return [count for (count,) in connection.execute("SELECT count FROM chunks ORDER BY id")]


def test_a_file_that_grows(run: Callable[..., tuple[int, int]]) -> None:
    """Only what is new is read; chunks are filled."""
    path = Path("a.jsonl")
    path.write_bytes(log(*events(250)))
    assert run("a.jsonl") == (250, 0)
    assert run("a.jsonl") == (0, 0)
    path.write_bytes(log(*events(260)))
    with indexer_of(Path("s.db")) as indexer:
        indexer.add_files(["a.jsonl"])
        assert (indexer.added, indexer.known, indexer.skipped_bytes) == (10, 0, len(log(*events(250))))
        assert indexer.read_bytes == len(log(*events(10, 250)))
    assert (stored(), chunks()) == (ids(260), [100, 100, 60])


def test_rotation_and_compression(run: Callable[..., tuple[int, int]]) -> None:
    """A file is known by its content, whatever its name is and however it is compressed."""
    Path("a.jsonl").write_bytes(log(*events(50)))
    assert run("a.jsonl") == (50, 0)
    Path("a.jsonl.1.gz").write_bytes(gzip.compress(log(*events(80))))
    Path("a.jsonl").write_bytes(log(*events(40, 80)))
    assert run("a.jsonl.1.gz", "a.jsonl") == (70, 0)
    assert stored() == ids(120)


WRAPPED: dict[str, Callable[[str], bytes]] = {
    "docker": lambda text: json.dumps({"log": text + "\n", "stream": "stdout"}).encode(),
    "kubernetes": lambda text: f"2026-11-03T12:00:00Z stdout F {text}".encode(),
    "as an object": lambda text: json.dumps({"message": json.loads(text)}).encode(),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_the_same_events_by_another_way(wrap: Callable[[str], bytes], run: Callable[..., tuple[int, int]]) -> None:
    """Wrapped by a collector, in another order, and in part."""
    Path("a.jsonl").write_bytes(log(*events(150)))
    Path("b.jsonl").write_bytes(log(*(wrap(line(one).decode()) for one in reversed(events(120, 50)))))
    assert run("a.jsonl") == (150, 0)
    assert run("b.jsonl") == (20, 100)
    assert stored() == ids(170)


def test_events_that_differ_in_anything_are_kept(run: Callable[..., tuple[int, int]]) -> None:
    """docs/design/threats.md#threat-234: parts of one request, and an event that claims the id of another one."""
    (first,) = events(1)
    doubled = [first, {**first, "part": 1, "parts": 2}, {**first, "part": 2, "parts": 2}, {**first, "subject": "eve"}]
    Path("a.jsonl").write_bytes(log(*doubled, *doubled))
    assert run("a.jsonl") == (4, 4)
    assert stored() == [first["request_id"]] * 4


def test_the_digests_of_a_store_are_its_own(run: Callable[..., tuple[int, int]]) -> None:
    """docs/design/threats.md#threat-234: nobody can compute in advance which events are taken for one another."""
    Path("a.jsonl").write_bytes(log(*events(1)))
    digests: set[tuple[bytes]] = set()
    for name in ("s.db", "t.db"):
        with indexer_of(Path(name)) as indexer:
            indexer.add_files(["a.jsonl"])
        with sqlite3.connect(name) as connection:
            digests.update(connection.execute("SELECT keys FROM chunks"))
    assert len(digests) == 2


def test_small_runs_fill_a_chunk(run: Callable[..., tuple[int, int]]) -> None:
    """So that a run each minute leaves no thousands of them; events come in any order."""
    for number in (3, 1, 0, 2, 4):
        Path(f"{number}.jsonl").write_bytes(log(*events(30, 30 * number)))
        assert run(f"{number}.jsonl") == (30, 0)
    assert (stored(), chunks()) == (ids(150), [90, 60])


def test_the_end_of_a_line_that_is_still_written(run: Callable[..., tuple[int, int]]) -> None:
    """It is no event yet, and read again when it is whole."""
    whole = log(*events(31))
    Path("a.jsonl").write_bytes(whole[:-40])
    assert run("a.jsonl") == (30, 0)
    Path("a.jsonl").write_bytes(whole[:-1])
    assert run("a.jsonl") == (1, 0)
    Path("a.jsonl").write_bytes(whole)
    assert run("a.jsonl") == (0, 1)
    assert run("a.jsonl") == (0, 0)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(log(*events(60), *events(10, 100)), id="another end"),
        pytest.param(log(*events(40)), id="an earlier copy"),
        pytest.param(log(*events(70))[: HEAD + 1], id="little more than the head"),
    ],
)
def test_a_file_that_begins_as_a_known_one(changed: bytes, run: Callable[..., tuple[int, int]]) -> None:
    """It is read whole, and no event doubles."""
    Path("a.jsonl").write_bytes(log(*events(70)))
    assert run("a.jsonl") == (70, 0)
    Path("b.jsonl").write_bytes(changed)
    run("b.jsonl")
    found = stored()
    assert len(found) == len(set(found))
    assert set(found) >= set(ids(70))


class _Killed(BaseException):
    """Stands for the end of the process: nothing catches it but what would roll back anyway."""


@pytest.mark.parametrize("writes", range(4))
def test_a_run_that_ends_anywhere(writes: int, run: Callable[..., tuple[int, int]], tmp_path: Path) -> None:
    """The next run adds what is missing."""
    Path("a.jsonl").write_bytes(log(*events(350)))
    done = 0

    def write(connection: sqlite3.Connection, found: list[Any]) -> None:
        nonlocal done
        real(connection, found)
        done += 1
        if done > writes:
            raise _Killed

    real = write_chunk
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indexer_module, "write_chunk", write)
        with pytest.raises(_Killed):
            run("a.jsonl")
    assert stored() == ids(100 * writes)
    assert run("a.jsonl")[0] == 350 - 100 * writes
    assert stored() == ids(350)


def test_two_runs_together(run: Callable[..., tuple[int, int]]) -> None:
    """Both read the same file; each event is there once."""
    Path("a.jsonl").write_bytes(log(*events(150)))
    with indexer_of(Path("s.db")) as one, indexer_of(Path("s.db")) as other:
        one.add_files(["a.jsonl"])
        other.add_files(["a.jsonl"])
        assert (one.added, other.added) == (150, 0)
    assert stored() == ids(150)


def test_a_damaged_file(run: Callable[..., tuple[int, int]]) -> None:
    """What came before the damage is in the store."""
    Path("a.jsonl").write_bytes(log(*events(5)))
    Path("b.jsonl.gz").write_bytes(gzip.compress(log(*events(5)))[:-9])
    with pytest.raises(LoadError, match="cannot be read"):
        run("a.jsonl", "b.jsonl.gz")
    assert stored() == ids(5)


def test_long_lines_and_other_lines(run: Callable[..., tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    """They are no events, wherever blocks end."""
    monkeypatch.setattr(indexer_module, "MAX_LINE", 2000)
    content = log(*events(3), b"x" * 5000, b"no event", b"", *events(3, 3), b"y" * 2001)
    Path("a.jsonl").write_bytes(content)
    for size in (1, 7, 100, 999, 4096, 100_000):
        monkeypatch.setattr(indexer_module, "BLOCK", size)
        with indexer_of(Path(f"{size}.db")) as indexer:
            indexer.add_files(["a.jsonl"])
            assert (indexer.added, indexer.other_lines) == (6, 1), size


def test_progress(run: Callable[..., tuple[int, int]]) -> None:
    """In megabytes and events."""
    Path("a.jsonl").write_bytes(log(*events(2)))
    with indexer_of(Path("s.db")) as indexer:
        indexer.add_files(["a.jsonl"])
        assert indexer.spell() == "0 MB, 2 new events"
        assert isinstance(indexer, Indexer)
