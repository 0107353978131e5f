"""Faults of the disk, of the file and of the process: nothing is half done, and the next change works.

Statements are made to fail by SQLite itself, which then rolls back all that the transaction had done.
"""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from failing_statements import Failing, error_of
from sqlalchemy import Engine, event, select
from stored_credentials import DAY, FULL, NOW, PLAIN, new_database, sqlite, store_of

from tokenserver.access_keys import AccessKey
from tokenserver.storage.connections.failures import StorageUnavailable
from tokenserver.storage.credential import ENDED
from tokenserver.storage.database import Database
from tokenserver.storage.selection import Selection
from tokenserver.storage.store import CredentialStore
from tokenserver.storage.tables import credentials
from tokenserver.storage.upkeep.backup import damage_of

Change = Callable[[CredentialStore, AccessKey], object]

CHANGES: dict[str, Change] = {
    "create": lambda store, _: store.create(FULL, at_most=9),
    "create in place": lambda store, _: store.create_in_place(FULL, at_most=1, by="server", reason="limit"),
    "rotate": lambda store, key: store.rotate(key.id, ends=NOW + 9 * DAY, overlap=60, by="ann"),
    "rename": lambda store, key: store.rename(key.id, "other"),
    "end": lambda store, _: store.end(Selection(), by="ann", reason="lost"),
    "end by claims": lambda store, _: store.end(Selection(claims=FULL.claims), by="ann", reason="lost"),
}


def content(database: Database) -> list[tuple[Any, ...]]:
    """Every row that a change could have left behind."""
    statement = select(credentials).order_by(credentials.c.id)
    return database.read(lambda connection: [tuple(row) for row in connection.execute(statement)])


def fill(store: CredentialStore, shown: list[str], at_most: int) -> StorageUnavailable | None:
    """Make credentials until one fails; the error."""
    return next(
        (
            error
            for _ in range(at_most)
            if (error := error_of(lambda: shown.append(store.create(FULL, at_most=9999)[0].id))) is not None
        ),
        None,
    )


@pytest.mark.parametrize("name", CHANGES)
def test_every_statement_fails_once(name: str, tmp_path: Path) -> None:
    """The caller gets the one error, nothing has changed, and the same change works immediately afterwards."""
    change, number = CHANGES[name], 0
    while True:
        database = new_database(tmp_path, f"{number}.db")
        store = store_of(database)
        key, _ = store.create(FULL, at_most=9)
        before, failing = content(database), Failing(database.engine)
        failing.at = number
        error = error_of(partial(change, store, key))
        failing.at = -1
        if error is None:
            break
        assert "interrupted" in error.reason
        assert content(database) == before
        change(store, key)
        assert content(database) != before
        database.close()
        number += 1
    database.close()
    assert number >= 3  # the revision, the savepoint, and the change itself


def broken(engine: Engine, pragma: str) -> None:
    """Let every new connection have this limit."""
    event.listen(engine, "connect", lambda connection, _: connection.execute(f"PRAGMA {pragma}"))


@pytest.mark.parametrize(
    ("pragma", "expected"),
    [
        pytest.param("max_page_count=1", "database or disk is full; fix: free space on its disk", id="full"),
        pytest.param("query_only=1", "readonly database; fix: make the file, its folder and its mount", id="read-only"),
    ],
)
def test_a_database_that_cannot_grow_or_change(tmp_path: Path, pragma: str, expected: str) -> None:
    """Reads work, changes say what to do, and nothing is half done."""
    whole = new_database(tmp_path)
    shown = [store_of(whole).create(PLAIN, at_most=99)[0].id]
    whole.close()
    limited = Database(sqlite(tmp_path))
    broken(limited.engine, pragma)
    store = store_of(limited)
    error = fill(store, shown, 200)
    assert error is not None
    assert expected in error.reason
    assert {one.credential.id for one in store.listed(Selection())} == set(shown)
    limited.close()
    assert damage_of(tmp_path / "state.db") is None
    store_of(whole).create(PLAIN, at_most=999)
    whole.close()


def in_child(work: Callable[[], None]) -> int:
    """Run in a forked process; its exit code is 0 if nothing was raised."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_disk_without_room(tmp_path: Path) -> None:
    """The system refuses to make a file longer: the change fails, and the database stays sound."""
    database = new_database(tmp_path)

    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        store, shown = store_of(database), list[str]()
        error = fill(store, shown, 1000)
        assert error is not None
        assert "disk" in error.reason
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        shown.append(store.create(FULL, at_most=9999)[0].id)
        assert {one.credential.id for one in store.listed(Selection())} == set(shown)

    assert in_child(work) == 0
    assert damage_of(tmp_path / "state.db") is None


def test_a_damaged_file(tmp_path: Path) -> None:
    """Neither reads nor changes make anything up."""
    database = new_database(tmp_path)
    database.close()
    (tmp_path / "state.db").write_bytes(b"x" * 200_000)
    store = store_of(database)
    for ask in (lambda: store.create(PLAIN, at_most=9), lambda: store.listed(Selection()), store.owners):
        with pytest.raises(StorageUnavailable, match="not a database; fix: tokenserver storage check"):
            ask()
    database.close()


@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=pytest.mark.nightly)])
def test_a_process_that_is_killed(tmp_path: Path, kills: int) -> None:
    """A key that was shown exists, and a revocation that was answered holds, however often the writer is killed."""
    database = new_database(tmp_path)
    database.close()
    shown, revoked = set[str](), set[str]()
    for number in range(kills):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            _write_for_ever(database, writer)
        os.close(writer)
        first = os.read(reader, 1).decode()
        time.sleep(0.001 * (number * 37 % 40))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with open(reader, encoding="ascii", newline="\n") as lines:
            for line in (first + lines.read()).splitlines():
                (shown if line[0] == "+" else revoked).add(line[1:])
        with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
            assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
            states = dict(connection.execute("SELECT id, state FROM credentials"))
        assert shown <= states.keys()
        assert {states[one] for one in revoked} <= {ENDED}
    assert len(shown) > kills / 2
    assert revoked


def _write_for_ever(database: Database, answers: int) -> None:
    """Make credentials and end every second one; each answer is a line, written in one piece."""
    store = store_of(database)
    while True:
        key, _ = store.create(PLAIN, at_most=99_999)
        os.write(answers, f"+{key.id}\n".encode())
        if key.id[-1] < "V":
            store.end(Selection(ids=frozenset({key.id})), by="ann", reason="x")
            os.write(answers, f"-{key.id}\n".encode())
