"""Tables of users for tests: a database in a file of SQLite, and a user source for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tokenserver.authn.sql.backend import SqlUsers
from tokenserver.authn.sql.database import UserDatabase
from tokenserver.authn.sql.engines import UserDatabasePlace, engine_for
from tokenserver.credentials import Secret

QUERY = "SELECT password_hash, name AS subject, team AS groups, enabled FROM users WHERE name = :user"
TABLE = "CREATE TABLE users (name VARCHAR(255), password_hash VARCHAR(600), team TEXT, enabled INT)"


def make_table(file: Path, *rows: Sequence[Any]) -> Path:
    """A database in this file with the table `users`, and these rows of name, hash, groups and enabled."""
    change(file, TABLE)
    for row in rows:
        change(file, "INSERT INTO users VALUES (?, ?, ?, ?)", row)
    return file


def change(file: Path, statement: str, values: Sequence[Any] = ()) -> None:
    """Run one statement."""
    connection = sqlite3.connect(file)
    with connection:
        connection.execute(statement, values)
    connection.close()


def table_of(
    url: Path | str,
    query: str = QUERY,
    *,
    name: str = "people",
    password: str | None = None,
    find: str | None = None,
    seconds: float = 5,
    ca_file: Path | None = None,
    is_plaintext: bool = False,
) -> UserDatabase:
    """The rows of a database."""
    place = UserDatabasePlace(url, None if password is None else Secret(password), ca_file, is_plaintext, seconds)
    return UserDatabase(name, partial(engine_for, place), query=query, find=find or query, seconds=seconds)


def users_of(url: Path | str, query: str = QUERY, *, name: str = "people", **more: Any) -> SqlUsers:
    """The user source of a database."""
    return SqlUsers(name, table_of(url, query, name=name, **more))
