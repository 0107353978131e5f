"""`python -m bench.credentials`: what 100,000 stored credentials cost a worker, and how soon a revocation arrives.

Memory and time to load them from SQLite, the cost of a look-up at the first use and of a repeated one, and the time
from the commit of a revocation to the last use by an index that only follows. Times are of the processor, except for
the last.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from stored_credentials import PLAIN, STATE_KEYS, made, sqlite, store_of

from tokenserver.access_keys import RANDOM_BYTES, AccessKey, compose_key
from tokenserver.credentials import AccessKeyForm, Key
from tokenserver.server.stored.live import LiveStorage
from tokenserver.storage.credential import row_of
from tokenserver.storage.database import Database
from tokenserver.storage.following.signals import SqliteSignal
from tokenserver.storage.seals import new_row
from tokenserver.storage.selection import Selection
from tokenserver.storage.tables import credentials, revision

USES = 20_000
REVOCATIONS = 50


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.credentials", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        database = made(sqlite(Path(folder)))
        keys = fill(database, rows)
        storage = LiveStorage(database, STATE_KEYS, SqliteSignal(Path(folder) / "state.db"), grace=900)
        stop, before = threading.Event(), _resident()
        begin, start = time.monotonic(), time.process_time()
        threads = storage.start(stop)
        while not len(storage.index):
            time.sleep(0.01)
        seconds, wall = time.process_time() - start, time.monotonic() - begin
        size = (_resident() - before) / 1e6
        print(f"{len(storage.index):,} rows: {size:.0f} MB, loaded in {seconds:.2f} s ({wall:.2f} s on the clock)")
        _look_ups(storage, keys)
        _revocations(storage, Database(database.engine), keys)
        stop.set()
        for thread in threads:
            thread.join()
        database.close()


def fill(database: Database, number: int) -> list[AccessKey]:
    """Rows as people have them; their keys."""
    newest = STATE_KEYS.newest
    keys = [
        compose_key(AccessKeyForm.PERSONAL, one.to_bytes(16, "big") + bytes(RANDOM_BYTES - 16)) for one in range(number)
    ]
    wanted = replace(PLAIN, ends=int(time.time()) + 90 * 86_400, created_from="192.0.2.1", client="docker/28")

    def values(place: int, key: AccessKey) -> dict[str, object]:
        one = replace(wanted, id=key.id, owner=f"user{place % 5_000}", name=f"laptop {place}")
        row = new_row(
            row_of(one, digest=b"", pepper=0),
            key,
            pepper=newest.pepper,
            pepper_number=newest.number,
            seal_key=newest.seal,
        )
        return row._replace(rev=1)._asdict()

    rows = [values(place, key) for place, key in enumerate(keys)]
    with database.engine.begin() as connection:
        connection.execute(credentials.insert(), rows)
        connection.execute(revision.update().values(rev=1))
    return keys


def _look_ups(storage: LiveStorage, keys: list[AccessKey]) -> None:
    presented = [Key(key.form, key.id, key.text, "") for key in keys[:USES]]
    for what in ("first use", "repeated use"):
        start = time.process_time()
        for key in presented:
            if storage.index.verified(key) is None:
                raise RuntimeError("a stored credential is unknown")
        print(f"{what}: {(time.process_time() - start) / len(presented) * 1e6:.1f} us")


def _revocations(storage: LiveStorage, other: Database, keys: list[AccessKey]) -> None:
    """By a store that does not tell the index."""
    store, late = store_of(other), []
    for key in keys[:REVOCATIONS]:
        store.end(Selection(ids=frozenset({key.id})), by="bench", reason="bench")
        committed = time.monotonic()
        presented = Key(key.form, key.id, key.text, "")
        while (held := storage.index.verified(presented)) is not None and held.ended is None:
            time.sleep(0.001)
        late.append(time.monotonic() - committed)
    p99 = sorted(late)[int(len(late) * 0.99)]
    worst = late.index(max(late))
    print(f"revocation to last use: median {statistics.median(late):.2f} s, p99 {p99:.2f} s (revocation {worst})")
    other.close()


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * 4096


if __name__ == "__main__":
    main()
