"""Opens the storage that the configuration names, and prepares it: makes or migrates its tables.

SQLAlchemy is imported here and below only once there is a storage.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tokenserver.config.settings import Settings
from tokenserver.config.storage import StorageSettings
from tokenserver.documents.files import read_text
from tokenserver.errors import BackendUnavailable, Fault, LoadError
from tokenserver.storage.connections.files import file_faults, make_file
from tokenserver.storage.state_keys import read_state_keys

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tokenserver.server.stored.announcing import AnnouncingStore

NOT_CONFIGURED = "is not set, so nothing can be stored; fix: add storage: state/tokenserver.db"


def open_store(settings: Settings, by: str = "cli") -> AnnouncingStore:
    """The stored credentials of this server, for a command that `by` runs: its changes have audit events.

    A file of SQLite that does not exist is made; nothing else is connected.

    Raises:
        LoadError: no storage is configured, or it is not safe or usable as configured, or the state key is missing.
        StorageUnavailable: the new file cannot be written.
    """
    from tokenserver.server.stored.announcing import AnnouncingStore  # noqa: PLC0415
    from tokenserver.storage.database import Database  # noqa: PLC0415 - takes long to import

    storage = _required(settings)
    faults = storage_faults(settings)
    if faults:
        raise LoadError(faults)
    keys = read_state_keys(settings.keys.folder)
    if storage.file is not None and not storage.file.exists():
        prepare_storage(settings)
    engine = open_engine(settings)
    if storage.file is not None:
        _make_tables(engine, settings)
    return AnnouncingStore(Database(engine), keys, now=time.time, by=by)


def open_engine(settings: Settings) -> Engine:
    """The engine of the storage, for what is no business of credentials. Nothing is connected.

    Raises:
        LoadError: no storage is configured, or its password cannot be read, or its driver is missing.
    """
    from tokenserver.storage.engines import UnusableStorage, engine_for  # noqa: PLC0415 - takes long to import

    storage = _required(settings)
    password = storage.password_file
    secret = None if password is None else read_text(password, private=True).rstrip("\r\n")
    try:
        return engine_for(storage.url, password=secret)
    except UnusableStorage as error:
        _refuse(str(error), error)


def storage_faults(settings: Settings) -> list[Fault]:
    """What is wrong with the configured storage and its state key, apart from what the database itself says."""
    storage = settings.storage
    if storage is None:
        return []
    faults = [] if storage.file is None else file_faults(storage.file)
    try:
        read_state_keys(settings.keys.folder)
        if storage.password_file is not None:
            read_text(storage.password_file, private=True)
        if storage.file is None:
            open_engine(settings).dispose()
    except LoadError as error:
        faults.extend(error.faults)
    return faults


def check_storage(settings: Settings, *, migrate: bool = False) -> list[Fault]:
    """All that would stop the start. Nothing is made or changed; a storage that does not answer stops nothing."""
    storage = settings.storage
    faults = storage_faults(settings)
    if storage is None or faults or (storage.file is not None and is_empty(storage.file)):
        return faults
    from tokenserver.storage.migrations.migrate import schema_of  # noqa: PLC0415 - takes long to import

    engine = open_engine(settings)
    with suppress(BackendUnavailable):
        problem = _schema_problem(schema_of(engine), is_changeable=migrate or storage.file is not None)
        faults = [] if problem is None else [Fault("storage", 0, "", problem)]
    engine.dispose()
    return faults


def storage_warnings(settings: Settings) -> list[str]:
    """That the storage does not answer, or that its tables should be migrated."""
    storage = settings.storage
    if storage is None or (storage.file is not None and is_empty(storage.file)):
        return []
    from tokenserver.storage.migrations.migrate import schema_of  # noqa: PLC0415 - takes long to import

    engine = open_engine(settings)
    try:
        return _old_schema(schema_of(engine), is_file=storage.file is not None)
    except BackendUnavailable as error:
        return [f"storage: does not answer, so stored credentials are rejected until it does: {error.reason}"]
    finally:
        engine.dispose()


def prepare_storage(settings: Settings, *, migrate: bool = False) -> str | None:
    """Make the tables of a new database, and migrate older ones; what was done as a sentence, None if nothing.

    Tables of PostgreSQL are only changed with `migrate`, since other servers may use them.

    Raises:
        LoadError: the tables are missing or too old, and are not to be changed; or a newer program has changed them.
        StorageUnavailable: the database does not answer; nothing was changed.
    """
    from tokenserver.storage.migrations.migrate import migrate_schema, schema_of  # noqa: PLC0415 - as above
    from tokenserver.storage.tables import SCHEMA  # noqa: PLC0415

    storage = _required(settings)
    is_new = storage.file is not None and make_file(storage.file)
    engine = open_engine(settings)
    try:
        before = schema_of(engine)
        problem = _schema_problem(before, is_changeable=migrate or storage.file is not None)
        if problem is not None:
            _refuse(problem)
        if before is not None and storage.file is not None:
            _require_sound(storage.file)
        if before == SCHEMA or not (migrate or storage.file is not None):
            return None
        migrate_schema(engine, server=settings.server.url, now=int(time.time()))
    finally:
        engine.dispose()
    place = storage.file or "the database"
    if before is None:
        return f"storage: made {place}" if is_new else f"storage: made the tables of {place}"
    return f"storage: migrated {place} from version {before} to {SCHEMA}"


def _require_sound(file: Path) -> None:
    """Look for damage before it spreads. Raises `StorageUnavailable` if there is some."""
    from tokenserver.storage.connections.failures import StorageUnavailable  # noqa: PLC0415 - takes long to import
    from tokenserver.storage.upkeep.backup import damage_of  # noqa: PLC0415

    try:
        problem = damage_of(file)
    except sqlite3.Error as error:
        problem = str(error)
    if problem is not None:
        fix = "tokenserver storage check, then restore a backup: tokenserver storage restore FILE"
        raise StorageUnavailable(f"{file} is damaged: {problem}; fix: {fix}")


def _make_tables(engine: Engine, settings: Settings) -> None:
    """Make the tables of a file whose first process got no further. One that does not answer may do so later."""
    from tokenserver.storage.migrations.migrate import migrate_schema, schema_of  # noqa: PLC0415 - takes long to import

    with suppress(BackendUnavailable):
        if schema_of(engine) is None:
            migrate_schema(engine, server=settings.server.url, now=int(time.time()))


def _required(settings: Settings) -> StorageSettings:
    if settings.storage is None:
        _refuse(NOT_CONFIGURED)
    return settings.storage


def is_empty(file: Path) -> bool:
    """Whether the file is missing, or was made by a process that got no further."""
    return not file.exists() or file.stat().st_size == 0


def _schema_problem(found: int | None, *, is_changeable: bool) -> str | None:
    """Why tables of this version cannot be used; None if they can, or if they are missing or old and may be changed."""
    from tokenserver.storage.migrations.migrate import OLDEST, NewerSchema  # noqa: PLC0415 - takes long to import
    from tokenserver.storage.tables import SCHEMA  # noqa: PLC0415

    if found is not None and found > SCHEMA:
        return NewerSchema(found).reason
    if is_changeable or (found is not None and found >= OLDEST):
        return None
    if found is None:
        return "the database has no tables; fix: tokenserver storage init"
    return f"the tables have version {found}, and this program needs {OLDEST}; fix: tokenserver storage migrate"


def _old_schema(found: int | None, *, is_file: bool) -> list[str]:
    from tokenserver.storage.tables import SCHEMA  # noqa: PLC0415 - takes long to import

    if found is None or found >= SCHEMA or is_file:
        return []
    return [f"storage: the tables have version {found}; tokenserver storage migrate brings them to {SCHEMA}"]


def _refuse(message: str, cause: Exception | None = None) -> NoReturn:
    raise LoadError([Fault("storage", 0, "", message)]) from cause
