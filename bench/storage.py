"""`python -m bench.storage [--clients 16] [--seconds 3]`: stored credentials made, ended and listed.

Credentials are made by several threads of one process on an SQLite file, each on disk before its call returns, next to
single transactions as a yardstick. The goal is 500 a second with 16 clients. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Sort
from tokenserver.storage.connections.files import make_file
from tokenserver.storage.credential import StoredCredential
from tokenserver.storage.database import Database
from tokenserver.storage.engines import engine_for
from tokenserver.storage.migrations.migrate import migrate_schema
from tokenserver.storage.selection import Selection
from tokenserver.storage.state_keys import StateKey, StateKeys
from tokenserver.storage.store import CredentialStore
from tokenserver.storage.tables import jwks


def main() -> None:
    """Run and print a table."""
    parser = argparse.ArgumentParser(prog="bench.storage", description=__doc__)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "state.db"
        make_file(file)
        engine = engine_for(file)
        migrate_schema(engine, server="", now=int(time.time()))
        database = Database(engine)
        store = CredentialStore(database, StateKeys({1: StateKey.derived(1, bytes(32))}), now=time.time)
        numbers = iter(range(10**9))

        def single() -> None:
            values = {"issuer": str(next(numbers)), "document": "{}", "fetched": 1}
            database.note(lambda connection: connection.execute(jwks.insert().values(values)))

        def create() -> None:
            owner = f"user{next(numbers)}"
            ends = int(time.time()) + 86_400
            store.create(StoredCredential("", AccessKeyForm.REFRESH, owner, Sort.USER, "s", 0, owner, ends), at_most=9)

        rows = [
            ("one transaction for each, 1 client", rate(single, 1, arguments.seconds)),
            ("credentials made, 1 client", rate(create, 1, arguments.seconds)),
            (f"credentials made, {arguments.clients} clients", rate(create, arguments.clients, arguments.seconds)),
        ]
        start = time.perf_counter()
        count = len(store.listed(Selection()))
        listed = time.perf_counter() - start
        database.close()
    for title, found in rows:
        print(f"{title:40} {found:8.0f} a second")
    print(f"{f'{count:,} credentials listed':40} {1000 * listed:8.0f} ms")


def rate(work: Callable[[], None], clients: int, seconds: float) -> float:
    """How often `work` is done in a second by this many threads."""
    done = [0] * clients
    start = time.perf_counter()

    def run(number: int) -> None:
        while time.perf_counter() - start < seconds:
            work()
            done[number] += 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
