"""Making and migrating the schema: once, as a whole, and never backwards."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import inspect, select, text, update
from stored_credentials import NOW, new_database, sqlite

from tokenserver.storage.connections.failures import StorageUnavailable
from tokenserver.storage.migrations import migrate
from tokenserver.storage.migrations.migrate import NewerSchema, migrate_schema, schema_of
from tokenserver.storage.tables import SCHEMA, meta, metadata, revision

SERVER = "https://auth.example.com"


def test_an_empty_database_gets_its_tables(tmp_path: Path) -> None:
    """With the rows that all changes need; a second call changes nothing."""
    engine = sqlite(tmp_path)
    assert schema_of(engine) is None
    assert migrate_schema(engine, server=SERVER, now=NOW) == (None, SCHEMA)
    assert schema_of(engine) == SCHEMA
    assert migrate_schema(engine, server="other", now=0) == (SCHEMA, SCHEMA)
    with engine.connect() as connection:
        assert connection.execute(select(meta)).all() == [(1, SCHEMA, SERVER, NOW)]
        assert connection.execute(select(revision)).all() == [(1, 0)]
    assert set(inspect(engine).get_table_names()) == {*metadata.tables, "schema_version"}


def test_only_one_of_many_processes_makes_them(tmp_path: Path) -> None:
    """The others wait, and find them made."""
    engine = sqlite(tmp_path)
    with ThreadPoolExecutor(6) as pool:
        runs = [pool.submit(migrate_schema, engine, server=SERVER, now=NOW) for _ in range(6)]
        found = [run.result() for run in runs]
    assert sorted(found, key=str) == [(SCHEMA, SCHEMA)] * 5 + [(None, SCHEMA)]


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """An older program would not know what the new columns mean."""
    engine = new_database(tmp_path).engine
    with engine.begin() as connection:
        connection.execute(update(meta).values(schema=SCHEMA + 1))
    assert schema_of(engine) == SCHEMA + 1
    with pytest.raises(NewerSchema, match=rf"has version {SCHEMA + 1}, and this program knows versions up to {SCHEMA}"):
        migrate_schema(engine, server=SERVER, now=NOW)


def test_a_step_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are made in the transaction, so half of them never stay."""
    engine = sqlite(tmp_path)
    real = migrate._upgrade

    def broken(connection: object) -> None:
        real(connection)  # type: ignore[arg-type]  # passed on
        raise LookupError

    monkeypatch.setattr(migrate, "_upgrade", broken)
    with pytest.raises(LookupError):
        migrate_schema(engine, server=SERVER, now=NOW)
    assert inspect(engine).get_table_names() == []


def test_something_else_in_the_place(tmp_path: Path) -> None:
    """A table of that name that is not ours, and a file that is no database."""
    engine = sqlite(tmp_path)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE credentials (x INTEGER)"))
    with pytest.raises(StorageUnavailable, match="already exists"):
        migrate_schema(engine, server=SERVER, now=NOW)
    (tmp_path / "other.db").write_text("no database at all, but long enough to look at its header")
    with pytest.raises(StorageUnavailable, match="not a database"):
        schema_of(sqlite(tmp_path, "other.db"))


def test_looking_does_not_import_alembic() -> None:
    """It takes longer than the rest of the start."""
    code = "import sys, tokenserver.storage.migrations.migrate; print('alembic' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
