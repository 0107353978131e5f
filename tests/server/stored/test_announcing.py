"""Changes of stored credentials by commands: what their events say, and that the event is part of the change."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from failing_statements import Failing, error_of
from stored_credentials import NOW, PLAIN, STATE_KEYS, Clock, new_database

from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Sort
from tokenserver.server.stored import announcing
from tokenserver.server.stored.announcing import AnnouncingStore
from tokenserver.storage.database import Database
from tokenserver.storage.outbox import Outbox
from tokenserver.storage.selection import Selection
from tokenserver.storage.store import TooManyCredentials
from tokenserver.storage.upkeep.audit_replay import ended_in

ROBOT = replace(PLAIN, form=AccessKeyForm.ROBOT, owner="robot:release", sort=Sort.ROBOT, source="")
REFRESH = replace(PLAIN, form=AccessKeyForm.REFRESH)


@pytest.fixture
def store(database: Database) -> AnnouncingStore:
    return AnnouncingStore(database, STATE_KEYS, now=Clock(NOW), by="cli:ops")


def events(store: AnnouncingStore) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while Outbox(STATE_KEYS).take(store.database, found.append, pytest.fail):
        pass
    return found


def test_a_new_key(store: AnnouncingStore) -> None:
    """The same facts as that of management, by whom, when, and nothing secret."""
    key, made = store.create(PLAIN, at_most=9)
    (event,) = events(store)
    assert event.pop("change_id")
    assert {name: event[name] for name in ("event", "action", "actor", "via", "credential", "owner", "outcome")} == {
        "event": "management",
        "action": "create_access_key",
        "actor": "cli:ops",
        "via": "command",
        "credential": made.id,
        "owner": PLAIN.owner,
        "outcome": "done",
    }
    assert event["at"].endswith("Z")
    assert key.text.reveal() not in str(event)


@pytest.mark.parametrize(
    ("change", "actions"),
    [
        pytest.param(lambda store, _: store.create(ROBOT, at_most=9), ["create_robot_secret"], id="robot"),
        pytest.param(
            lambda store, key: store.rotate(key, ends=NOW + 9, overlap=0, by="x"), ["rotate_access_key"], id="rotate"
        ),
        pytest.param(
            lambda store, key: store.end(Selection(ids=frozenset({key})), by="x", reason="lost"),
            ["end_access_keys"],
            id="end",
        ),
        pytest.param(
            lambda store, _: store.end(Selection(owner="nobody"), by="x", reason="lost"), [], id="nothing to end"
        ),
    ],
)
def test_actions(store: AnnouncingStore, change: Callable[[AnnouncingStore, str], object], actions: list[str]) -> None:
    """One event for each change that was made."""
    key = store.create(PLAIN, at_most=9)[0].id
    events(store)
    change(store, key)
    assert [event["action"] for event in events(store)] == actions


def test_ends_of_all_kinds(store: AnnouncingStore) -> None:
    """An event for each kind, with the ids; a restored backup learns from them what has ended."""
    made = {form: store.create(one, at_most=9)[0].id for form, one in (("p", PLAIN), ("r", ROBOT), ("f", REFRESH))}
    events(store)
    store.end(Selection(), by="x", reason="a laptop is lost")
    found = events(store)
    assert [(event["action"], event["credentials"], event["reason"]) for event in found] == [
        ("end_access_keys", [made["p"]], "a laptop is lost"),
        ("end_logins", [made["f"]], "a laptop is lost"),
        ("end_robot_secrets", [made["r"]], "a laptop is lost"),
    ]
    assert ended_in(json.dumps(event).encode() for event in found).ids == frozenset(made.values())


def test_many_ends(store: AnnouncingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ids of one event have a bound."""
    monkeypatch.setattr(announcing, "AT_A_TIME", 2)
    made = sorted(store.create(PLAIN, at_most=9)[0].id for _ in range(3))
    events(store)
    store.end(Selection(), by="x", reason="all")
    assert sorted(event["credentials"] for event in events(store)) == sorted([made[:2], made[2:]])


def test_a_change_that_is_refused(store: AnnouncingStore) -> None:
    """There is no event of what was not done."""
    store.create(PLAIN, at_most=1)
    events(store)
    with pytest.raises(TooManyCredentials):
        store.create(PLAIN, at_most=1)
    assert events(store) == []


def test_what_is_not_in_the_database(store: AnnouncingStore) -> None:
    """A command that changes files or rows in bulk says so by itself."""
    store.announce_done("add_state_key", state_key=2)
    (event,) = events(store)
    assert (event["action"], event["state_key"]) == ("add_state_key", 2)


@pytest.mark.parametrize(
    ("change", "action"),
    [
        pytest.param(lambda store, _: store.create(PLAIN, at_most=9), "create_access_key", id="create"),
        pytest.param(
            lambda store, key: store.rotate(key, ends=NOW + 9, overlap=0, by="x"), "rotate_access_key", id="rotate"
        ),
        pytest.param(lambda store, _: store.end(Selection(), by="x", reason="lost"), "end_access_keys", id="end"),
    ],
)
def test_every_statement_fails_once(
    tmp_path: Path, change: Callable[[AnnouncingStore, str], object], action: str
) -> None:
    """A change that failed has no event, one that was made has one."""
    for number in count():
        database = new_database(tmp_path, f"{number}.db")
        store = AnnouncingStore(database, STATE_KEYS, now=Clock(NOW), by="cli:ops")
        key = store.create(PLAIN, at_most=9)[0].id
        events(store)
        failing = Failing(database.engine)
        failing.at = number
        error = error_of(partial(change, store, key))
        failing.at = -1
        assert [event["action"] for event in events(store)] == ([] if error else [action])
        database.close()
        if error is None:
            break
    assert number >= 3  # the revision, the change, and its event
