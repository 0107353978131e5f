"""The follower: which changes it takes over when, and what an outage is."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import threading
import time
from dataclasses import replace

import pytest
from followed_storage import Copy, Site
from stored_credentials import NOW, PLAIN

from tokenserver.access_keys import AccessKey
from tokenserver.storage.following.follower import RELOAD_SECONDS
from tokenserver.storage.selection import Selection


def end(site: Site, key: AccessKey, reason: str = "lost") -> None:
    """End a credential as another process does."""
    site.store.end(Selection(ids=frozenset({key.id})), by="ann", reason=reason)


def ended(copy: Copy, key: AccessKey) -> str | None:
    """Why a copy believes that a credential has ended."""
    held = copy.verified(key)
    assert held is not None
    return held.ended


def used(copy: Copy, key: AccessKey) -> int | None:
    """The last use of a credential that a copy knows."""
    held = copy.verified(key)
    assert held is not None
    return held.used


def test_each_change_is_taken_over_by_the_next_look(site: Site) -> None:
    """By two workers alike."""
    copies = [site.copy(), site.copy()]
    keys = [site.make(PLAIN) for _ in range(3)]
    assert all(copy.look() for copy in copies)
    for key in keys:
        end(site, key, reason=f"reason {key.id}")
        assert all(copy.look() for copy in copies)
        assert [ended(copy, key) for copy in copies] == [f"reason {key.id}"] * 2


def test_without_a_change_nothing_is_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data version says that."""
    copy = site.copy()
    copy.look()
    copy.look()
    monkeypatch.setattr(copy.reader, "revision", lambda: pytest.fail("it was read"))
    site.monotonic.now += 5
    assert copy.look()
    assert copy.index.age == 0


@pytest.mark.parametrize("pages", [pytest.param(1, id="then everything is read"), pytest.param(9, id="to the last")])
def test_many_changes_come_in_pages(site: Site, monkeypatch: pytest.MonkeyPatch, pages: int) -> None:
    """Also those that share a revision."""
    monkeypatch.setattr("tokenserver.storage.following.reading.PAGE", 3)
    monkeypatch.setattr("tokenserver.storage.following.follower.MANY_PAGES", pages)
    copy = site.copy()
    keys = [site.make(PLAIN) for _ in range(10)]
    copy.look()
    site.store.end(Selection(), by="root", reason="all")
    copy.look()
    assert {ended(copy, key) for key in keys} == {"all"}


def test_a_restored_backup_is_read_as_a_whole(site: Site) -> None:
    """Its revision is lower: what was made after it is gone, and what was ended is as the backup has it."""
    kept = site.make(PLAIN)
    copy = site.copy()
    copy.look()
    backup = sqlite3.connect(site.folder / "backup.db")
    source = sqlite3.connect(site.file)
    source.backup(backup)
    gone = site.make(PLAIN)
    end(site, kept)
    copy.look()
    assert (ended(copy, kept), ended(copy, gone)) == ("lost", None)
    source.close()
    into = sqlite3.connect(site.file)
    backup.backup(into)
    into.close()
    backup.close()
    copy.look()
    assert (ended(copy, kept), copy.verified(gone), len(copy.index)) == (None, None, 1)


def test_another_file_in_its_place_is_read(site: Site) -> None:
    """With the same revision or a higher one: everything is read again."""
    first = site.make(PLAIN)
    copy = site.copy()
    copy.look()
    site.database.close()
    for suffix in ("", "-wal", "-shm"):
        part = site.file.with_name(site.file.name + suffix)
        if part.exists():
            shutil.copy(part, part.with_name(part.name + ".new"))
            part.with_name(part.name + ".new").replace(part)
    second = site.make(PLAIN)
    assert copy.look()
    assert copy.verified(first) is not None
    copy.read = lambda _: None
    assert copy.verified(second) is not None


def test_everything_is_read_after_a_while(site: Site) -> None:
    """Whatever the revisions say."""
    key = site.make(PLAIN)
    copy = site.copy()
    copy.look()
    site.sql("DELETE FROM credentials")
    copy.look()
    assert len(copy.index) == 1
    site.monotonic.now += RELOAD_SECONDS
    copy.look()
    assert (len(copy.index), copy.verified(key)) == (0, None)


def test_the_first_load_brings_the_last_uses(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any row of it is in force: without them, a worker that has just started would refuse a credential which
    was used a moment ago, because it was made longer ago than it may be unused (docs/design/threats.md#threat-241).
    """
    key = site.make(replace(PLAIN, idle=60))
    one, other = site.copy(), site.copy()
    one.look()
    one.index.touch(key.id, NOW + 500, None)
    one.chores.write_uses()
    site.clock.now += 501
    found: list[int | None] = []
    put_in_force = other.index.replace

    def and_look(rows: dict[str, bytes], number: int) -> None:
        put_in_force(rows, number)
        found.append(used(other, key))

    monkeypatch.setattr(other.index, "replace", and_look)
    monkeypatch.setattr(other, "read", lambda _: pytest.fail("it was looked up"))
    with monkeypatch.context() as patched:
        patched.setattr(other.index, "_require_current", lambda: None)  # which the end of the look makes it
        assert other.look()
    assert (found, used(other, key)) == ([NOW + 500], NOW + 500)


def test_last_uses_that_cannot_be_read(site: Site) -> None:
    """Then nothing is in force, and the next look reads everything."""
    key = site.make(replace(PLAIN, idle=60))
    copy = site.copy()
    site.sql("ALTER TABLE uses RENAME TO away")
    assert not copy.look()
    assert len(copy.index) == 0
    site.sql("ALTER TABLE away RENAME TO uses")
    assert copy.look()
    assert used(copy, key) is None


def test_what_is_applied_during_a_load_survives_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that this process wrote after the load had passed its place."""
    key = site.make(PLAIN)
    copy = site.copy()
    copy.look()
    everything = copy.reader.everything

    def and_then(*arguments: object) -> object:
        rows = everything(*arguments)  # type: ignore[arg-type]  # as the follower calls it
        end(site, key)
        found = copy.reader.row(key.id)
        assert found is not None
        copy.index.apply([found.row])
        return rows

    monkeypatch.setattr(copy.reader, "everything", and_then)
    site.monotonic.now += RELOAD_SECONDS
    copy.look()
    assert ended(copy, key) == "lost"


def test_an_outage_has_one_line_at_its_beginning_and_one_at_its_end(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """However many looks fail, and afterwards everything is read again."""
    key = site.make(PLAIN)
    copy = site.copy()
    copy.look()
    away = site.file.with_suffix(".away")
    site.file.rename(away)
    with caplog.at_level(logging.INFO, "tokenserver.storage"):
        assert [copy.look() for _ in range(3)] == [False] * 3
        assert copy.index.outage is not None
        assert ended(copy, key) is None
        away.rename(site.file)
        site.sql("UPDATE credentials SET state = 0, reason = 'by hand'")
        site.monotonic.now += 60
        assert [copy.look(), copy.look()] == [True, True]
    assert (copy.index.outage or "", ended(copy, key)) == ("", "by hand")
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in lines] == ["ERROR", "INFO"]
    assert lines[0][1].startswith("storage: does not answer: FileNotFoundError: ")
    assert lines[1][1] == "storage: answers again, after 60 s"


def test_an_unexpected_error_ends_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next look goes on; only the type of the error is logged."""
    copy = site.copy()
    with monkeypatch.context() as patched:
        patched.setattr(copy.reader, "revision", lambda: dict[str, int]()["canary"])
        assert not copy.look()
    assert copy.index.outage == "unexpected KeyError"
    assert copy.look()


def test_the_thread_follows_until_it_is_stopped(site: Site) -> None:
    """The start waits for the first load."""
    key = site.make(PLAIN)
    copy = site.copy()
    stop = threading.Event()
    thread = copy.follower.start(stop)
    try:
        assert ended(copy, key) is None
        end(site, key)
        deadline = time.monotonic() + 10
        while ended(copy, key) is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert ended(copy, key) == "lost"
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
