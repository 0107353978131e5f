"""A database of users in a file of SQLite: read-only, within its deadline, and what its faults say.

Servers: tests/e2e/test_sql_users.py.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest
from forked_processes import Forked
from htpasswd_users import GOOD
from user_tables import change, make_table, table_of

from tokenserver.authn.sql.database import UserDatabase
from tokenserver.authn.sql.row import UnusableRow
from tokenserver.errors import BackendUnavailable
from tokenserver.runtime.tracing.spans import ActiveTrace, active


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A table with ann."""
    return make_table(tmp_path / "users.db", ("ann", GOOD, "dev", 1))


def fault(table: UserDatabase, name: str = "ann") -> str:
    """The reason why the database cannot answer."""
    with pytest.raises(BackendUnavailable) as caught:
        table.by_name(name)
    assert caught.value.backend == "people"
    return caught.value.reason


def test_a_row(file: Path) -> None:
    """All of it is text."""
    assert table_of(file).by_name("ann") == [{"password_hash": GOOD, "subject": "ann", "groups": "dev", "enabled": "1"}]
    assert table_of(file).by_subject("nobody") == []


@pytest.mark.parametrize(
    "name", ["' OR '1'='1", "ann' --", "%", "*", "ann\\", '"', "a;DROP TABLE users", "\u2019 OR 1"]
)
def test_names_are_bound(file: Path, name: str) -> None:
    """A name is never part of a statement (docs/design/threats.md#threat-205)."""
    table = table_of(file)
    assert table.by_name(name) == []
    change(file, "INSERT INTO users VALUES (?, ?, NULL, 1)", (name, GOOD))
    assert [row["subject"] for row in table.by_name(name)] == [name]


def test_two_rows_and_no_more(file: Path) -> None:
    """However many there are."""
    for _ in range(5):
        change(file, "INSERT INTO users VALUES ('ann', 'x', '', 1)")
    assert len(table_of(file).by_name("ann")) == 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("x" * 200_000, "x" * 513, id="a huge text"),
        pytest.param(GOOD.encode(), GOOD, id="bytes"),
        pytest.param(b"\xff\xfe", "\udcff\udcfe", id="bytes that are no text"),
        pytest.param(17, "17", id="a number"),
        pytest.param(None, None, id="NULL"),
    ],
)
def test_values(file: Path, value: object, expected: str | None) -> None:
    """Cut off, and made text; a wrong one is refused as a hash."""
    change(file, "UPDATE users SET password_hash = ?", (value,))
    assert [row["password_hash"] for row in table_of(file).by_name("ann")] == [expected]


def test_a_value_of_many_megabytes(file: Path) -> None:
    """It is not even copied, and no outage: others can log in."""
    change(file, "INSERT INTO users VALUES ('eve', ?, '', 1)", ("x" * 20_000_000,))
    with pytest.raises(UnusableRow, match=r"the query fails for this name \(DataError, SQLITE_TOOBIG\)"):
        table_of(file).by_name("eve")
    assert table_of(file).by_name("ann")


def test_nothing_is_written(file: Path) -> None:
    """By whatever the query has in it (docs/design/threats.md#threat-205)."""
    before = file.read_bytes()
    table = table_of(file, "SELECT 'x' AS password_hash WHERE :user = 'ann'")
    with table._engines.get().connect() as connection, pytest.raises(Exception, match="readonly"):
        connection.exec_driver_sql("DELETE FROM users")
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT h AS password_hash FROM nowhere WHERE name = :user", "no such table: nowhere; fix: correct the table"),
        ("SELECT h AS password_hash FROM users WHERE name = :user", "no such column: h; fix: correct the column"),
        ("SELECT name FROM users WHERE name = :user", "the query returns no column password_hash (but name); fix:"),
        ("SELECT password_hash, FROM users WHERE name = :user", "syntax error"),
    ],
)
def test_a_query_that_does_not_fit(file: Path, query: str, reason: str) -> None:
    """The database cannot tell, and the reason says what to correct."""
    assert reason in fault(table_of(file, query))


def test_it_recovers(file: Path) -> None:
    """Once the table is there, and with the columns that it has then."""
    table = table_of(file)
    assert table.by_name("ann")
    change(file, "ALTER TABLE users RENAME TO gone")
    assert "no such table" in fault(table)
    with pytest.raises(BackendUnavailable):
        table.probe()
    change(file, "ALTER TABLE gone RENAME TO users")
    table.probe()
    assert table.by_name("ann")


@pytest.mark.parametrize("damage", ["remove", "overwrite"])
def test_a_damaged_file(file: Path, damage: str) -> None:
    """No empty database is made in its place."""
    file.unlink() if damage == "remove" else file.write_bytes(b"canary" * 1000)
    reason = fault(table_of(file))
    assert ("unable to open" if damage == "remove" else "not a database") in reason
    assert "fix: " in reason
    assert file.exists() is (damage == "overwrite")


def test_a_locked_file(file: Path) -> None:
    """It is waited for until the deadline, and no longer."""
    table = table_of(file, seconds=0.3)
    lock = sqlite3.connect(file, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    before = time.monotonic()
    assert "database is locked; fix: " in fault(table)
    assert 0.2 < time.monotonic() - before < 3
    lock.execute("ROLLBACK")
    lock.close()
    assert table.by_name("ann")


def test_a_file_in_wal_mode(file: Path) -> None:
    """Its writers are not waited for."""
    writer = sqlite3.connect(file, isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE users SET team = 'ops'")
    assert [row["groups"] for row in table_of(file, seconds=0.3).by_name("ann")] == ["dev"]
    writer.execute("COMMIT")
    assert [row["groups"] for row in table_of(file, seconds=0.3).by_name("ann")] == ["ops"]
    writer.close()


def test_a_slow_query(file: Path) -> None:
    """It is interrupted at the deadline."""
    numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS password_hash FROM n"
    before = time.monotonic()
    assert "interrupted" in fault(table_of(file, f"{numbers} WHERE x < 0 AND :user = 'ann'", seconds=0.3))
    assert time.monotonic() - before < 3


def test_values_are_in_no_error(file: Path) -> None:
    """Neither the parameter nor what a row has (docs/design/threats.md#threat-206)."""
    table = table_of(
        file, "SELECT abs(password_hash) AS password_hash, json(name) AS groups FROM users WHERE name = :user"
    )
    change(file, "UPDATE users SET name = 'canary', password_hash = 'canary'")
    assert "canary" not in fault(table, "canary")


def test_a_fork_has_an_engine_of_its_own(file: Path) -> None:
    """Connections are not shared."""
    table = table_of(file)
    assert table.by_name("ann")
    engine = table._engines.get()
    assert table._engines.get() is engine
    child = Forked(lambda: (table._engines.get() is not engine, len(table.by_name("ann"))))
    assert child.ended() == (0, "(True, 1)")
    assert table._engines.get() is engine


def test_a_look_up_is_a_step_of_a_traced_request(file: Path) -> None:
    """Without the name that was looked up."""
    trace = ActiveTrace(None, is_traced=True)
    with active(trace):
        table_of(file).by_name("ann")
    assert [(span.name, span.attributes) for span in trace.finished().spans] == [("sql query", {})]
