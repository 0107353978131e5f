"""Reports of differences: which are events, how many of one exchange, and not again for an hour."""

from __future__ import annotations

from typing import Any

import pytest

from tokenserver.credentials import Secret
from tokenserver.errors import AuditUnavailable
from tokenserver.exchange.peer.differences import AccessDifference, Difference, LoginDifference
from tokenserver.exchange.peer.question import PeerQuestion
from tokenserver.exchange.peer.reports import MAX_EVENTS, REPORTED_SECONDS, DifferenceReports
from tokenserver.exchange.peer.shared_keys import SharedKeys
from tokenserver.scopes import Resource

NOW = 1000.0


def question(service: str = "reg", user: str = "ann") -> PeerQuestion:
    """A question about nothing in particular."""
    return PeerQuestion(f"id-{service}-{user}", user, Secret("x"), service, (), None, key=None)


def access(name: str, peer: str = "push") -> AccessDifference:
    """A difference on this repository."""
    return AccessDifference(Resource("repository", name), frozenset({"pull"}), frozenset({"pull", peer}))


@pytest.fixture
def events() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def reports(events: list[dict[str, Any]]) -> DifferenceReports:
    return DifferenceReports(events.append, SharedKeys())


def test_the_events(reports: DifferenceReports, events: list[dict[str, Any]]) -> None:
    """One for each difference, with the exchange, the registry and the client."""
    found: list[Difference] = [LoginDifference(is_accepted_here=True), access("a")]
    reports.report(question(), found, NOW)
    common = {"event": "peer_difference", "request_id": "id-reg-ann", "registry": "reg", "subject": "ann"}
    assert events == [{**common, **one.members} for one in found]


def test_the_same_difference(reports: DifferenceReports, events: list[dict[str, Any]]) -> None:
    """Once an hour; another client, registry, resource or action is another difference."""
    for now, expected in ((NOW, 1), (NOW + 1, 0), (NOW + REPORTED_SECONDS - 1, 0), (NOW + REPORTED_SECONDS, 1)):
        events.clear()
        reports.report(question(), [access("a")], now)
        assert (now, len(events)) == (now, expected)
    events.clear()
    others = [(question(user="bob"), access("a")), (question("other"), access("a"))]
    others += [(question(), access("b")), (question(), access("a", "delete"))]
    for asked, difference in others:
        reports.report(asked, [difference], NOW + REPORTED_SECONDS)
    assert len(events) == 4


def test_many_differences_of_one_exchange(reports: DifferenceReports, events: list[dict[str, Any]]) -> None:
    """The first ones are recorded with the number of the rest, which is recorded when it is found again."""
    found: list[Difference] = [access(f"{number:02}") for number in range(MAX_EVENTS + 7)]
    reports.report(question(), found, NOW)
    assert len(events) == MAX_EVENTS
    assert [event["omitted"] for event in events if "omitted" in event] == [7]
    assert events[-1]["omitted"] == 7
    reports.report(question(), found, NOW)
    assert len(events) == MAX_EVENTS + 7
    assert "omitted" not in events[-1]


def test_an_audit_trail_that_takes_nothing(events: list[dict[str, Any]]) -> None:
    """The difference is recorded when it is found again."""
    broken = [True]

    def record(event: dict[str, Any]) -> None:
        if broken.pop():
            raise AuditUnavailable("full")
        events.append(event)

    reports = DifferenceReports(record, SharedKeys())
    reports.report(question(), [access("a"), access("b")], NOW)
    assert events == []
    broken[:] = [False, False]
    reports.report(question(), [access("a"), access("b")], NOW)
    assert len(events) == 2


def test_workers_report_once(events: list[dict[str, Any]]) -> None:
    """What another worker has recorded is not recorded again."""
    together = SharedKeys()
    one, other = (DifferenceReports(events.append, together) for _ in range(2))
    for reports in (one, other, other):
        reports.report(question(), [access("a")], NOW)
    assert len(events) == 1
