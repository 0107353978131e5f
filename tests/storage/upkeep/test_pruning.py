"""Removing what ended long ago: neither a day too early, nor anything that still works."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import insert, update
from stored_credentials import DAY, NOW, PLAIN, STATE_KEYS, Clock, store_of

from tokenserver.storage.database import Database
from tokenserver.storage.selection import Selection
from tokenserver.storage.tables import audit_chains, browser_sessions, epochs, flows, meta, seen_jti
from tokenserver.storage.trail.chains import ChainRegister, ChainRow
from tokenserver.storage.upkeep import pruning
from tokenserver.storage.upkeep.pruning import prune

NOTHING = {
    "credentials": 0,
    "browser sessions": 0,
    "logins in progress": 0,
    "ends of logins": 0,
    "tokens seen": 0,
    "chains of audit events": 0,
}


def test_credentials_stay_for_thirty_days(database: Database) -> None:
    """After they expired, or were ended; those that live are not touched."""
    clock = Clock()
    store = store_of(database, clock)
    live = store.create(PLAIN, at_most=9)[0].id
    store.create(replace(PLAIN, ends=NOW + DAY), at_most=9)
    ended = store.create(replace(PLAIN, ends=NOW + 99 * DAY), at_most=9)[0].id
    clock.now = NOW + 2 * DAY
    store.end(Selection(ids=frozenset({ended})), by="ann", reason="lost")
    assert prune(database, now=NOW + 31 * DAY) == NOTHING
    assert prune(database, now=NOW + 31 * DAY + 1) == {**NOTHING, "credentials": 1}
    assert prune(database, now=NOW + 32 * DAY + 1) == {**NOTHING, "credentials": 1}
    assert [one.credential.id for one in store.listed(Selection())] == [live]


def test_other_tables(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows at a time, until none is left."""
    monkeypatch.setattr(pruning, "_AT_A_TIME", 2)
    session = {
        "kind": "password",
        "made_from": "",
        "client": "",
        "pepper": 1,
        "seal": b"",
        "source": "corp",
        "subject": "ann",
        "made": 1,
        "seen": 1,
        "state": 1,
    }
    with database.engine.begin() as connection:
        for number in range(5):
            ends = NOW + number
            connection.execute(insert(seen_jti).values(issuer="i", jti=str(number), ends=ends))
            connection.execute(
                insert(flows).values(id=bytes([number]), kind="device", payload=b"", state="open", ends=ends)
            )
            connection.execute(insert(epochs).values(source="", kind="sid", name=str(number), rev=1, made=NOW + number))
            connection.execute(insert(browser_sessions).values(id=bytes([number]), ends=ends, **session))
    assert prune(database, now=NOW + 3) == {**NOTHING, "logins in progress": 3, "tokens seen": 3}
    expected = {**NOTHING, "browser sessions": 5, "ends of logins": 5, "logins in progress": 2, "tokens seen": 2}
    assert prune(database, now=NOW + 40 * DAY) == expected


def test_chains_are_known_for_longer_than_a_year(database: Database) -> None:
    """After their last seal; tables of the version before have none."""
    register = ChainRegister(STATE_KEYS)
    for chain, sealed in (("AAAAAAAA", NOW), ("BBBBBBBB", NOW + DAY)):
        register.put(database, ChainRow(chain, "host :1", NOW * 1000, 1, sealed * 1000, 0))
    assert prune(database, now=NOW + 400 * DAY) == NOTHING
    assert prune(database, now=NOW + 400 * DAY + 1) == {**NOTHING, "chains of audit events": 1}
    assert [row.chain for row in register.known(database).rows] == ["BBBBBBBB"]
    with database.engine.begin() as connection:
        audit_chains.drop(connection)
        connection.execute(update(meta).values(schema=3))
    assert prune(database, now=NOW + 999 * DAY) == NOTHING
