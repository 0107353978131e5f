"""A real PostgreSQL for one test: free port, an empty cluster, and no other user than the machine's own."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

from harness.processes import Daemon, as_user, free_port, plain_environment, run
from harness.programs import find, refuse

_USER = "postgres"
_SETTINGS = ("fsync=off", "full_page_writes=off", "max_connections=200", "listen_addresses=127.0.0.1")


def database_program(name: str) -> Path:
    """The newest of Debian's versions; skips the test where there is none."""
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[4]))
    found = places[-1] if places else find(name)
    if found is None:
        refuse("postgresql is not installed; make real-servers installs it")
    return found


class PostgresqlServer:
    """One server; `start` and `stop` may be called again and again, and what is stored stays."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._data = folder / "data"
        self._prefix: list[str | Path] = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(folder, _USER, _USER)
            self._prefix = as_user(_USER)
        environment = plain_environment(folder)
        command = [
            *self._prefix,
            database_program("initdb"),
            "-D",
            self._data,
            "-U",
            _USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
        ]
        made = run(command, environment=environment, folder=folder)
        assert made.ok, made
        options = [word for setting in _SETTINGS for word in ("-c", setting)]
        self._command = [
            *self._prefix, database_program("postgres"), "-D", self._data, "-p", str(self.port), "-k", folder, *options
        ]  # fmt: skip
        self.daemon = self._new_daemon()

    @property
    def url(self) -> str:
        """The URL of its database, for a user who needs no password."""
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it and wait until it takes logins, which it refuses for a moment after it listens."""
        self.daemon.start(self._takes_logins)

    def stop(self) -> None:
        """End it, and all its connections with it."""
        self.daemon.stop()
        self.daemon = self._new_daemon()

    def execute(self, statement: str) -> None:
        """Run a statement as its administrator, outside of a transaction, for as long as it takes.

        The product's own connections give up after two seconds, in which a busy machine may make no database.
        """
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())

    def _takes_logins(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.url, connect_timeout=1):
            return True
        return False

    def _new_daemon(self) -> Daemon:
        return Daemon("postgresql", self._command, environment=plain_environment(self.folder), folder=self.folder)


@contextlib.contextmanager
def postgresql_server() -> Iterator[PostgresqlServer]:
    """A running server. Its folder is not one of pytest's, which its user could not enter."""
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        server = PostgresqlServer(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()
