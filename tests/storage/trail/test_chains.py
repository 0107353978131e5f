"""What the storage knows of chains: how far each is sealed, what no seal has stated, and which rows somebody else made.

The same on PostgreSQL: tests/e2e/test_storage_postgresql.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, text, update
from stored_credentials import NOW, STATE_KEYS, new_database

from tokenserver.storage.database import Database
from tokenserver.storage.state_keys import StateKey, StateKeys
from tokenserver.storage.tables import audit_chains, meta
from tokenserver.storage.trail import chains
from tokenserver.storage.trail.chains import OLD_TABLES, ChainRegister, ChainRow, has_chains
from tokenserver.storage.unavailable import StorageUnavailable

REGISTER = ChainRegister(STATE_KEYS)
MOMENT = NOW * 1000
ROW = ChainRow("AAAAAAAA", "host :1", MOMENT, 1, MOMENT, 0)


def known(database: Database) -> list[tuple[str, int, int]]:
    """Chain, number and whether it is closed, of all genuine rows."""
    return [(row.chain, row.number, row.closed) for row in REGISTER.known(database).rows]


def before(database: Database, server: str = ROW.server) -> list[tuple[str, int]]:
    return [(row.chain, row.number) for row in REGISTER.before(database, server)]


def test_a_chain_goes_on(database: Database) -> None:
    """The row has the last number, and the time of the first seal."""
    REGISTER.put(database, ROW)
    REGISTER.put(database, ROW._replace(number=9, sealed=MOMENT + 5, closed=1))
    (row,) = REGISTER.known(database).rows
    assert row[:7] == ("AAAAAAAA", "host :1", MOMENT, 9, MOMENT + 5, 1, 0)
    assert database.revision() == 0


def test_it_never_goes_back(database: Database) -> None:
    """Two threads of a worker that ends may write in any order."""
    REGISTER.put(database, ROW._replace(number=9, closed=1))
    REGISTER.put(database, ROW._replace(number=8))
    assert known(database) == [("AAAAAAAA", 9, 1)]


def test_what_came_before(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chains of the same server, the newest first, until a seal has stated all that they have."""
    rows = [ROW._replace(chain=chr(ord("A") + at) * 8, number=at + 1, sealed=MOMENT + at) for at in range(3)]
    for row in (*rows, ROW._replace(chain="ZZZZZZZZ", server="other :1")):
        REGISTER.put(database, row)
    assert before(database) == [("CCCCCCCC", 3), ("BBBBBBBB", 2), ("AAAAAAAA", 1)]
    assert before(database, "other :1") == [("ZZZZZZZZ", 1)]
    assert before(database, "new :1") == []
    monkeypatch.setattr(chains, "MAX_BEFORE", 2)
    assert len(before(database)) == 2
    REGISTER.note_stated(database, [("CCCCCCCC", 3), ("BBBBBBBB", 1), ("gone", 5)])
    assert before(database) == [("BBBBBBBB", 2), ("AAAAAAAA", 1)]
    REGISTER.put(database, rows[2]._replace(number=4))
    assert before(database) == [("CCCCCCCC", 4), ("BBBBBBBB", 2)]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("number = 2", id="a lower number"),
        pytest.param("server = 'other'", id="another server"),
        pytest.param("closed = 1", id="closed"),
        pytest.param("sealed = 5", id="another time"),
        pytest.param("seal = X'00'", id="another seal"),
        pytest.param("seal = 'text'", id="a seal of another type"),
        pytest.param("number = 'many'", id="a number of another type"),
        pytest.param("server = CAST(X'ff' AS TEXT)", id="no UTF-8"),
        pytest.param("chain = 'BBBBBBBB'", id="another chain"),
    ],
)
def test_a_row_that_somebody_else_has_changed(database: Database, change: str) -> None:
    """It is neither stated by a seal nor compared (docs/design/threats.md#threat-238)."""
    REGISTER.put(database, ROW._replace(number=3))
    assert known(database) == [("AAAAAAAA", 3, 0)]
    with database.engine.begin() as connection:
        connection.execute(text(f"UPDATE audit_chains SET {change}"))  # noqa: S608 - rows above
    found = REGISTER.known(database)
    assert (found.rows, found.of_unknown_keys, found.forged) == ([], 0, 1)
    assert before(database) == before(database, "other") == []


def test_rows_of_another_state_key(database: Database) -> None:
    """They are told apart from those that were changed."""
    others = StateKeys({2: StateKey.derived(2, bytes(32))})
    ChainRegister(others).put(database, ROW)
    found = REGISTER.known(database)
    assert (found.rows, found.of_unknown_keys, found.forged) == ([], 1, 0)
    assert len(ChainRegister(others).known(database).rows) == 1


def test_a_row_is_good_for_its_own_table(database: Database) -> None:
    """What is stated is under no seal: it decides only whether it is stated once more."""
    REGISTER.put(database, ROW)
    with database.engine.begin() as connection:
        connection.execute(update(audit_chains).values(stated=7))
    assert known(database) == [("AAAAAAAA", 1, 0)]
    assert before(database) == []


def test_a_chain_that_was_lost(database: Database) -> None:
    """An old backup was restored: the server that runs writes its row again."""
    REGISTER.put(database, ROW)
    with database.engine.begin() as connection:
        connection.execute(delete(audit_chains))
    REGISTER.put(database, ROW._replace(number=5))
    assert known(database) == [("AAAAAAAA", 5, 0)]


def test_tables_of_the_version_before(tmp_path: Path) -> None:
    """Nothing is known, and the reason says how to change that."""
    database = new_database(tmp_path)
    with database.engine.begin() as connection:
        audit_chains.drop(connection)
        connection.execute(update(meta).values(schema=3))
    assert not database.read(has_chains)
    for work in (
        lambda: REGISTER.put(database, ROW),
        lambda: REGISTER.before(database, "x"),
        lambda: REGISTER.known(database),
    ):
        with pytest.raises(StorageUnavailable) as caught:
            work()
        assert caught.value.reason == OLD_TABLES
    database.close()


def test_an_outage(database: Database) -> None:
    """Every question says so."""
    with database.engine.begin() as connection:
        audit_chains.drop(connection)
    for work in (
        lambda: REGISTER.put(database, ROW),
        lambda: REGISTER.before(database, "x"),
        lambda: REGISTER.note_stated(database, [("AAAAAAAA", 1)]),
        lambda: REGISTER.known(database),
    ):
        with pytest.raises(StorageUnavailable, match="no such table"):
            work()


def test_the_columns_are_those_of_the_row(database: Database) -> None:
    """In the same order, since rows are read by place."""
    assert tuple(column.name for column in audit_chains.columns) == ChainRow._fields
    with database.engine.begin() as connection:
        connection.execute(insert(audit_chains).values(ROW._replace(pepper=1, seal=b"x")._asdict()))
        assert ChainRow(*connection.execute(select(audit_chains)).one()) == ROW._replace(pepper=1, seal=b"x")
