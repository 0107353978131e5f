"""People in the storage: pinned, sealed, and asked about by one process at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update
from stored_credentials import STATE_KEYS, Clock, new_database

from tokenserver.credentials import Secret
from tokenserver.storage.people.openid_people import CLAIM_SECONDS, OpenIdPeople
from tokenserver.storage.people.openid_person import NotThisPerson, OpenIdPerson
from tokenserver.storage.tables import people


class World:
    """People in a new database, with a clock of their own."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.database = new_database(folder)
        self.people = OpenIdPeople(self.database, STATE_KEYS, now=self.clock)

    def log_in(self, **facts: Any) -> OpenIdPerson:
        """ann logs in, with some facts of her own."""
        usual = {"source": "sso", "sub": "1", "subject": "ann", "groups": frozenset({"devs"})}
        return self.people.log_in(**{**usual, **facts})

    def tamper(self, **values: Any) -> None:
        """Write to the row as anybody with access to the database can."""
        statement = update(people).values(**values)
        self.database.note(lambda connection: connection.execute(statement))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A new one."""
    return World(tmp_path)


def test_the_first_login_pins(world: World) -> None:
    """Later ones change groups and moments only."""
    first = world.log_in()
    assert world.people.find("sso", "ann") == world.people.by_sub("sso", "1") == first
    assert world.people.find("other", "ann") is None
    world.clock.now += 60
    second = world.log_in(groups=frozenset({"ops"}))
    assert second == world.people.find("sso", "ann")
    assert (second.seen, set(second.groups), second.proof) == (first.seen + 60, {"ops"}, first.proof)
    world.log_in(source="other", sub="2")
    assert [one.source for one in world.people.listed()] == ["other", "sso"]
    assert [one.source for one in world.people.listed("sso")] == ["sso"]


@pytest.mark.parametrize(("facts", "pinned"), [({"sub": "2"}, None), ({"subject": "anna"}, "ann")])
def test_somebody_else(world: World, facts: dict[str, str], pinned: str | None) -> None:
    """Neither the name nor the `sub` can be taken; unpinned, both can."""
    before = world.log_in()
    with pytest.raises(NotThisPerson) as caught:
        world.log_in(**facts)
    assert caught.value.pinned == pinned
    assert world.people.listed() == [before]
    assert world.people.unpin("sso", "ann")
    assert not world.people.unpin("sso", "ann")
    world.log_in(**facts)


@pytest.mark.parametrize(
    "values",
    [
        {"subject": "root"},
        {"sub": "2"},
        {"source": "other"},
        {"groups": '["admins"]'},
        {"seen": 2**40},
        {"asked": 2**40},
        {"not_before": 7},
        {"pepper": 9},
        {"seal": b"x" * 32},
    ],
)
def test_changed_rows(world: World, values: dict[str, Any]) -> None:
    """Whoever can write to the database alone makes nobody somebody else."""
    world.log_in()
    world.tamper(**values)
    for source in ("sso", "other"):
        for subject in ("ann", "root"):
            assert world.people.find(source, subject) is None
    assert world.people.listed() == []


def test_a_revived_row(world: World) -> None:
    """The state is sealed, too."""
    person = world.people.end(world.log_in())
    assert not person.is_active
    world.tamper(state=1)
    assert world.people.find("sso", "ann") is None


@pytest.mark.parametrize("is_deleted", [False, True], ids=["changed", "deleted"])
def test_an_end_that_was_undone_in_the_database(world: World, is_deleted: bool) -> None:
    """The next login brings nothing back that had ended: a row that is not ours, or that is new, begins now."""
    first = world.log_in()
    world.clock.now += 1
    world.people.end(first)
    if is_deleted:
        world.database.note(lambda connection: connection.execute(delete(people)))
    else:
        world.tamper(not_before=first.not_before, state=1)
    world.clock.now += 1
    assert world.log_in().proof != first.proof


def test_an_end(world: World) -> None:
    """What was made before has another proof, however often that happens within a second."""
    proofs = {world.log_in().proof}
    for number in range(3):
        person = world.people.find("sso", "ann")
        assert person is not None
        assert not world.people.end(person).is_active
        found = world.log_in()
        assert found.is_active
        proofs.add(found.proof)
        assert len(proofs) == number + 2


def test_a_refusal(world: World) -> None:
    """It lasts until the next login, and ends nothing: the proof stays."""
    before = world.log_in(upstream=Secret("up"))
    refused = world.people.refuse(before)
    assert (refused.is_active, refused.is_rechecked) == (False, False)
    assert world.people.find("sso", "ann") == refused
    found = world.log_in()
    assert (found.is_active, found.proof) == (True, before.proof)


def test_one_claim(world: World) -> None:
    """One process gets the refresh token, until it has answered or a minute is over."""
    person = world.log_in(upstream=Secret("up"))
    assert person.is_rechecked
    found = world.people.claim(person)
    assert found is not None
    assert found.reveal() == "up"
    assert world.people.claim(person) is None
    world.clock.now += CLAIM_SECONDS
    assert world.people.claim(person) is not None
    world.clock.now += 1
    after = world.people.answered(person, frozenset({"ops"}), Secret("up2"))
    assert (set(after.groups), after.asked, after.seen) == ({"ops"}, person.asked + CLAIM_SECONDS + 1, person.seen)
    assert world.people.claim(person) is None  # it has read an older answer
    again = world.people.claim(after)
    assert again is not None
    assert again.reveal() == "up2"
    world.people.answered(after, frozenset(), None)
    assert world.people.find("sso", "ann") is not None


def test_no_refresh_token(world: World) -> None:
    """Nothing is claimed without one, or with one that is not readable."""
    assert world.people.claim(world.log_in()) is None
    person = world.log_in(upstream=Secret("up"))
    world.tamper(upstream=b"x" * 40)
    assert world.people.claim(person) is None


def test_a_person_who_is_gone(world: World) -> None:
    """Nothing is recorded about somebody who was unpinned meanwhile."""
    person = world.log_in()
    world.people.unpin("sso", "ann")
    with pytest.raises(NotThisPerson):
        world.people.answered(person, frozenset(), None)
    with pytest.raises(NotThisPerson):
        world.people.end(person)
