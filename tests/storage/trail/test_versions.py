"""What each server had in force last: the latest version of each subject, and nothing that somebody else wrote."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from stored_credentials import NOW, STATE_KEYS

from tokenserver.storage.database import Database
from tokenserver.storage.tables import audit_versions
from tokenserver.storage.trail.chains import OLD_TABLES
from tokenserver.storage.trail.versions import VersionRegister, VersionRow, subject_key
from tokenserver.storage.unavailable import StorageUnavailable

REGISTER = VersionRegister(STATE_KEYS)
POLICIES = subject_key("policies/")
ROW = VersionRow("host :1", POLICIES, "a" * 64, NOW * 1000)


def digests(database: Database, server: str = "host :1") -> dict[str, str]:
    return {subject: row.digest for subject, row in REGISTER.of_server(database, server).items()}


def test_the_latest_version_counts(database: Database) -> None:
    """Of each server and subject, whichever order workers write in."""
    keys = subject_key("keys/\udcff")
    REGISTER.put(database, ROW)
    REGISTER.put(database, ROW._replace(digest="c" * 64, moment=ROW.moment + 2))
    REGISTER.put(database, ROW._replace(digest="b" * 64, moment=ROW.moment + 1))
    REGISTER.put(database, ROW._replace(subject=keys, digest="d" * 64))
    REGISTER.put(database, ROW._replace(server="host :2"))
    assert digests(database) == {POLICIES: "c" * 64, keys: "d" * 64}
    assert digests(database, "host :2") == {POLICIES: "a" * 64}
    assert digests(database, "host :3") == {}
    assert REGISTER.of_server(database, "host :1")[POLICIES].moment == ROW.moment + 2


@pytest.mark.parametrize("change", ["digest = 'x'", "moment = 1", "subject = 'x'", "server = 'host'", "seal = 'x'"])
def test_a_version_that_somebody_else_has_written(database: Database, change: str) -> None:
    """It is as if it was not there: no event repeats it (docs/design/threats.md#threat-238)."""
    REGISTER.put(database, ROW)
    with database.engine.begin() as connection:
        connection.execute(text(f"UPDATE audit_versions SET {change}"))  # noqa: S608 - rows above
    assert digests(database) == digests(database, "host") == {}


def test_tables_of_the_version_of_before(database: Database) -> None:
    """Nothing is known."""
    with database.engine.begin() as connection:
        audit_versions.drop(connection)
        connection.execute(text("UPDATE meta SET schema = 3"))
    for work in (lambda: REGISTER.put(database, ROW), lambda: REGISTER.of_server(database, "x")):
        with pytest.raises(StorageUnavailable) as caught:
            work()
        assert caught.value.reason == OLD_TABLES


def test_the_columns_are_those_of_a_version(database: Database) -> None:
    """In the same order, since rows are read by place."""
    assert tuple(column.name for column in audit_versions.columns) == VersionRow._fields
