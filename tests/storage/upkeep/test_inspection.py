"""What is wrong with the content of a storage, by kind, with the credentials' names."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update
from stored_credentials import DAY, FULL, NOW, PLAIN, STATE_KEYS, Clock, store_of

from tokenserver.storage.credential import CredentialRow
from tokenserver.storage.database import Database
from tokenserver.storage.seals import sealed
from tokenserver.storage.selection import Selection
from tokenserver.storage.tables import credentials
from tokenserver.storage.upkeep import inspection
from tokenserver.storage.upkeep.inspection import Inspection, inspect


def change(database: Database, identifier: str, *, seal: bool = False, **values: Any) -> None:
    """Change columns of a row, and seal it if this is meant to be a row of a server."""
    table = credentials.c
    with database.engine.begin() as connection:
        connection.execute(update(credentials).where(table.id == identifier).values(**values))
        if seal:
            row = CredentialRow(*connection.execute(credentials.select().where(table.id == identifier)).one())
            new = sealed(STATE_KEYS.newest.seal, row)
            connection.execute(update(credentials).where(table.id == identifier).values(seal=new.seal))


def test_nothing_is_wrong(database: Database) -> None:
    """Ended and expired ones are counted among the rows alone."""
    store = store_of(database)
    store.create(FULL, at_most=9)
    store.create(PLAIN, at_most=9)
    assert inspect(store, now=NOW) == Inspection(2, {1: 2}, [])
    assert inspect(store, now=NOW + 365 * DAY) == Inspection(2, {}, [])


@pytest.mark.parametrize(
    ("values", "seal", "expected"),
    [
        pytest.param({"owner": "root"}, False, "changed by something else than this server, and rejected", id="seal"),
        pytest.param({"pepper": 9}, False, "made with state key 9, which is missing here; fix: copy", id="key"),
        pytest.param({"ceiling": "{}"}, True, "unreadable for this version, and rejected", id="unreadable"),
        pytest.param({"created": NOW + 301}, True, "made in the future; fix: set the clock", id="clock"),
    ],
)
def test_findings(database: Database, values: dict[str, Any], seal: bool, expected: str) -> None:
    """One sentence for each kind."""
    store = store_of(database, Clock())
    key, _ = store.create(FULL, at_most=9)
    change(database, key.id, seal=seal, **values)
    (finding,) = inspect(store, now=NOW).findings
    assert finding.startswith(f"1 credential ({key.id}) {expected}")


@pytest.mark.parametrize("later", [pytest.param(0, id="revoked"), pytest.param(365 * DAY, id="expired")])
def test_what_has_ended_needs_no_state_key(database: Database, later: int) -> None:
    """After a state key is retired, nothing is left to fix."""
    store = store_of(database, Clock())
    key, _ = store.create(FULL, at_most=9)
    if not later:
        store.end(Selection(ids=frozenset([key.id])), by="ann", reason="leaked")
    change(database, key.id, pepper=9)
    assert inspect(store, now=NOW + later) == Inspection(1, {}, [])


def test_many_are_counted(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first ones are named."""
    monkeypatch.setattr(inspection, "MAX_NAMED", 2)
    store = store_of(database)
    ids = sorted(store.create(PLAIN, at_most=9)[0].id for _ in range(3))
    for identifier in ids:
        change(database, identifier, ends=NOW + 999 * DAY)
    (finding,) = inspect(store, now=NOW).findings
    assert finding.startswith(f"3 credentials ({ids[0]}, {ids[1]} and 1 more) changed by")
