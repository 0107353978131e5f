"""Remembered answers: a request is done once, by one client, for a day, and only this server reads the answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select, update
from stored_credentials import STATE_KEYS, Clock, new_database

from tokenserver.storage.people.remembered_answers import (
    KEPT_SECONDS,
    OPEN_SECONDS,
    RememberedAnswer,
    RememberedAnswers,
)
from tokenserver.storage.tables import flows


class World:
    """Answers in a new database, with a clock of their own."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.database = new_database(folder)
        self.answers = RememberedAnswers(self.database, STATE_KEYS, now=self.clock)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A new one."""
    return World(tmp_path)


def test_a_repeated_request_has_the_same_answer(world: World) -> None:
    """For a day; another key is another request."""
    assert world.answers.begin(b"ann POST /keys 1", b"{}") is None
    world.answers.kept(b"ann POST /keys 1", b"{}", b"answer")
    world.clock.now += KEPT_SECONDS - 1
    assert world.answers.begin(b"ann POST /keys 1", b"{}") == RememberedAnswer(is_same=True, answer=b"answer")
    assert world.answers.begin(b"bob POST /keys 1", b"{}") is None
    world.clock.now += 1
    assert world.answers.begin(b"ann POST /keys 1", b"{}") is None


def test_another_content_is_no_repetition(world: World) -> None:
    """Neither while the first is in progress nor afterwards."""
    assert world.answers.begin(b"1", b"{}") is None
    assert world.answers.begin(b"1", b"{1}") == RememberedAnswer(is_same=False, answer=None)
    world.answers.kept(b"1", b"{}", b"answer")
    assert world.answers.begin(b"1", b"{1}") == RememberedAnswer(is_same=False, answer=b"answer")


def test_in_progress(world: World) -> None:
    """For a minute; a process that died keeps nobody from trying again for longer."""
    assert world.answers.begin(b"1", b"{}") is None
    world.clock.now += OPEN_SECONDS - 1
    assert world.answers.begin(b"1", b"{}") == RememberedAnswer(is_same=True, answer=None)
    world.clock.now += 1
    assert world.answers.begin(b"1", b"{}") is None


def test_a_request_that_came_to_nothing_is_forgotten(world: World) -> None:
    """One that has an answer is not."""
    assert world.answers.begin(b"1", b"{}") is None
    world.answers.dropped(b"1")
    assert world.answers.begin(b"1", b"{}") is None
    world.answers.kept(b"1", b"{}", b"answer")
    world.answers.dropped(b"1")
    assert world.answers.begin(b"1", b"{}") == RememberedAnswer(is_same=True, answer=b"answer")


def test_the_database_cannot_read_or_move_an_answer(world: World) -> None:
    """It is encrypted for its request; one that was changed is no answer."""
    for name in (b"1", b"2"):
        assert world.answers.begin(name, b"{}") is None
        world.answers.kept(name, b"{}", b"the secret of " + name)
    with world.database.engine.begin() as connection:
        boxes = list(connection.execute(select(flows.c.payload)).scalars())
        assert all(b"the secret" not in box for box in boxes)
        connection.execute(update(flows).values(payload=boxes[0]))
    found = [world.answers.begin(name, b"{}") for name in (b"1", b"2")]
    assert RememberedAnswer(is_same=False, answer=None) in found
    assert len([one for one in found if one is not None and one.answer is not None]) == 1
