"""Writers that sleep inside their transactions, and a worker that follows by revision: the trap of sequences.

A database sequence numbers rows when they are written, not when they are committed: a reader that has seen number 2
never asks for number 1, which was committed later.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

from sqlalchemy import Connection
from stored_credentials import PLAIN, STATE_KEYS

from tokenserver.access_keys import RANDOM_BYTES, compose_key
from tokenserver.storage.credential import row_of
from tokenserver.storage.database import Database
from tokenserver.storage.following.follower import StorageFollower
from tokenserver.storage.following.reading import CredentialReader
from tokenserver.storage.following.signals import ChangeSignal
from tokenserver.storage.index import CredentialIndex
from tokenserver.storage.seals import new_row
from tokenserver.storage.tables import credentials

ROWS = 15
"""How many each writer writes."""


class Followed(NamedTuple):
    """How many rows were written, how many the worker has, and how often it took over some of them only."""

    written: int
    known: int
    partial: int


class Worker:
    """A worker that follows by revision."""

    def __init__(self, database: Database, signal: ChangeSignal) -> None:
        reader = CredentialReader(database)
        self.index = CredentialIndex(STATE_KEYS, reader.row, grace=900)
        self.signal = signal
        self._follower = StorageFollower(self.index, reader, signal)
        self._stop = threading.Event()

    def look(self) -> int:
        """Look for changes; how many credentials are known then."""
        assert self._follower.look(self._stop)
        return len(self.index)


def insert(database: Database, begun: threading.Event, wait: threading.Event, seconds: float) -> None:
    """Write one row in a transaction that sleeps: until `wait` is set, or for so long."""

    def work(connection: Connection, rev: int) -> None:
        key, newest = compose_key(PLAIN.form, secrets.token_bytes(RANDOM_BYTES)), STATE_KEYS.newest
        row = new_row(
            row_of(replace(PLAIN, id=key.id), digest=b"", pepper=0),
            key,
            pepper=newest.pepper,
            pepper_number=newest.number,
            seal_key=newest.seal,
        )
        connection.execute(credentials.insert(), row._replace(rev=rev)._asdict())
        begun.set()
        wait.wait(seconds)

    database.write(work)


def follow_writers(writers: Sequence[Database], database: Database, signal: ChangeSignal) -> Followed:
    """Let all of them write concurrently while a worker follows."""
    worker = Worker(database, signal)
    worker.look()
    known = [0]

    def write(number: int) -> None:
        for row in range(ROWS):
            insert(writers[number], threading.Event(), threading.Event(), 0.001 * ((row * 7 + number) % 5))

    with ThreadPoolExecutor(len(writers)) as pool:
        writing = [pool.submit(write, number) for number in range(len(writers))]
        while not all(one.done() for one in writing):
            known.append(worker.look())
        for one in writing:
            one.result()
    known.append(worker.look())
    signal.close()
    return Followed(len(writers) * ROWS, known[-1], len(set(known)) - 2)


def overtake(first: Database, second: Database, database: Database, signal: ChangeSignal) -> list[int]:
    """Let the second writer begin while the first one sleeps; what a worker knows then, and when both are done."""
    worker = Worker(database, signal)
    worker.look()
    begun, wait = threading.Event(), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(insert, first, begun, wait, 10.0)
        assert begun.wait(10)
        fast = pool.submit(insert, second, threading.Event(), wait, 0.0)
        time.sleep(0.3)
        meanwhile = worker.look()
        wait.set()
        slow.result()
        fast.result()
    known = [meanwhile, worker.look(), worker.look()]
    signal.close()
    return known
