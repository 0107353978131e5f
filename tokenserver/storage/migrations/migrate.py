"""Making and migrating the schema of a database. Everything is one transaction, and only one process does it.

Alembic takes long to import, so nothing else imports it, and `schema_of` does without.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, inspect, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from tokenserver.storage.connections.failures import StorageUnavailable, unavailable
from tokenserver.storage.engines import READS
from tokenserver.storage.tables import SCHEMA, meta, revision

OLDEST = 3
"""The oldest schema that this program works with; a release that migrates works with that of the one before as well.

Without version 4, the chains of audit events are not kept. Versions 1 and 2 were in no release.
"""

_LOCK = 0x746B6E73
"""The advisory lock of PostgreSQL; in SQLite, a writer is alone anyway."""

_VERSION_TABLE = "schema_version"


class NewerSchema(StorageUnavailable):
    """A newer program has migrated the database."""

    def __init__(self, found: int) -> None:
        super().__init__(
            f"its schema has version {found}, and this program knows versions up to {SCHEMA};"
            " fix: install the newer release of tokenserver again, or restore a backup from before the upgrade"
        )


def schema_of(engine: Engine) -> int | None:
    """The version of the schema; None if the database has no tables of ours.

    Raises:
        StorageUnavailable: the database does not answer.
    """
    try:
        with engine.connect().execution_options(**{READS: True}) as connection:
            return _schema(connection)
    except SQLAlchemyError as error:
        raise unavailable(error) from error


def migrate_schema(engine: Engine, *, server: str, now: int) -> tuple[int | None, int]:
    """Make the tables of an empty database, or bring older ones to `SCHEMA`; the versions before and after.

    `server` is the public URL of the server, for people who find the database. `now` is in seconds since the epoch.

    Raises:
        NewerSchema: the database is ahead of this program; nothing was changed.
        StorageUnavailable: the database does not answer; nothing was changed.
    """
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # A migration may take longer than a request.
                connection.execute(text("SET LOCAL statement_timeout = 0"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            before = _schema(connection)
            if before is not None and before > SCHEMA:
                raise NewerSchema(before)
            if before != SCHEMA:
                _upgrade(connection)
                _record(connection, before, server, now)
            return before, SCHEMA
    except SQLAlchemyError as error:
        raise unavailable(error) from error


def _schema(connection: Connection) -> int | None:
    if not inspect(connection).has_table(meta.name):
        return None
    found = connection.execute(select(meta.c.schema)).scalar_one_or_none()
    return None if found is None else int(found)


def _record(connection: Connection, before: int | None, server: str, now: int) -> None:
    if before is not None:
        connection.execute(update(meta).values(schema=SCHEMA))
        return
    connection.execute(meta.insert().values(one=1, schema=SCHEMA, server=server, created=now))
    connection.execute(revision.insert().values(one=1, rev=0))


def _upgrade(connection: Connection) -> None:
    """Run the steps of `versions/` that the database lacks."""
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it would list its plug-ins
    from alembic.config import Config  # noqa: PLC0415 - takes long to import
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)

    def steps(current: Any, _context: Any) -> Any:
        return scripts._upgrade_revs(str(SCHEMA), current)  # noqa: SLF001 - as in alembic.command.upgrade

    with EnvironmentContext(config, scripts, fn=steps) as environment:
        environment.configure(connection=connection, version_table=_VERSION_TABLE)
        environment.run_migrations()
