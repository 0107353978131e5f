"""Engines for databases of users: SQLite in a file, PostgreSQL and MariaDB by URL. All of them only read."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.pool import NullPool

from tokenserver.authn.sql.columns import LIMITS
from tokenserver.credentials import Secret
from tokenserver.errors import TokenserverError
from tokenserver.storage.connections.limits import seconds_left

POOL = 2
MORE = 4
"""Connections of each process to one database: those that stay open, and those that are opened under load."""

_OPERATIONS = 10_000
"""Of SQLite's virtual machine, after which it looks at the deadline; a millisecond at most."""

_MAX_VALUE = 4 * max(LIMITS.values()) + 4096
"""Bytes of the longest value that SQLite handles, as it would else copy a huge one."""


class DriverMissing(TokenserverError):
    """The driver of a database is not installed. The text says how to install it."""


@dataclass(frozen=True, slots=True)
class UserDatabasePlace:
    """Where a database is: the path of a file, or a URL without a password. `seconds` limit each wait for it."""

    url: Path | str
    password: Secret | None
    ca_file: Path | None
    is_plaintext: bool
    seconds: float


def engine_for(place: UserDatabasePlace) -> Engine:
    """The engine of this place; nothing is connected yet.

    Raises:
        DriverMissing: the optional driver is not installed.
    """
    if isinstance(place.url, Path):
        return _sqlite(place.url, place.seconds)
    url = make_url(place.url)
    kind = "postgresql" if url.drivername == "postgresql" else "mariadb"
    try:
        return _postgresql(url, place) if kind == "postgresql" else _mariadb(url, place)
    except ModuleNotFoundError as error:
        raise DriverMissing(f"needs the driver of {kind}; fix: pip install 'tokenserver[{kind}]'") from error


def _postgresql(url: URL, place: UserDatabasePlace) -> Engine:
    from tokenserver.storage.connections.postgresql import postgresql_engine  # noqa: PLC0415 - its driver is optional

    more = {"sslmode": "disable"} if place.is_plaintext else {}
    if place.ca_file is not None:
        more = {"sslmode": "verify-full", "sslrootcert": str(place.ca_file)}
    engine = postgresql_engine(
        url.update_query_dict(more).render_as_string(hide_password=False),
        password=None if place.password is None else place.password.reveal(),
        seconds=place.seconds,
        pool=(POOL, MORE),
    )
    return engine.execution_options(postgresql_readonly=True)


def _mariadb(url: URL, place: UserDatabasePlace) -> Engine:
    from tokenserver.authn.sql.mariadb import mariadb_engine  # noqa: PLC0415 - its driver is optional

    return mariadb_engine(
        url,
        password=None if place.password is None else place.password.reveal(),
        ca_file=place.ca_file,
        is_plaintext=place.is_plaintext,
        seconds=place.seconds,
        pool=(POOL, MORE),
    )


def _sqlite(path: Path, seconds: float) -> Engine:
    # A connection for each use: opening one takes 0.1 ms, and the file may be replaced meanwhile.
    engine = create_engine(
        URL.create("sqlite", database=f"file:{quote(str(path.absolute()))}", query={"mode": "ro", "uri": "true"}),
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={"timeout": seconds, "check_same_thread": False},
    )

    def configure(connection: sqlite3.Connection, _record: object) -> None:
        left = max(seconds_left(), 0.001)
        end = time.monotonic() + left
        connection.set_progress_handler(lambda: time.monotonic() > end, _OPERATIONS)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE)
        # Errors of Python's own decoder repeat the value, which can be a hash.
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        for pragma in (f"busy_timeout={int(left * 1000)}", "query_only=ON", "trusted_schema=OFF"):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine, "connect", configure)
    return engine
