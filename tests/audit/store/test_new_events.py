"""New events: with and without decoding, an event has the same time, request, text and terms."""

from __future__ import annotations

import json
from typing import Any

import pytest
from audit_lines import exchange, line
from audit_questions import EVENTS
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.audit.index_terms import terms_of
from tokenserver.audit.store import new_events as new_events_module
from tokenserver.audit.store.chunk import NO_TIME
from tokenserver.audit.store.new_events import NewEvents, request_number

_IDS = {"jti": "b04a", "outcome": "granted", "ms": 0.4}


def ending(event: dict[str, Any], **members: Any) -> dict[str, Any]:
    """The event with its last members as the server writes them."""
    return {**{name: value for name, value in event.items() if name not in _IDS}, **_IDS, **members}


@given(st.lists(st.sampled_from(EVENTS)), st.integers(0, 999), st.sampled_from(["granted", "denied", "partial"]))
def test_as_decoded(events: list[dict[str, Any]], number: int, outcome: str) -> None:
    """Whatever came before, which is remembered."""
    new = NewEvents(b"k")
    made = [(ending(one), ending(one, jti=f"{number}", outcome=outcome)) for one in events]
    for event in (event for pair in made for event in pair):
        found, decoded = new.of(line(event)), NewEvents(b"k")._decoded(line(event))
        assert found is not None
        assert decoded is not None
        assert found._replace(terms=set(found.terms)) == decoded._replace(terms=set(decoded.terms))
        assert set(found.terms) == terms_of(event)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('"time":"2026-01-01T00:00:00.000Z",', id="time"),
        pytest.param('"request_id":"f00d",', id="request"),
        pytest.param('"event":"management",', id="event"),
        pytest.param('"outcome":"denied",', id="an outcome that comes first"),
    ],
)
def test_a_member_that_is_there_twice(text: str) -> None:
    """docs/design/threats.md#threat-234: the last one counts for JSON, so what is between the ids is not enough."""
    (start, middle, end) = (b'{"time":"2026-11-03T12:00:00.000Z","event":"exchange","request_id":"', text.encode(), b"")
    new = NewEvents(b"k")
    for request in (b"aaaa", b"bbbb"):
        line_ = start + request + b'",' + middle + b'"subject":"ann","jti":"1","outcome":"granted","ms":0.4}' + end
        found = new.of(line_)
        assert found is not None
        event = json.loads(line_)
        assert found.request == request_number(event["request_id"])
        assert set(found.terms) == terms_of(event)


def test_a_time_that_is_none() -> None:
    """Also if the rest of the event is known."""
    new = NewEvents(b"k")
    times = ("2026-11-03T12:00:00.000Z", "2026-13-03T12:00:00.000Z")
    found = [new.of(line(ending(exchange(time=time)))) for time in times]
    assert [one is not None and one.moment == NO_TIME for one in found] == [False, True]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins again."""
    monkeypatch.setattr(new_events_module, "MAX_KNOWN", 2)
    new = NewEvents(b"k")
    for number in range(5):
        assert new.of(line(ending(exchange(subject=f"user{number}")))) is not None
        assert len(new._terms) <= 2


@pytest.mark.parametrize("text", [b"", b"no event", b'{"event":1,"time":"x"}', b'{"a":"\xff"}'])
def test_lines_without_an_event(text: bytes) -> None:
    """There is nothing to add."""
    assert NewEvents(b"k").of(text) is None
