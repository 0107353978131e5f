"""Insertion of new rows in SQLite; tests/e2e/test_storage_postgresql.py has concurrent ones."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select
from stored_credentials import made, sqlite

from tokenserver.storage.connections.upsert import insert_if_new
from tokenserver.storage.tables import seen_jti


def test_a_row_is_inserted_once(tmp_path: Path) -> None:
    """The first one stays as it is; another key is another row."""
    first = {"issuer": "a", "jti": "1", "ends": 1}
    with made(sqlite(tmp_path)).engine.begin() as connection:
        rows = [first, first | {"ends": 2}, first | {"jti": "2"}]
        assert [insert_if_new(connection, seen_jti, row) for row in rows] == [True, False, True]
        ends = connection.execute(select(seen_jti.c.jti, seen_jti.c.ends).order_by(seen_jti.c.jti)).all()
    assert [tuple(row) for row in ends] == [("1", 1), ("2", 1)]
