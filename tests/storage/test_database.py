"""Transactions: each as a whole or not at all, with the revision that readers follow."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text
from stored_credentials import sqlite

from tokenserver.storage.connections.failures import StorageUnavailable
from tokenserver.storage.database import Database
from tokenserver.storage.tables import jwks


def add(issuer: str) -> Callable[[Connection, int], int]:
    """A change that adds a row."""

    def work(connection: Connection, rev: int) -> int:
        connection.execute(insert(jwks).values(issuer=issuer, document="{}", fetched=1))
        return rev

    return work


def issuers(database: Database) -> list[str]:
    """What was added."""
    return database.read(
        lambda connection: list(connection.execute(select(jwks.c.issuer).order_by(jwks.c.issuer)).scalars())
    )


def test_each_change_has_the_next_revision(database: Database) -> None:
    """Readers ask for what is above the last one that they know."""
    revs = [database.write(add(str(number))) for number in range(3)]
    assert revs == [1, 2, 3]
    assert database.revision() == 3


def test_what_is_noted_changes_no_revision(database: Database) -> None:
    """Such as the last use of a credential, which no index follows."""
    database.note(lambda connection: connection.execute(insert(jwks).values(issuer="a", document="", fetched=1)))
    assert (issuers(database), database.revision()) == (["a"], 0)


def test_a_change_that_fails_leaves_nothing(database: Database) -> None:
    """Not even what it did before the error, which is its caller's to see."""

    def work(connection: Connection, rev: int) -> None:
        connection.execute(insert(jwks).values(issuer="a", document="{}", fetched=1))
        raise LookupError("x")

    with pytest.raises(LookupError, match="x"):
        database.write(work)
    assert issuers(database) == []


def test_reads_of_one_moment(database: Database) -> None:
    """Over one connection; another one's changes show afterwards, and so do own ones."""
    with database.reading():
        seen = [issuers(database)]
        database.write(add("a"))
        database.note(lambda connection: connection.execute(insert(jwks).values(issuer="b", document="", fetched=1)))
        seen.append(issuers(database))
        connections = {database.read(id) for _ in range(3)}
    assert seen == [[], []]
    assert len(connections) == 1
    assert issuers(database) == ["a", "b"]


def test_what_fails_while_reading(database: Database) -> None:
    """The same error as without; and the next read works."""
    with database.reading(), pytest.raises(StorageUnavailable):
        database.read(lambda connection: connection.execute(text("select nothing from nowhere")))
    with pytest.raises(StorageUnavailable), database.reading():
        database.read(lambda connection: connection.execute(text("select nothing from nowhere")))
    assert issuers(database) == []


@pytest.mark.parametrize("how", ["read", "write", "note", "revision"])
def test_errors_of_the_database_mean_that_it_cannot_tell(tmp_path: Path, how: str) -> None:
    """There are no tables here."""
    database = Database(sqlite(tmp_path))
    calls = {
        "read": lambda: database.read(lambda connection: connection.execute(select(jwks))),
        "write": lambda: database.write(lambda *_: None),
        "note": lambda: database.note(lambda connection: connection.execute(insert(jwks).values(issuer="a"))),
        "revision": database.revision,
    }
    with pytest.raises(StorageUnavailable, match="no such table") as caught:
        calls[how]()
    assert "fix: tokenserver storage init" in caught.value.reason
    database.close()


def test_a_forked_process_writes_by_itself(database: Database) -> None:
    """Threads do not survive a fork, so the child has its own."""
    database.write(add("parent"))
    child = os.fork()
    if child == 0:
        try:
            database.write(add("child"))
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    database.write(add("parent again"))
    assert issuers(database) == ["child", "parent", "parent again"]
    assert database.revision() == 3


def test_closing_leaves_one_file(database: Database, tmp_path: Path) -> None:
    """Everything is in it, so that a copy of it is complete; and the database can be used again."""
    database.write(add("a"))
    database.close()
    assert [path.name for path in tmp_path.iterdir()] == ["state.db"]
    database.write(add("b"))
    assert issuers(database) == ["a", "b"]


def test_statements_do_not_show_their_values(database: Database) -> None:
    """A digest or a name in an error would be in the log."""

    def work(connection: Connection, rev: int) -> None:
        connection.execute(text("SELECT * FROM none WHERE x = :x"), {"x": "canary"})

    with pytest.raises(StorageUnavailable) as caught:
        database.write(work)
    cause: BaseException | None = caught.value
    while cause is not None:
        assert "canary" not in str(cause)
        cause = cause.__cause__
