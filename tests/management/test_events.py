"""Events of management: one for each change, before it is in force, and one more if it was not made after all."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest

from tokenserver.errors import AuditUnavailable
from tokenserver.identity import Identity, Kind
from tokenserver.management.actors import Actor
from tokenserver.management.events import ManagementEvents
from tokenserver.management.refusals import Conflict
from tokenserver.storage.unavailable import StorageUnavailable

ANN = Identity("ann", Kind.PASSWORD, "staff")
ACTOR = Actor(ANN, "r1", ip_address("192.0.2.1"), "curl/8", via="api")
HEAD = {
    "event": "management",
    "request_id": "r1",
    "action": "end_login",
    "actor": "ann",
    "kind": "password",
    "via": "api",
    "client": "192.0.2.1",
    "user_agent": "curl/8",
}


class Trail:
    """Keeps events, or takes none."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.is_broken = False

    def write(self, event: dict[str, Any]) -> None:
        """Keep an event."""
        if self.is_broken:
            raise AuditUnavailable("full")
        self.events.append(event)


@pytest.fixture
def trail() -> Trail:
    """An empty one."""
    return Trail()


@pytest.fixture
def events(trail: Trail) -> ManagementEvents:
    """Events that go there."""
    return ManagementEvents(trail.write)


def fail(
    events: ManagementEvents, error: Exception, meanwhile: Callable[[], None] = lambda: None, **facts: str
) -> None:
    """A change that fails after its event."""
    with events.change(ACTOR, "end_login") as record:
        record(**facts)
        meanwhile()
        raise error


def test_a_change(trail: Trail, events: ManagementEvents) -> None:
    """Who, by what, from where, and what was done."""
    with events.change(ACTOR, "end_login", credential="a") as record:
        assert trail.events == []
        record(owner="ann")
    assert trail.events == [{**HEAD, "credential": "a", "owner": "ann", "outcome": "done"}]


def test_an_actor_of_which_little_is_known(trail: Trail, events: ManagementEvents) -> None:
    """A machine behind a proxy that does not say for whom."""
    actor = Actor(Identity("robot:ci", Kind.ROBOT, "robots", credential="a"), "r2", None, None)
    with events.change(actor, "end_login") as record:
        record()
    assert trail.events == [
        {
            "event": "management",
            "request_id": "r2",
            "action": "end_login",
            "actor": "robot:ci",
            "kind": "robot",
            "actor_credential": "a",
            "via": "page",
            "client": None,
            "outcome": "done",
        }
    ]


def test_a_change_that_cannot_be_recorded(trail: Trail, events: ManagementEvents) -> None:
    """Is not made, and the caller learns why."""
    trail.is_broken = True
    with pytest.raises(AuditUnavailable), events.change(ACTOR, "end_login") as record:
        record()
    assert trail.events == []


def test_a_change_that_failed_after_its_event(trail: Trail, events: ManagementEvents) -> None:
    """Has another one with the same facts."""
    with pytest.raises(StorageUnavailable):
        fail(events, StorageUnavailable("the disk is full"), credential="a")
    assert [event["outcome"] for event in trail.events] == ["done", "failed"]
    problem = "storage: the disk is full"
    assert trail.events[1] == {**HEAD, "credential": "a", "outcome": "failed", "problem": problem}


def test_an_unexpected_error_is_not_quoted(trail: Trail, events: ManagementEvents) -> None:
    """Its text may hold anything."""
    with pytest.raises(ValueError, match="secret"):
        fail(events, ValueError("secret"))
    assert trail.events[-1]["problem"] == "ValueError"


def test_a_failure_that_cannot_be_recorded_hides_no_error(trail: Trail, events: ManagementEvents) -> None:
    """The first error is the one that the caller gets."""
    with pytest.raises(StorageUnavailable):
        fail(events, StorageUnavailable("gone"), meanwhile=lambda: setattr(trail, "is_broken", True))


@pytest.mark.parametrize(
    ("error", "outcome"), [(Conflict("third"), "refused"), (StorageUnavailable("down"), "failed")], ids=["no", "down"]
)
def test_what_was_not_begun(trail: Trail, events: ManagementEvents, error: Exception, outcome: str) -> None:
    """One event says why."""
    with pytest.raises(type(error)), events.change(ACTOR, "end_login", credential="a"):
        raise error
    assert trail.events == [{**HEAD, "credential": "a", "outcome": outcome, "problem": str(error)}]


def test_a_refusal_that_cannot_be_recorded(trail: Trail, events: ManagementEvents) -> None:
    """Is not answered as a refusal."""
    trail.is_broken = True
    with pytest.raises(AuditUnavailable), events.change(ACTOR, "end_login"):
        raise Conflict("third")


def test_a_transaction_that_was_repeated(trail: Trail, events: ManagementEvents) -> None:
    """Only the last attempt was done."""
    with events.change(ACTOR, "end_login") as record:
        record(credential="a")
        record(credential="b")
    found = [(event["credential"], event["outcome"]) for event in trail.events]
    assert found == [("a", "done"), ("b", "done"), ("a", "failed")]


def test_what_was_sent_is_cut_and_shows_no_secret(trail: Trail, events: ManagementEvents) -> None:
    """Ids come from paths, where anything may be."""
    with (
        pytest.raises(Conflict),
        events.change(ACTOR, "end_login", credential="a" * 999, owner="eyJabcdef.eyJabcdef.x"),
    ):
        raise Conflict("x")
    assert (len(trail.events[0]["credential"]), trail.events[0]["owner"]) == (257, "<JWT>")
