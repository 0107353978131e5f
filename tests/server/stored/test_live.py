"""The storage of a running server: what it knows, what it says about its health, and that it outlives changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from ipaddress import ip_address

import pytest
from followed_storage import presented
from stored_credentials import PLAIN

from tokenserver.access_keys import AccessKey
from tokenserver.config.settings import Settings
from tokenserver.errors import LoadError
from tokenserver.server.compose import build
from tokenserver.server.running import RunningServer
from tokenserver.server.stored.live import LiveStorage
from tokenserver.server.stored.opening import open_store
from tokenserver.storage.selection import Selection
from tokenserver.storage.state_keys import STATE_KEY
from tokenserver.storage.store import CredentialStore
from tokenserver.storage.unavailable import StorageUnavailable
from tokenserver.web.application import ReconfigurableApplication


def store_of(settings: Settings) -> CredentialStore:
    """The store as a command opens it, in no connection with the server."""
    return open_store(settings)


def soon(condition: Callable[[], object]) -> None:
    """Wait until the condition holds; a follower looks twice a second."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)


def storage_in(parts: RunningServer) -> LiveStorage:
    """The storage of a server that has one."""
    assert parts.storage is not None
    return parts.storage


def ended(storage: LiveStorage, key: AccessKey) -> str | None:
    """Why a known key has been ended."""
    held = storage.index.verified(presented(key))
    assert held is not None
    return held.ended


def test_without_a_storage_there_is_none(settings: Settings) -> None:
    """No thread, no gauges, no note."""
    parts = build(settings)
    assert (parts.storage, parts.reading().storage, parts.notes().get("storage")) == (None, None, None)


def test_credentials_are_there_from_the_first_request(stored: Settings) -> None:
    """The start waits for them; changes by commands arrive by themselves."""
    store = store_of(stored)
    key, _ = store.create(PLAIN, at_most=5)
    server = ReconfigurableApplication(build(stored))
    server.start()
    try:
        storage = storage_in(server.parts)
        assert (len(storage.index), ended(storage, key), storage.note) == (1, None, None)
        store.end(Selection(ids=frozenset({key.id})), by="root", reason="lost")
        soon(lambda: ended(storage, key) == "lost")
    finally:
        server.stop()


def test_it_outlives_other_settings(stored: Settings) -> None:
    """The same index and the same thread; only the grace follows the configuration."""
    store_of(stored).create(PLAIN, at_most=5)
    server = ReconfigurableApplication(build(stored))
    server.start()
    try:
        storage = storage_in(server.parts)
        threads = [thread for thread in threading.enumerate() if thread.name in ("storage", "storage chores")]
        server.apply(stored.model_copy(update={"storage_grace": 60, "anonymous": False}))
        assert server.parts.storage is storage
        assert storage.index.grace == 60
        assert [thread for thread in threading.enumerate() if thread.name in ("storage", "storage chores")] == threads
        assert len(threads) == 2
        assert all(thread.is_alive() for thread in threads)
    finally:
        server.stop()


def test_its_thread_ends_with_the_server_and_writes_the_last_uses(stored: Settings) -> None:
    """So that a restart loses none."""
    store = store_of(stored)
    key, _ = store.create(PLAIN, at_most=5)
    storage = storage_in(build(stored))
    stop = threading.Event()
    threads = storage.start(stop)
    storage.index.touch(key.id, 1_800_000_000.0, ip_address("192.0.2.1"))
    stop.set()
    for thread in threads:
        thread.join(5)
    assert not any(thread.is_alive() for thread in threads)
    (listed,) = store.listed(Selection())
    assert listed.use is not None
    assert (listed.use.last, listed.use.last_from, listed.use.times) == (1_800_000_000, "192.0.2.1", 1)


def test_a_start_with_the_storage_down(stored: Settings) -> None:
    """The server starts and is ready; its stored credentials are 503 until the storage answers, without a restart."""
    store = store_of(stored)
    key, _ = store.create(PLAIN, at_most=5)
    assert stored.storage is not None
    file = stored.storage.file
    assert file is not None
    away = file.with_suffix(".away")
    file.rename(away)
    server = ReconfigurableApplication(build(stored))
    server.start()
    try:
        parts = server.parts
        storage = storage_in(parts)
        soon(lambda: storage.note == "has not answered since the start; stored credentials get 503; see the log")
        assert parts.notes()["storage"] == storage.note
        assert set(parts.readiness().values()) == {None}
        with pytest.raises(StorageUnavailable):
            storage.index.verified(presented(key))
        away.rename(file)
        soon(lambda: storage.note is None)
        assert ended(storage, key) is None
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("later", "note"),
    [
        pytest.param(60, "does not answer; stored credentials work for another 14 min, unless", id="within the grace"),
        pytest.param(850, "does not answer; stored credentials work for another 50 s, unless", id="at its end"),
        pytest.param(930, "has not answered for 16 min; stored credentials get 503; see the log", id="after it"),
    ],
)
def test_the_note_says_how_long_the_grace_lasts(stored: Settings, later: float, note: str) -> None:
    """And names no host, since `/readyz` is public."""
    storage = storage_in(build(stored))
    notes = [storage.note]
    now = [1000.0]
    storage.index._monotonic = lambda: now[0]
    storage.index.looked()
    notes.append(storage.note)
    now[0] += later
    storage.index.failed("connection to db.example.com refused")
    assert notes == ["has not been read yet; stored credentials get 503", None]
    assert storage.note is not None
    assert storage.note.startswith(note)
    assert "example" not in storage.note


def test_gauges_say_what_there_is(stored: Settings) -> None:
    """By form, with the first end of what people renew."""
    store = store_of(stored)
    store.create(PLAIN, at_most=5)
    server = ReconfigurableApplication(build(stored))
    server.start()
    try:
        soon(lambda: server.parts.reading().storage and server.parts.reading().storage.live)  # type: ignore[union-attr]
        gauges = server.parts.reading().storage
        assert gauges is not None
        assert (gauges.live, gauges.ends, gauges.refused) == ({"key": 1}, {"key": PLAIN.ends}, 0)
        assert gauges.age is not None
        assert gauges.age < 10
    finally:
        server.stop()


def test_a_missing_state_key_stops_the_start(stored: Settings) -> None:
    """A fault like any other, with its fix."""
    key = stored.keys.folder / STATE_KEY
    away = key.with_suffix(".away")
    key.rename(away)
    try:
        with pytest.raises(LoadError, match=r"state\.key: does not exist; fix: "):
            build(stored)
    finally:
        away.rename(key)
