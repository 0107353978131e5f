"""Lines that recur: the same events as decoding each line finds, also of lines that nobody but a forger writes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from audit_lines import exchange, line, report
from audit_questions import EVENTS, at, questions
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.audit import recurring_lines
from tokenserver.audit.events import event_of
from tokenserver.audit.question import AuditQuestion
from tokenserver.audit.recurring_lines import RecurringLines


def written(time: str, between: str, outcome: str = "granted", end: str = '"ms":0.4') -> bytes:
    """A line with these members between the ids."""
    start = f'{{"time":"{time}","event":"exchange","request_id":"0123456789abcdef"'
    return f'{start},{between},"jti":"b04a","outcome":"{outcome}",{end}}}'.encode()


def as_written(event: dict[str, Any]) -> bytes:
    """The line of an exchange, with its last members where the server writes them."""
    ends = ("time", "event", "request_id", "outcome", "ms", "jti")
    between = json.dumps({name: value for name, value in event.items() if name not in ends}, separators=(",", ":"))
    return written(str(event.get("time")), between[1:-1], str(event.get("outcome")))


TIMES = ("2026-11-03T12:00:00.249Z", "2026-11-03T12:00:00.250Z", "2026-11-03T12:00:01.000Z", "2026-02-31T12:00:01.000Z",
         "2026-11-03T24:00:00.000Z", "2026-11-03T12:00:00.251Z", "2026-11-03T12:00:00.900Z")  # fmt: skip

BETWEEN = (
    '"client":"10.1.2.3","subject":"ann","granted":["repository:web/site:pull"],"asked":["repository:web/site:pull"]',
    '"client":"10.1.2.3","subject":"bob","asked":["repository:web/x:*"],"granted":[],"rules":[{"rule":"writers"}]',
    '"subject":"ann","time":"2026-11-03T12:00:00.250Z"',
    '"subject":"ann","\\u0074ime":"2026-11-03T12:00:00.250Z"',
    '"subject":"ann","outcome" :"denied"',
    '"subject":"ann","request_id":"f00d","event":"device"',
    '"subject":"Zoë","groups":["time","web-devs"]',
    '"subject":"\\ud800"',
    '"subject":"ann","nested":{"time":1}',
    '"subject":"ann"},{"a":1',
    '"subject":"ann","a":',
    '"subject":"ann","ms":{}',
)

ENDS = ('"ms":0.4', '"ms":12', '"ms":00.1', '"ms":1.', '"ms":1..2', f'"ms":{"9" * 5000}', '"ms":1e5',
        '"ms":0.4,"chain":"a:1:b"', '"ms":0.4,"chain":"a","subject":"bob"', '"ms":0.4 ')  # fmt: skip

LINES = st.one_of(
    st.builds(
        written,
        st.sampled_from(TIMES),
        st.sampled_from(BETWEEN),
        st.sampled_from(("granted", "denied", "partial")),
        st.sampled_from(ENDS) | st.just(ENDS[0]),
    ),
    st.sampled_from([as_written(one) for one in EVENTS]),
    st.sampled_from([line(one) for one in EVENTS]),
    st.sampled_from([b"{}", b"x", b"prefix " + line(exchange()), line(report())]),
)


def compared(question: AuditQuestion, lines: list[bytes]) -> None:
    """Check that it finds what decoding finds, and counts what has no event."""
    found = RecurringLines(question)
    events = [event_of(one) for one in lines]
    expected = [one for one in events if one is not None and question.is_met_by(one)]
    meeting = [found.meeting(one) for one in lines]
    assert [event_of(one) if isinstance(one, bytes) else one for one in meeting if one is not None] == expected
    assert found.other_lines == events.count(None)


@given(questions, st.lists(LINES, max_size=30))
def test_as_by_decoding(question: AuditQuestion, lines: list[bytes]) -> None:
    """Whatever the question and the order of lines, of which each may come again with another time."""
    compared(question, lines)


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("end", ENDS)
def test_each_line_after_a_usual_one(between: str, end: str) -> None:
    """What is known of one line is not taken for another that decodes otherwise."""
    lines = [written(time, between, end=last) for last in (ENDS[0], end) for time in TIMES]
    for question in (
        AuditQuestion(),
        AuditQuestion(user="ann", outcome="granted"),
        AuditQuestion(since=at("12:00:00.250"), until=at("12:00:00.900")),
        AuditQuestion(since=at("12:00:00.250001")),
        AuditQuestion(event="exchange", until=at("12:00:00.251")),
        AuditQuestion(request_id="f00d"),
    ):
        compared(question, lines)


def test_most_lines_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of those that differ in the time alone is; with a request id in question, all are."""
    decoded: list[bytes] = []

    def counting(one: bytes) -> dict[str, Any] | None:
        decoded.append(one)
        return event_of(one)

    monkeypatch.setattr(recurring_lines, "event_of", counting)
    lines = [written(f"2026-11-03T12:00:{second:02d}.000Z", BETWEEN[0]) for second in range(60)]
    for question, count in ((AuditQuestion(user="ann"), 1), (AuditQuestion(request_id="0123456789abcdef"), 60)):
        found = RecurringLines(question)
        assert all(found.meeting(one) is not None for one in lines)
        assert len(decoded) == count
        decoded.clear()


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is given up where most lines are new."""
    monkeypatch.setattr(recurring_lines, "MAX_KNOWN", 3)
    monkeypatch.setattr(recurring_lines, "TRIED", 20)
    new = [written(TIMES[1], f'"subject":"user{number}"') for number in range(30)]
    compared(AuditQuestion(user="user7"), [*new, *new])
    found = RecurringLines(AuditQuestion())
    for one in [*new[:1] * 60, *new[1:9]]:
        found.meeting(one)
        assert len(found._met) <= 3
    assert found._is_worth_it
    given_up = RecurringLines(AuditQuestion())
    for one in new * 2:
        given_up.meeting(one)
    assert not given_up._is_worth_it
    assert given_up.meeting(new[0]) == event_of(new[0])


def test_a_question_of_another_kind() -> None:
    """Its own conditions hold."""

    class Never(AuditQuestion):
        __slots__ = ()

        def is_met_by(self, event: dict[str, Any]) -> bool:
            return "never" in event

    assert RecurringLines(replace(Never())).meeting(written(TIMES[0], BETWEEN[0])) is None
