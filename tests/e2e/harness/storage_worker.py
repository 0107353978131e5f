"""A worker that follows a storage and uses its credentials all the time: `python storage_worker.py PLACE`.

It has the index, the follower and the database of a real worker. A line of standard input is a key to use, or `stop`;
then it prints, by id, the last moment at which each key worked (seconds of the monotonic clock, which all processes
of a machine share), and how often it asked.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

from tokenserver.access_keys import parse_key
from tokenserver.credentials import Key
from tokenserver.server.stored.live import LiveStorage
from tokenserver.storage.database import Database
from tokenserver.storage.engines import engine_for
from tokenserver.storage.following.signals import ChangeSignal, PostgresqlSignal, SqliteSignal
from tokenserver.storage.state_keys import StateKey, StateKeys

STATE_KEYS = StateKeys({1: StateKey.derived(1, bytes(range(32)))})
"""As the tests that start this have them."""

REST_SECONDS = 0.05


def live_storage(place: str) -> LiveStorage:
    """The storage at this path or URL, as a worker has it."""
    engine = engine_for(place if "://" in place else Path(place))
    signal: ChangeSignal = PostgresqlSignal(engine) if "://" in place else SqliteSignal(Path(place))
    return LiveStorage(Database(engine), STATE_KEYS, signal, grace=900)


class Worker:
    """Uses all keys in turn."""

    def __init__(self, place: str) -> None:
        self.storage = live_storage(place)
        self.keys: list[Key] = []
        self.worked: dict[str, float] = {}
        self.asked = 0
        self.stop = threading.Event()

    def use(self) -> None:
        """Use the keys until the end."""
        while not self.stop.wait(REST_SECONDS):
            for key in self.keys:
                # Before the question: a key that works now was known to do so no earlier.
                now = time.monotonic()
                held = self.storage.index.verified(key)
                self.asked += 1
                if held is not None and held.ended is None:
                    self.worked[key.id] = now
                    self.storage.index.touch(key.id, time.time(), None)


def main() -> None:
    """Run until `stop` is read."""
    worker = Worker(sys.argv[1])
    worker.storage.start(worker.stop)
    using = threading.Thread(target=worker.use)
    using.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        if line.strip() == "stop":
            break
        key = parse_key(line.strip())
        worker.keys = [*worker.keys, Key(key.form, key.id, key.text, "")]
    worker.stop.set()
    using.join()
    report = {"worked": worker.worked, "asked": worker.asked, "known": len(worker.storage.index)}
    sys.stdout.write(f"{json.dumps(report)}\n")


if __name__ == "__main__":
    main()
