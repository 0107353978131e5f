"""`tokenserver storage prune` and `reseal`."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from storage_commands import Run, store_at
from stored_credentials import NOW, PLAIN, Clock

from tokenserver.storage.selection import Selection
from tokenserver.storage.state_keys import read_state_keys
from tokenserver.storage.store import CredentialStore

LIVE = replace(PLAIN, ends=int(time.time()) + 86_400)


def test_pruning(run: Run, site: Path) -> None:
    """What ended long ago goes, and the output says how much."""
    store = store_at(site)
    live, _ = store.create(LIVE, at_most=9)
    store.create(replace(PLAIN, ends=int(time.time()) - 31 * 86_400), at_most=9)
    result = run("prune")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("Removed 1 credentials, 0 browser sessions")
    assert [one.credential.id for one in store.listed(Selection())] == [live.id]


def test_replacing_the_state_key(run: Run, site: Path) -> None:
    """In two steps, between which both keys work; the second one ends what the old key had made."""
    old, _ = store_at(site).create(LIVE, at_most=9)
    added = run("reseal", "--new-key")
    assert added.exit_code == 0, added.stderr
    assert "Added state key 2. Copy state.key to all replicas" in added.stdout
    assert "1 live credentials were made with state key 1." in added.stdout
    store = store_at(site)
    new, _ = store.create(LIVE, at_most=9)
    assert {one.is_genuine for one in store.listed(Selection())} == {True}
    retired = run("reseal", "--retire", "1")
    assert retired.exit_code == 0, retired.stderr
    assert "Ended 1 credentials and deleted state key 1." in retired.stdout
    assert list(read_state_keys(site / "keys").by_number) == [2]
    found = {one.credential.id: (one.ended is None, one.is_genuine) for one in store_at(site).listed(Selection())}
    assert found == {old.id: (False, False), new.id: (True, True)}


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        ((), 2, "give one of --new-key and --retire N"),
        (("--new-key", "--retire", "1"), 2, "give one of --new-key and --retire N"),
        (("--retire", "1"), 1, "state key 1 is in use; fix: tokenserver storage reseal --new-key"),
        (("--retire", "7"), 1, "there is no state key 7; keys: 1"),
    ],
)
def test_wrong_use(run: Run, site: Path, options: tuple[str, ...], code: int, told: str) -> None:
    """Nothing is changed."""
    before = (site / "keys" / "state.key").read_bytes()
    result = run("reseal", *options)
    assert result.exit_code == code
    assert told in result.stderr
    assert (site / "keys" / "state.key").read_bytes() == before


def test_a_key_that_is_in_the_file_alone_makes_what_is_new(site: Path, run: Run) -> None:
    """Processes that run keep theirs until they are restarted."""
    running = store_at(site)
    run("reseal", "--new-key")
    running.create(LIVE, at_most=9)
    restarted = CredentialStore(running.database, read_state_keys(site / "keys"), now=Clock(NOW))
    assert {one.is_genuine for one in restarted.listed(Selection())} == {True}
    assert restarted.keys.newest.number == 2
