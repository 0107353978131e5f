"""`python -m bench.sql_users`: logins of people in a database, beside those of an htpasswd file.

A repeated login comes from the cache. For the first ones, nothing is cached and the hashes are cheap, so that the
look-up shows; with bcrypt at cost 10, the hash is all that counts.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench import e2e, load
from bench.servers import tokenserver, users_file

USERS = 500
QUERY = "SELECT name AS subject, password_hash FROM users WHERE name = :user"
TABLE = "CREATE TABLE users (name VARCHAR(100) PRIMARY KEY, password_hash VARCHAR(200))"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.sql_users", description=__doc__)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    works = {
        "the same user again": (10, "60s", load.login("u0")),
        "first logins, cost 4": (4, "0s", load.many_users(USERS, 1)),
        "first logins, cost 10": (10, "0s", load.many_users(USERS, 1)),
    }
    for title, (cost, cache, work) in works.items():
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            rates = {}
            for name, settings in stack.enter_context(sources(Path(folder), cost)).items():
                entry = json.dumps({next(iter(settings)): {**settings[next(iter(settings))], "cache": cache}})
                place = Path(folder) / name
                with tokenserver(place, workers=options.workers, sources=entry) as server:
                    load.drive(server.url, work, 1)
                    rates[name] = [load.drive(server.url, work, options.seconds).rate for _ in range(options.rounds)]
            base = statistics.median(rates["htpasswd"])
            for name, found in rates.items():
                rate = statistics.median(found)
                spread = f"{min(found):.0f} - {max(found):.0f}"
                print(f"{title:24} {name:12} {rate:8.0f} a second {spread:>16} {rate / base:6.2f}", flush=True)


@contextmanager
def sources(folder: Path, cost: int) -> Iterator[dict[str, dict[str, dict[str, Any]]]]:
    """The settings of a source of each kind, with the same users."""
    file = folder / "users.htpasswd"
    users_file(file, USERS, cost)
    rows = [tuple(line.split(":", 1)) for line in file.read_text().splitlines()]
    made: dict[str, dict[str, dict[str, Any]]] = {"htpasswd": {"htpasswd": {"file": str(file)}}}
    connection = sqlite3.connect(folder / "users.db")
    with connection:
        connection.execute(TABLE)
        connection.executemany("INSERT INTO users VALUES (?, ?)", rows)
    connection.close()
    made["SQLite"] = {"sql": {"url": str(folder / "users.db"), "query": QUERY}}
    e2e.use("slapd")
    with ExitStack() as stack:
        values = ", ".join(f"('{name}', '{hashed}')" for name, hashed in rows)
        statements = (TABLE, f"INSERT INTO users VALUES {values}")  # noqa: S608 - names and hashes made here
        if Path("/usr/lib/postgresql").exists():
            made["PostgreSQL"] = {"sql": {"url": _postgresql(stack, statements), "query": QUERY}}
        if Path("/usr/sbin/mariadbd").exists():
            password = folder / "password"
            password.touch(mode=0o600)
            password.write_text("reader")
            url = _mariadb(stack, statements)
            made["MariaDB"] = {"sql": {"url": url, "url_password_file": str(password), "query": QUERY}}
        yield made


def _postgresql(stack: ExitStack, statements: tuple[str, ...]) -> str:
    import psycopg  # noqa: PLC0415 - optional
    from harness.postgresql_server import postgresql_server  # noqa: PLC0415 - importable once `e2e.use` ran

    server = stack.enter_context(postgresql_server())
    while True:
        try:
            connection = psycopg.connect(server.url, autocommit=True)
        except psycopg.OperationalError:  # it is starting up
            time.sleep(0.1)
        else:
            break
    with connection:
        for statement in statements:
            connection.execute(statement.encode())
    return server.url


def _mariadb(stack: ExitStack, statements: tuple[str, ...]) -> str:
    from harness.mariadb_server import mariadb_server  # noqa: PLC0415 - importable once `e2e.use` ran

    server = stack.enter_context(mariadb_server())
    server.execute(*statements)
    return server.url


if __name__ == "__main__":
    main()
