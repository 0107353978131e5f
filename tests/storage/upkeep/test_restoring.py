"""Restoring: which credentials end, and that readers read every row again. cli/storage/test_backup.py has the rest."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select
from stored_credentials import PLAIN, store_of

from tokenserver.storage.database import Database
from tokenserver.storage.selection import Selection
from tokenserver.storage.tables import credentials
from tokenserver.storage.upkeep import restoring
from tokenserver.storage.upkeep.restoring import end_restored


def test_every_row_is_read_again(database: Database) -> None:
    """The revision of a backup may be behind what readers know."""
    store = store_of(database)
    for _ in range(2):
        store.create(PLAIN, at_most=9)
    assert end_restored(store, logs=None, keep=True, above=1000, by="ops") == 0
    revs = database.read(lambda connection: set(connection.execute(select(credentials.c.rev)).scalars()))
    assert revs == {1001}
    assert database.revision() == 1001


def test_many_in_a_log(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few at a time; those that are unknown here are skipped."""
    monkeypatch.setattr(restoring, "_MANY", 2)
    store = store_of(database)
    ids = [store.create(PLAIN, at_most=9)[0].id for _ in range(5)]
    log = "".join(json.dumps({"ended": one}) + "\n" for one in [*ids[:4], "000000000000"]).encode()
    assert end_restored(store, logs=[log], keep=False, by="ops") == 4
    (left,) = [one for one in store.listed(Selection()) if one.ended is None]
    assert left.credential.id == ids[4]
    reasons = {(one.ended_by, one.reason) for one in store.listed(Selection()) if one.ended is not None}
    assert reasons == {("ops", "restored from a backup")}
