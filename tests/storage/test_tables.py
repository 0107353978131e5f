"""The tables: constraints that hold whatever the program does."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
from stored_credentials import PLAIN

from tokenserver.storage.credential import row_of
from tokenserver.storage.database import Database
from tokenserver.storage.tables import credentials, meta, people, revision, uses

ROW = row_of(PLAIN, digest=b"d" * 32, pepper=1)._replace(id="0123456789ab", seal=b"s" * 32)._asdict()
PERSON = {
    "seal": b"s" * 32,
    "source": "corp",
    "sub": "1",
    "subject": "ann",
    "groups": "[]",
    "seen": 1,
    "asked": 1,
    "not_before": 0,
    "pepper": 1,
}


@pytest.mark.parametrize(
    ("table", "values"),
    [
        pytest.param(meta, {"one": 2, "schema": 1, "server": "", "created": 1}, id="second meta"),
        pytest.param(revision, {"one": 2, "rev": 1}, id="second revision"),
        pytest.param(credentials, {**ROW, "form": "x"}, id="form"),
        pytest.param(credentials, {**ROW, "state": 2}, id="state"),
        pytest.param(credentials, {**ROW, "seal": None}, id="no seal"),
        pytest.param(credentials, {**ROW, "ends": None}, id="no end"),
        pytest.param(uses, {"id": "none", "last": 1, "last_from": "", "first_from": "", "times": 1}, id="use of none"),
    ],
)
def test_rows_that_cannot_be(database: Database, table: Any, values: dict[str, Any]) -> None:
    """The database refuses them."""
    with pytest.raises(IntegrityError), database.engine.begin() as connection:
        connection.execute(insert(table).values(values))


def test_a_subject_belongs_to_one_person(database: Database) -> None:
    """The name of somebody who left is not given to another account of the source."""
    with database.engine.begin() as connection:
        connection.execute(insert(people).values({**PERSON, "state": 1, "rev": 1}))
    second = insert(people).values({**PERSON, "sub": "2", "state": 1, "rev": 1})
    with pytest.raises(IntegrityError), database.engine.begin() as connection:
        connection.execute(second)


def test_uses_go_with_their_credential(database: Database) -> None:
    """Deleting a credential deletes what is known of its use."""
    with database.engine.begin() as connection:
        connection.execute(insert(credentials).values(ROW))
        connection.execute(insert(uses).values(id=ROW["id"], last=1, last_from="", first_from="", times=1))
        connection.execute(credentials.delete())
        assert connection.execute(uses.select()).all() == []
