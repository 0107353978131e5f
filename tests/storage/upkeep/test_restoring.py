"""Restoring: which credentials end, and that readers read every row again. cli/storage/test_backup.py has the rest."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from login_races import REFRESH, STORED, is_refused, sessions_of
from sqlalchemy import select
from stored_credentials import PLAIN, STATE_KEYS, Clock, store_of

from tokenserver.exchange.audit_events import spell_time
from tokenserver.identity import Kind
from tokenserver.storage.boxes import Boxes
from tokenserver.storage.database import GENERATION, Database
from tokenserver.storage.people.device_flow import DeviceRequest
from tokenserver.storage.people.flows import Flows
from tokenserver.storage.selection import Selection
from tokenserver.storage.tables import credentials
from tokenserver.storage.upkeep import restoring
from tokenserver.storage.upkeep.restoring import StorageBefore, end_restored


@pytest.mark.parametrize("before", [0, 1000, GENERATION - 1, GENERATION, 7 * GENERATION + 5])
def test_every_row_is_read_again(database: Database, before: int) -> None:
    """The revision of a backup may be behind what readers know: it begins a generation that nobody has seen."""
    store = store_of(database)
    for _ in range(2):
        store.create(PLAIN, at_most=9)
    assert end_restored(store, logs=None, keep=True, before=StorageBefore(before), by="ops") == 0
    expected = (before // GENERATION + 1) * GENERATION
    revs = database.read(lambda connection: set(connection.execute(select(credentials.c.rev)).scalars()))
    assert revs == {expected}
    assert database.revision() == expected


@pytest.mark.parametrize("keep", [False, True])
def test_browser_sessions(database: Database, keep: bool) -> None:
    """They end, and so do logins in flight, unless somebody says that nothing was revoked."""
    store, sessions = store_of(database), sessions_of(database)
    cookie, _ = sessions.begin(source="local", subject="ann", kind=Kind.PASSWORD)
    codes = Flows(database, Boxes(STATE_KEYS), now=Clock()).begin(
        DeviceRequest("tokenserver-helper", "192.0.2.1", "", ("reg",)), place="192.0.2.1"
    )
    before = database.revision()
    end_restored(store, logs=None if keep else [b""], keep=keep, by="ops")
    assert (sessions.find(cookie) is not None) is keep
    assert (Flows(database, Boxes(STATE_KEYS), now=Clock()).by_device_code(codes.device_code) is not None) is keep
    assert is_refused(STORED["a refresh token"], database, before) is not keep


def test_people_that_a_provider_has_logged_out(database: Database) -> None:
    """Their refresh tokens from before the event; those of later logins, and access keys, go on."""
    clock = Clock()
    store = store_of(database, clock)
    old = store.create(REFRESH, at_most=9)[0].id
    clock.now += 60
    event = {"event": "provider_logout", "outcome": "logged_out", "subject": "ann", "time": spell_time(clock.now - 1)}
    kept = {store.create(one, at_most=9)[0].id for one in (REFRESH, PLAIN, replace(REFRESH, owner="bob"))}
    assert end_restored(store, logs=[json.dumps(event).encode()], keep=False, by="ops") == 1
    assert {one.credential.id for one in store.listed(Selection()) if one.ended is None} == kept
    assert old not in kept


def test_many_in_a_log(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few at a time; those that are unknown here are skipped."""
    monkeypatch.setattr(restoring, "_MANY", 2)
    store = store_of(database)
    ids = [store.create(PLAIN, at_most=9)[0].id for _ in range(5)]
    log = "".join(json.dumps({"displaced": [one]}) + "\n" for one in [*ids[:4], "000000000000"]).encode()
    assert end_restored(store, logs=[log], keep=False, by="ops") == 4
    (left,) = [one for one in store.listed(Selection()) if one.ended is None]
    assert left.credential.id == ids[4]
    reasons = {(one.ended_by, one.reason) for one in store.listed(Selection()) if one.ended is not None}
    assert reasons == {("ops", "restored from a backup")}
