"""Chores: last uses reach the database and other workers, and what ends soon is named once a day."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from functools import partial
from ipaddress import ip_address

import pytest
from followed_storage import Site
from stored_credentials import DAY, FULL, NOW, PLAIN

from tokenserver.credentials import AccessKeyForm
from tokenserver.storage.following.chores import MAX_NAMED, Chores, ending_line
from tokenserver.storage.following.last_uses import FLUSH_SECONDS
from tokenserver.storage.following.reading import CredentialReader, EndingSoon, Total
from tokenserver.storage.selection import Selection


def test_a_use_reaches_the_database_and_other_workers(site: Site) -> None:
    """Within two minutes: one to write it, one to read it; for credentials that end when they are idle."""
    idle, plain = site.make(FULL), site.make(PLAIN)
    one, other = site.copy(), site.copy()
    for copy in (one, other):
        copy.look()
        copy.chores.run()
    for key in (idle, plain):
        one.index.touch(key.id, NOW + 10, ip_address("192.0.2.1"))
    site.clock.now += FLUSH_SECONDS
    site.monotonic.now += FLUSH_SECONDS
    one.chores.run()
    uses = {listed.credential.id: listed.use for listed in site.store.listed(Selection())}
    assert {identifier: use and use.last for identifier, use in uses.items()} == {idle.id: NOW + 10, plain.id: NOW + 10}
    other.chores.run()
    held = other.verified(idle)
    assert held is not None
    assert held.used == NOW + 10


def test_uses_change_no_revision_and_add_up(site: Site) -> None:
    """The latest of two workers is the last one, and no follower has anything to read."""
    key = site.make(PLAIN)
    one, other = site.copy(), site.copy()
    before = site.database.revision()
    for copy, moment, place in ((one, NOW + 20, "192.0.2.1"), (other, NOW + 10, "192.0.2.2")):
        copy.index.touch(key.id, moment, ip_address(place))
        copy.chores.write_uses()
    (listed,) = site.store.listed(Selection())
    assert listed.use is not None
    assert (listed.use.last, listed.use.last_from, listed.use.first_from) == (NOW + 20, "192.0.2.1", "192.0.2.1")
    assert (listed.use.times, site.database.revision()) == (2, before)


def test_uses_of_what_is_gone_are_dropped(site: Site) -> None:
    """The others are written."""
    key = site.make(PLAIN)
    copy = site.copy()
    for identifier in ("gone", key.id):
        copy.index.touch(identifier, NOW, None)
    copy.chores.write_uses()
    assert [listed.use is not None for listed in site.store.listed(Selection())] == [True]
    assert copy.index.uses.take() == {}


def test_totals_leave_out_what_has_a_successor(site: Site) -> None:
    """Nobody has to renew it; what has ended does not count either."""
    first = site.make(replace(PLAIN, ends=NOW + DAY))
    site.make(replace(PLAIN, form=AccessKeyForm.SESSION, ends=NOW + 60))
    site.make(replace(PLAIN, ends=NOW + 1))
    copy = site.copy()
    site.clock.now += 2
    copy.chores.run()
    assert copy.chores.totals == {"p": Total(1, NOW + DAY), "s": Total(1, NOW + 60)}
    site.store.rotate(first.id, ends=NOW + 9 * DAY, overlap=DAY, by="ann")
    copy.look()
    copy.chores.run()
    assert copy.chores.totals["p"] == Total(2, NOW + 9 * DAY)


def test_what_ends_soon_is_named_once_a_day(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Keys and secrets that people renew; not those that end later, and no session."""
    soon = site.make(replace(PLAIN, name="laptop", ends=NOW + 5 * DAY))
    later = site.make(replace(PLAIN, ends=NOW + 15 * DAY + 60))
    site.make(replace(PLAIN, form=AccessKeyForm.SESSION, ends=NOW + DAY))
    copy = site.copy()
    with caplog.at_level(logging.WARNING, "tokenserver.storage"):
        for _ in range(3):
            copy.chores.run()
            site.monotonic.now += FLUSH_SECONDS
        assert len(caplog.messages) == 1
        site.clock.now += 2 * DAY
        copy.chores.run()
    assert len(caplog.messages) == 2
    assert f"access key {soon.id} of ann (laptop) on 2027-01-20" in caplog.messages[0]
    assert (later.id in caplog.messages[0], later.id in caplog.messages[1]) == (False, True)


def test_one_worker_removes_what_ended_long_ago_once_a_day(site: Site) -> None:
    """And again on the next day."""
    said: set[str] = set()
    pruned: list[str] = []

    def is_first(line: str) -> bool:
        is_new = line not in said
        said.add(line)
        return is_new

    workers = [
        Chores(
            site.copy().index.uses,
            CredentialReader(site.database),
            is_first=is_first,
            prune=partial(pruned.append, name),
            now=site.clock,
            monotonic=site.monotonic,
        )
        for name in ("one", "other")
    ]
    for day in range(3):
        for _ in range(2):
            for worker in workers:
                worker.run()
            site.monotonic.now += FLUSH_SECONDS
        assert len(pruned) == day + 1
        site.clock.now += DAY


def test_a_long_list_is_cut() -> None:
    """The line stays a line."""
    ending = [EndingSoon(f"id{number}", "r", "robot:ci", "", NOW) for number in range(MAX_NAMED + 1)]
    line = ending_line(ending)
    assert "secret id0 of robot:ci on 2027-01-15; secret id1" in line
    assert (f"id{MAX_NAMED - 1} " in line, f"id{MAX_NAMED} " in line, "; and more; fix: " in line) == (
        True,
        False,
        True,
    )


def test_a_failure_is_reported_once_and_loses_nothing(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """The uses wait for the database."""
    key = site.make(PLAIN)
    copy = site.copy()
    copy.index.touch(key.id, NOW, None)
    away = site.file.with_suffix(".away")
    site.file.rename(away)
    for _ in range(2):
        copy.chores._attempts.run(copy.chores.run)
    away.rename(site.file)
    copy.chores._attempts.run(copy.chores.run)
    assert [message.partition(":")[0] for message in caplog.messages if "wait to be written" in message] == ["storage"]
    assert [listed.use is not None for listed in site.store.listed(Selection())] == [True]


def test_the_thread_writes_before_it_ends(site: Site) -> None:
    """What was used until then."""
    key = site.make(PLAIN)
    copy = site.copy()
    stop = threading.Event()
    thread = copy.chores.start(stop)
    copy.index.touch(key.id, NOW, None)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert [listed.use is not None for listed in site.store.listed(Selection())] == [True]
