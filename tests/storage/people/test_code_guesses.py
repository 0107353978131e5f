"""Guesses at user codes: wrong ones count for ten minutes, over all who count on the same database."""

from __future__ import annotations

from pathlib import Path

import pytest
from stored_credentials import Clock, new_database

from tokenserver.errors import Throttled
from tokenserver.storage.database import Database
from tokenserver.storage.people.code_guesses import WINDOW_SECONDS, CodeGuesses


class World:
    """Two workers on one database."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        database = new_database(folder)
        self.workers = [CodeGuesses(Database(database.engine), now=self.clock) for _ in range(2)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A new one."""
    return World(tmp_path)


def test_wrong_guesses_run_out(world: World) -> None:
    """Whichever worker gets them; the first one is forgotten first."""
    for number in range(3):
        world.workers[number % 2].begin({"session": 3, "address": 50})
        world.clock.now += 100
    for worker in world.workers:
        with pytest.raises(Throttled) as caught:
            worker.begin({"session": 3, "address": 50})
        assert caught.value.retry_after == WINDOW_SECONDS - 300
    world.workers[0].begin({"another session": 3, "address": 50})
    world.clock.now += WINDOW_SECONDS - 300
    world.workers[0].begin({"session": 3, "address": 50})


def test_right_ones_do_not_count(world: World) -> None:
    """However many."""
    first, second = world.workers
    for _ in range(5):
        second.was_right(first.begin({"session": 1, "address": 1}))
    first.begin({"session": 1, "address": 1})
    with pytest.raises(Throttled):
        second.begin({"session": 1, "address": 1})


def test_sessions_of_one_address(world: World) -> None:
    """A new session for every guess does not help, and a refused one does not count again."""
    for number in range(4):
        world.workers[0].begin({f"session {number}": 5, "address": 4})
    for _ in range(3):
        with pytest.raises(Throttled):
            world.workers[1].begin({"session x": 5, "address": 4})
    for _ in range(5):
        world.workers[1].begin({"session x": 5, "another address": 50})
