"""Databases of users: built from settings and the files of the password and of the CAs, without a connection."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tokenserver.authn.protection.guard import Protection
from tokenserver.authn.sql.backend import SqlUsers
from tokenserver.config.sources.sql import Sql
from tokenserver.credentials import Secret
from tokenserver.documents.files import read_text
from tokenserver.documents.tls_files import client_context
from tokenserver.errors import Fault, LoadError
from tokenserver.printable import shell_word
from tokenserver.runtime.cpu_affinity import OnAllCores

MAX_PASSWORD = 4096


def database_files(sql: Sql) -> tuple[Path, ...]:
    """The files of a database source, whose changes are reloaded. A file of SQLite is read at each login instead."""
    return tuple(file for file in (sql.url_password_file, sql.ca_file) if file is not None)


def sql_users(sql: Sql, protection: Protection | None = None) -> SqlUsers:
    """The users of this database. Without `protection`, hashing is not bounded.

    Raises:
        LoadError: every fault of its files, or its driver is not installed.
    """
    # SQLAlchemy is imported only by servers that have such a source.
    from tokenserver.authn.sql.database import UserDatabase  # noqa: PLC0415
    from tokenserver.authn.sql.engines import DriverMissing, UserDatabasePlace, engine_for  # noqa: PLC0415

    faults = list(_faults(sql))
    password = None
    if sql.url_password_file is not None:
        try:
            password = _password_in(sql.url_password_file)
        except LoadError as error:
            faults += error.faults
    if sql.ca_file is not None:
        try:
            client_context(sql.ca_file)
        except LoadError as error:
            faults += error.faults
    place = UserDatabasePlace(sql.url, password, sql.ca_file, sql.insecure_plaintext, float(sql.deadline))
    if not faults:
        try:
            engine_for(place).dispose()  # each process makes its own
        except DriverMissing as error:
            faults.append(Fault("authentication", 0, f"{sql.name}.url", str(error)))
    if faults:
        raise LoadError(faults)
    rows = UserDatabase(
        sql.name, partial(engine_for, place), query=sql.user_query, find=sql.find_query, seconds=float(sql.deadline)
    )
    if protection is None:
        return SqlUsers(sql.name, rows, plain_labels=sql.group_labels)
    room, once = OnAllCores(protection.hashing), protection.once(sql.name)
    return SqlUsers(sql.name, rows, plain_labels=sql.group_labels, room=room, once=once)


def place_of(sql: Sql) -> str:
    """Where the database is, as the configuration says; there is no password in it."""
    return str(sql.url)


def _faults(sql: Sql) -> Iterator[Fault]:
    if sql.file is None:
        return
    try:
        status = sql.file.stat()
    except OSError as error:
        yield Fault(str(sql.file), 0, "", f"cannot be read: {error.strerror}; fix: correct url of {sql.name}")
        return
    if not stat.S_ISREG(status.st_mode):
        yield Fault(str(sql.file), 0, "", "is not a regular file")
    elif status.st_mode & stat.S_IWOTH:
        problem = f"can be changed by everyone on this machine; fix: chmod o-w {shell_word(sql.file)}"
        yield Fault(str(sql.file), 0, "", problem)


def _password_in(file: Path) -> Secret:
    text = read_text(file, private=True, limit=MAX_PASSWORD).rstrip("\r\n")
    if not text or not text.isprintable():
        raise LoadError([Fault(str(file), 0, "", "must contain the password of the database as one line of text")])
    return Secret(text)
