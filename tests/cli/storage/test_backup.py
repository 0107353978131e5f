"""`tokenserver storage backup` and `restore`: what was revoked since the backup stays revoked."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from storage_commands import Run, store_at
from stored_credentials import PLAIN

from tokenserver.storage.outbox import Outbox
from tokenserver.storage.selection import Selection

LIVE = replace(PLAIN, ends=int(time.time()) + 86_400)


def live(site: Path) -> set[str]:
    """The ids of the credentials that have not been ended."""
    return {one.credential.id for one in store_at(site).listed(Selection()) if one.ended is None}


@pytest.fixture
def ids(site: Path, run: Run) -> list[str]:
    """Two credentials, a backup, then the first one is revoked and a third one made."""
    store = store_at(site)
    made = [store.create(LIVE, at_most=9)[0].id for _ in range(2)]
    result = run("backup", "copy.db")
    assert result.exit_code == 0, result.stderr
    assert "it needs" in result.stdout
    store.end(Selection(ids=frozenset({made[0]})), by="ann", reason="lost")
    made.append(store.create(LIVE, at_most=9)[0].id)
    store.database.close()
    return made


def test_a_backup_is_one_private_file(site: Path, ids: list[str]) -> None:
    """Complete in itself; it never overwrites another one."""
    copy = site / "copy.db"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in site.iterdir()} == {"tokenserver.yaml", "keys", "state", "copy.db"}
    with closing(sqlite3.connect(copy)) as connection:
        assert {row[0] for row in connection.execute("SELECT id FROM credentials")} == set(ids[:2])


def test_a_backup_overwrites_nothing(run: Run, site: Path, ids: list[str]) -> None:
    """Least of all another backup."""
    before = (site / "copy.db").read_bytes()
    result = run("backup", "copy.db")
    assert result.exit_code == 2
    assert "copy.db: exists; a backup never overwrites a file" in result.stderr
    assert (site / "copy.db").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param([], [], id="all end"),
        pytest.param(["--keep"], [0, 1], id="keep"),
        pytest.param(["--replay", "audit.jsonl"], [1], id="replay"),
        pytest.param(["--replay", "empty.jsonl"], [1], id="nothing in the log, but in the storage"),
        pytest.param(["--replay", "empty.jsonl", "--replay", "audit.jsonl"], [1], id="two logs"),
    ],
)
def test_restoring(run: Run, site: Path, ids: list[str], options: list[str], expected: list[int]) -> None:
    """Nothing that may have been revoked works again, unless somebody says that nothing was."""
    event = {"event": "exchange", "reason": f"access key {ids[0]} of ann has ended: lost"}
    (site / "audit.jsonl").write_text(json.dumps(event) + "\n")
    (site / "empty.jsonl").write_text("")
    before = store_at(site).database.revision()
    result = run("restore", "copy.db", *options)
    assert result.exit_code == 0, result.stderr
    assert live(site) == {ids[place] for place in expected}
    assert (result.stderr, "Restart" in result.stdout) == ("", False)
    assert store_at(site).database.revision() > before
    assert sorted(path.name for path in (site / "state").iterdir())[0] == "tokenserver.db"


def test_a_damaged_storage_is_restored(run: Run, site: Path, ids: list[str]) -> None:
    """Which is what backups are for."""
    file = site / "state" / "tokenserver.db"
    file.write_bytes(b"x" * file.stat().st_size)
    (site / "empty.jsonl").write_text("")
    result = run("restore", "copy.db", "--replay", "empty.jsonl")
    assert result.exit_code == 0
    assert "moved aside. Restart the servers now." in result.stdout
    assert "warning: audit logs do not have what commands ended since the backup" in result.stderr
    assert live(site) == set(ids[:2])
    (aside,) = (site / "state").glob("*.damaged-*")
    assert aside.read_bytes()[:5] == b"xxxxx"
    assert run("check").exit_code == 0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(b"x" * 9000, "is no backup of a storage", id="no database"),
        pytest.param(b"", "has no tables of ours", id="empty"),
        pytest.param(None, "is no backup of a storage", id="missing"),
    ],
)
def test_what_is_no_backup_changes_nothing(
    run: Run, site: Path, ids: list[str], content: bytes | None, told: str
) -> None:
    """The storage is as before."""
    if content is not None:
        (site / "other.db").write_bytes(content)
    result = run("restore", "other.db")
    assert result.exit_code == 2
    assert told in result.stderr
    assert live(site) == set(ids[1:])


def test_options_that_contradict_each_other(run: Run, site: Path, ids: list[str]) -> None:
    """One says that something was revoked, the other that nothing was."""
    result = run("restore", "copy.db", "--keep", "--replay", "audit.jsonl")
    assert result.exit_code == 2
    assert live(site) == set(ids[1:])


def test_after_another_tool_has_restored(run: Run, site: Path, ids: list[str]) -> None:
    """As pg_restore does: without a file, only the ends follow."""
    (site / "audit.jsonl").write_text(json.dumps({"displaced": [ids[1]]}) + "\n")
    assert "1 credential ended" in run("restore", "--replay", "audit.jsonl").stdout
    assert live(site) == {ids[2]}
    assert "1 credential ended" in run("restore").stdout
    assert live(site) == set()


def test_postgresql_has_its_own_tools(run: Run, site: Path) -> None:
    """The fault names them."""
    config = site / "tokenserver.yaml"
    config.write_text(config.read_text().replace("state/tokenserver.db", "postgresql://127.0.0.1:1/x"))
    backup, restore = run("backup", "x.db"), run("restore", "--keep")
    assert backup.exit_code == 2
    assert "storage: is a PostgreSQL database; fix: pg_dump --format=custom" in backup.stderr
    assert restore.exit_code == 1
    assert "Connection refused" in restore.stderr


def test_events_that_wait(run: Run, site: Path, ids: list[str]) -> None:
    """No server has written them yet: they stay, those of the backup are not written again, and the restore has one."""
    store = store_at(site)
    outbox = Outbox(store.keys)
    dropped: list[dict[str, Any]] = []
    outbox.take(store.database, dropped.append, pytest.fail)
    store.create(LIVE, at_most=9)
    store.database.close()
    assert run("restore", "copy.db").exit_code == 0
    found: list[dict[str, Any]] = []
    outbox.take(store_at(site).database, found.append, pytest.fail)
    assert [event["action"] for event in found] == ["create_access_key", "restore_storage"]
    assert found[1]["ended"] == 2
    assert not {event["change_id"] for event in found} & {event["change_id"] for event in dropped}
