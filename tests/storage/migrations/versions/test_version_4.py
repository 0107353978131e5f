"""Version 4: a database of version 3 gets the table of chains of an empty one, and keeps what it has."""

from __future__ import annotations

from pathlib import Path

from old_databases import SERVER, columns_of, migrate_only_to
from sqlalchemy import inspect, select
from stored_credentials import NOW, STATE_KEYS, sqlite

from tokenserver.storage.database import Database
from tokenserver.storage.migrations.migrate import OLDEST, migrate_schema
from tokenserver.storage.outbox import Outbox
from tokenserver.storage.tables import SCHEMA, audit_chains, audit_versions, outbox


def test_a_database_of_version_3(tmp_path: Path) -> None:
    """The columns and indexes are those of the table, as in an empty database; events that wait are still there."""
    old, new = sqlite(tmp_path, "old.db"), sqlite(tmp_path, "new.db")
    migrate_only_to(3, old)
    assert not {"audit_chains", "audit_versions"} & {*inspect(old).get_table_names()}
    Database(old).write(lambda connection, rev: Outbox(STATE_KEYS).put(connection, rev, {"action": "x"}))
    assert migrate_schema(old, server=SERVER, now=NOW) == (3, SCHEMA)
    migrate_schema(new, server=SERVER, now=NOW)
    for table in (audit_chains, audit_versions):
        assert [columns_of(old, table), columns_of(new, table)] == [[column.name for column in table.columns]] * 2
    indexes = [sorted(str(one["name"]) for one in inspect(engine).get_indexes("audit_chains")) for engine in (old, new)]
    assert indexes == [sorted(str(one.name) for one in audit_chains.indexes)] * 2
    with old.connect() as connection:
        assert len(connection.execute(select(outbox)).all()) == 1


def test_the_version_before_is_still_good() -> None:
    """A release works with the tables of the one before: nothing but the chains needs version 4."""
    assert OLDEST == SCHEMA - 1
