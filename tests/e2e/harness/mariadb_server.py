"""A real MariaDB for one test: a data folder, socket and port of its own, and no other user than its administrator."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pymysql

from harness.authority import Authority
from harness.processes import Daemon, answers, as_user, free_port, plain_environment, run
from harness.programs import find, refuse

_USER = "mysql"


def mariadb_program(name: str) -> Path:
    """A program of MariaDB; skips the test where there is none."""
    found = find(name)
    if found is None:
        refuse("mariadb-server is not installed; make real-servers installs it")
    return found


class MariadbServer:
    """One server; `start` and `stop` may be called again and again, and what is stored stays. Extra `options`.

    With `tls` it has a certificate of this authority for localhost.
    """

    def __init__(self, folder: Path, *options: str, tls: Authority | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.socket = folder / "socket"
        data, temporary = folder / "data", folder / "tmp"
        temporary.mkdir()
        self._prefix: list[str | Path] = []
        if os.geteuid() == 0:  # it refuses to run as root
            for path in (folder, temporary):
                shutil.chown(path, _USER, _USER)
            self._prefix = as_user(_USER)
        if tls is not None:
            files = tls.issue(folder)
            for path in files if self._prefix else ():
                shutil.chown(path, _USER, _USER)
            options = (*options, f"--ssl-cert={files[0]}", f"--ssl-key={files[1]}")
        install = [
            *self._prefix,
            mariadb_program("mariadb-install-db"),
            "--no-defaults",
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
        made = run(install, environment=plain_environment(folder), folder=folder)
        assert made.ok, made
        self._command = [
            *self._prefix,
            mariadb_program("mariadbd"),
            "--no-defaults",
            f"--datadir={data}",
            f"--tmpdir={temporary}",
            f"--socket={self.socket}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-log-bin",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-size=16M",
            *options,
        ]
        self.daemon = self._new_daemon()

    @property
    def url(self) -> str:
        """The URL of the database `people`, for a user who only reads and has the password `reader`."""
        return f"mariadb://reader@127.0.0.1:{self.port}/people"

    def start(self) -> None:
        """Start it and wait until it answers at its port, and takes logins at its socket, which opens later."""
        self.daemon.start(lambda: answers(self.port) and self._takes_logins())

    def stop(self) -> None:
        """End it, and all its connections with it."""
        self.daemon.stop()
        self.daemon = self._new_daemon()

    def execute(self, *statements: str, database: str | None = "people") -> None:
        """Run statements as the administrator."""
        with self._administrator(database) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def _administrator(self, database: str | None) -> pymysql.Connection:
        return pymysql.connect(
            unix_socket=str(self.socket), user="root", database=database, ssl_disabled=True, autocommit=True
        )

    def _takes_logins(self) -> bool:
        with contextlib.suppress(pymysql.err.OperationalError), self._administrator(None):
            return True
        return False

    def _new_daemon(self) -> Daemon:
        return Daemon("mariadb", self._command, environment=plain_environment(self.folder), folder=self.folder)


@contextlib.contextmanager
def mariadb_server(*options: str, tls: Authority | None = None) -> Iterator[MariadbServer]:
    """A running server with the database `people`. Its folder is none of pytest's, which its user could not enter."""
    with tempfile.TemporaryDirectory(prefix="mariadb-") as folder:
        server = MariadbServer(Path(folder), *options, tls=tls)
        try:
            server.start()
            server.execute(
                "CREATE DATABASE people CHARACTER SET utf8mb4",
                "CREATE USER reader@'%' IDENTIFIED BY 'reader'",
                "CREATE USER reader@localhost IDENTIFIED BY 'reader'",
                "GRANT SELECT ON people.* TO reader@'%'",
                "GRANT SELECT ON people.* TO reader@localhost",
                database=None,
            )
            yield server
        finally:
            server.stop()
