"""Last uses: what is written, what is kept while the storage does not answer, and that nothing else is touched."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from sqlalchemy import event
from stored_credentials import NOW, PLAIN, sqlite, store_of

from tokenserver.storage import uses
from tokenserver.storage.connections.failures import StorageUnavailable
from tokenserver.storage.database import Database
from tokenserver.storage.selection import Selection, Use
from tokenserver.storage.store import CredentialStore
from tokenserver.storage.uses import NotedUse, UseRecorder, write_uses

HERE, THERE = IPv4Address("192.0.2.1"), IPv6Address("2001:db8::1")


@pytest.fixture
def store(database: Database) -> CredentialStore:
    """An empty store."""
    return store_of(database)


def used(store: CredentialStore, identifier: str) -> Use | None:
    """What lists say of the use of a credential."""
    (found,) = store.listed(Selection(ids=frozenset({identifier})))
    return found.use


def new(store: CredentialStore) -> str:
    """The id of a new credential."""
    return store.create(PLAIN, at_most=9)[0].id


def test_the_first_address_stays_and_the_last_one_follows(store: CredentialStore, database: Database) -> None:
    """An earlier use that is written later, as by another replica, changes neither; it only counts."""
    one = new(store)
    assert used(store, one) is None
    for now, client in ((NOW, HERE), (NOW + 60, THERE), (NOW + 30, HERE)):
        write_uses(database, {one: NotedUse(now + 0.9, client)})
    assert used(store, one) == Use(NOW + 60, str(THERE), str(HERE), 3)


def test_an_unknown_address_is_empty(store: CredentialStore, database: Database) -> None:
    """The use counts nevertheless."""
    one = new(store)
    write_uses(database, {one: NotedUse(NOW, None)})
    assert used(store, one) == Use(NOW, "", "", 1)


def test_what_is_gone_is_skipped(store: CredentialStore, database: Database) -> None:
    """It holds up no other, and no revision changes; nothing noted is no statement at all."""
    one = new(store)
    before = database.revision()
    write_uses(database, {"gone": NotedUse(NOW, HERE), one: NotedUse(NOW, HERE)})
    write_uses(database, {})
    assert used(store, one) == Use(NOW, str(HERE), str(HERE), 1)
    assert database.revision() == before


def test_many_uses_are_one_transaction(store: CredentialStore, database: Database) -> None:
    """One wait for the disk."""
    ids = [new(store) for _ in range(5)]
    commits: list[object] = []
    event.listen(database.engine, "commit", commits.append)
    write_uses(database, {one: NotedUse(NOW, HERE) for one in ids})
    assert len(commits) == 1


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until it holds, at most five seconds."""
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_thread_writes_what_was_noted(store: CredentialStore, database: Database) -> None:
    """The last use of each credential, and once."""
    one = new(store)
    recorder = UseRecorder(database, every=0.02)
    recorder.touch(one, NOW, HERE)
    eventually(lambda: used(store, one) is not None)
    recorder.touch(one, NOW + 5, THERE)
    recorder.close()
    assert used(store, one) == Use(NOW + 5, str(THERE), str(HERE), 2)


def test_a_forked_process_has_its_own_thread(store: CredentialStore, database: Database) -> None:
    """Whether or not its parent has noted anything."""
    one = new(store)
    recorder = UseRecorder(database, every=0.02)
    recorder.touch(one, NOW, HERE)
    recorder.flush()
    child = os.fork()
    if child == 0:
        recorder.touch(one, NOW + 9, THERE)
        time.sleep(0.5)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    recorder.close()
    found = used(store, one)
    assert found is not None
    assert found.last == NOW + 9


def test_uses_wait_while_the_storage_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest ones, up to a limit; they are written when it answers."""
    monkeypatch.setattr(uses, "MAX_NOTED", 2)
    recorder = UseRecorder(Database(sqlite(tmp_path)))  # has no tables
    for number in range(3):
        recorder.touch(str(number), NOW + number, HERE)
    assert not recorder.flush()
    assert set(recorder._noted) == {"1", "2"}
    recorder.touch("1", NOW + 9, THERE)
    assert not recorder.flush()
    assert recorder._noted["1"].now == NOW + 9
    with pytest.raises(StorageUnavailable):
        write_uses(Database(sqlite(tmp_path, "other.db")), {"1": NotedUse(NOW, HERE)})
