"""Real deeds: reports joined with the token that allowed them, and an alarm where there is none.

See docs/design/threats.md#threat-228 and docs/design/threats.md#threat-229.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from audit_lines import exchange, line, report
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.audit import granted_accesses, real_deeds
from tokenserver.audit.candidates import candidate_lines
from tokenserver.audit.question import GRANTED, AuditQuestion
from tokenserver.audit.real_deeds import ALLOWED, UNALLOWED, UNKNOWN, RealDeed, RealDeeds, RealDeedSeen, reading
from tokenserver.patterns import parse_pattern

PUSH = AuditQuestion(event="exchange", action="push", repository=parse_pattern("web/**"), outcome=GRANTED)
TOKEN = exchange(jti="t-1", credential="AAAABBBBCCCC")


def asked(question: AuditQuestion, *events: dict[str, Any]) -> RealDeeds:
    """The answer to a question about these events, of which only those that meet it are read."""
    about = reading(question)
    deeds = RealDeeds(question)
    deeds.add_all(event for event in events if about.is_met_by(event))
    return deeds


def only(deeds: RealDeeds) -> tuple[RealDeed, RealDeedSeen]:
    """The only deed of an answer."""
    (one,) = deeds.ordered()
    return one


def outcomes(deeds: RealDeeds) -> list[str]:
    """The outcomes, the last deed first."""
    return [deed.outcome for deed, _ in deeds.ordered()]


def test_a_push_and_its_token() -> None:
    """Who pushed what, when and from where; and by which token, credential and rule."""
    deed, seen = only(asked(PUSH, TOKEN, report()))
    assert deed == RealDeed(
        who="ann",
        action="push",
        repository="web/site",
        from_repository="",
        tag="1",
        digest="sha256:" + "0" * 64,
        registry="registry.example.com",
        outcome=ALLOWED,
    )
    assert (seen.count, seen.first, seen.last) == (1, "2026-11-03T12:05:00.000Z", "2026-11-03T12:05:00.000Z")
    assert [*seen.tokens, *seen.credentials, *seen.rules, *seen.clients] == [
        "t-1",
        "AAAABBBBCCCC",
        "writers",
        "10.1.2.3",
    ]


def test_the_order_of_lines_does_not_matter() -> None:
    """Files may be given in any order."""
    assert asked(PUSH, report(), TOKEN).ordered() == asked(PUSH, TOKEN, report()).ordered()


def test_what_was_allowed_and_not_done_is_no_deed() -> None:
    """A token alone says nothing."""
    assert asked(PUSH, TOKEN).ordered() == []


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(exchange(granted=["repository:web/site:pull"]), id="for pulls alone"),
        pytest.param(exchange(subject="bob"), id="of somebody else"),
        pytest.param(exchange(registry="other.example.com"), id="for another registry"),
        pytest.param(exchange(granted=["repository:web/other:push"]), id="for another repository"),
        pytest.param(exchange(time="2026-11-03T10:00:00.000Z"), id="that ended before"),
        pytest.param(exchange(time="2026-11-03T12:07:00.000Z"), id="that was issued later"),
        pytest.param(exchange(time="soon"), id="of an unreadable time"),
    ],
)
def test_no_token_allowed_it(token: dict[str, Any]) -> None:
    """An alarm: the registry accepted something that this server did not sign for that."""
    deeds = asked(PUSH, token, report())
    assert outcomes(deeds) == [UNALLOWED]
    assert deeds.without_token == 1


def test_a_report_that_was_sent_twice_counts_once() -> None:
    """By its id, for each registry; a report without one cannot be recognised."""
    again = report(time="2026-11-03T12:06:00.000Z")
    deeds = asked(PUSH, TOKEN, report(), again, report(2), report(registry="other"), report(event_id=None))
    assert sum(seen.count for _, seen in deeds.ordered()) == 4
    assert deeds.repeated == 1


def test_a_registry_whose_clock_is_wrong() -> None:
    """The time at which the report arrived is as good."""
    assert outcomes(asked(PUSH, TOKEN, report(at="2026-11-03T18:05:00.000Z"))) == [ALLOWED]


def test_a_report_that_comes_late() -> None:
    """The receiver was down for hours; what counts is when it happened."""
    deeds = asked(PUSH, TOKEN, report(time="2026-11-03T20:00:00.000Z"))
    assert only(deeds)[1].first == "2026-11-03T12:05:00.000Z"
    assert outcomes(deeds) == [ALLOWED]


def test_a_report_without_a_time_of_its_own() -> None:
    """It has that of its arrival; one without any is no deed."""
    assert only(asked(PUSH, TOKEN, report(at=None)))[1].first == "2026-11-03T12:05:00.100Z"
    assert asked(PUSH, TOKEN, report(at=None, time="soon")).ordered() == []


def test_a_registry_that_does_not_say_who() -> None:
    """No guess: no rule and no token is named. But whether anybody had a token is known."""
    deed, seen = only(asked(PUSH, TOKEN, report(subject=None)))
    assert (deed.who, deed.outcome, [*seen.rules, *seen.tokens]) == (None, ALLOWED, [])
    assert outcomes(asked(PUSH, report(subject=None))) == [UNALLOWED]


MOUNT = report(
    action="mount", from_repository="base/os", used=["repository:web/site:push", "repository:base/os:pull"], tag=None
)


def test_a_mount() -> None:
    """A push to one repository, and a pull from the other."""
    deed, _ = only(asked(PUSH, TOKEN, MOUNT))
    assert (deed.action, deed.repository, deed.from_repository, deed.outcome) == (
        "mount",
        "web/site",
        "base/os",
        ALLOWED,
    )
    pulls = AuditQuestion(action="pull", repository=parse_pattern("base/**"), outcome=GRANTED)
    deed, _ = only(asked(pulls, exchange(granted=["repository:base/os:pull"]), MOUNT))
    assert (deed.action, deed.outcome) == ("mount", ALLOWED)


@pytest.mark.parametrize(
    ("since", "until", "count"),
    [
        pytest.param("12:05:00", "12:06:00", 1, id="around it"),
        pytest.param("12:06:00", "13:00:00", 0, id="after it"),
        pytest.param("11:00:00", "12:05:00", 0, id="before it"),
    ],
)
def test_times(since: str, until: str, count: int) -> None:
    """Those of the deed; its token may be from before."""
    day = "2026-11-03T"
    moments = [datetime.fromisoformat(f"{day}{one}+00:00") for one in (since, until)]
    question = AuditQuestion(moments[0], moments[1], action="push", repository=parse_pattern("web/**"), outcome=GRANTED)
    assert outcomes(asked(question, TOKEN, report())) == [ALLOWED] * count


def test_the_earliest_time() -> None:
    """There is nothing to read before it."""
    question = AuditQuestion(since=datetime(1, 1, 1, tzinfo=UTC) + timedelta(minutes=1))
    assert reading(question).since == datetime(1, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        pytest.param({"credential": "AAAABBBBCCCC"}, 1, id="credential"),
        pytest.param({"credential": "CCCCBBBBAAAA"}, 0, id="another credential"),
        pytest.param({"rule": "writers"}, 1, id="rule"),
        pytest.param({"rule": "others"}, 0, id="another rule"),
        pytest.param({"group": "web-devs"}, 1, id="group"),
        pytest.param({"group": "ops"}, 0, id="another group"),
        pytest.param({"user": "ann"}, 2, id="user"),
        pytest.param({"user": "bob"}, 0, id="another user"),
    ],
)
def test_conditions_about_the_token(condition: dict[str, Any], count: int) -> None:
    """What only the exchange tells holds of deeds with a token; who it was, the report says itself."""
    question = AuditQuestion(action="push", repository=parse_pattern("web/**"), outcome=GRANTED, **condition)
    without = report(2, used=["repository:web/other:push"], repository="web/other")
    assert len(asked(question, TOKEN, report(), without).ordered()) == count


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deeds, reports that wait and ids that are remembered are bounded, and what is not kept is counted."""
    monkeypatch.setattr(real_deeds, "MAX_DEEDS", 2)
    monkeypatch.setattr(real_deeds, "MAX_WAITING", 1)
    monkeypatch.setattr(real_deeds, "MAX_IDS", 1)
    deeds = asked(PUSH, *(report(number, tag=f"t-{number}") for number in range(5)), report(0, tag="t-0"))
    assert sum(seen.count for _, seen in deeds.ordered()) + deeds.not_kept == 6
    assert deeds.not_kept >= 3
    assert deeds.repeated == 0
    assert set(outcomes(deeds)) == {UNKNOWN}


def test_what_was_forgotten_is_no_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that was not kept may have allowed it."""
    monkeypatch.setattr(granted_accesses, "MAX_GRANTS", 1)
    other = exchange(granted=["repository:web/other:push"], time="2026-11-03T12:01:00.000Z")
    assert outcomes(asked(PUSH, TOKEN, other, report())) == [UNKNOWN]
    late = report(at="2026-11-03T14:05:00.000Z", time="2026-11-03T14:05:00.000Z")
    assert outcomes(asked(PUSH, TOKEN, other, late)) == [UNALLOWED]


def test_every_line_of_an_answer_is_read() -> None:
    """The texts by which lines are sought are in reports as well as in exchanges."""
    question = AuditQuestion(
        action="push",
        repository=parse_pattern("web/site"),
        outcome=GRANTED,
        user="ann",
        registry="registry.example.com",
        rule="writers",
        credential="AAAABBBBCCCC",
    )
    data = b"".join(line(event) + b"\n" for event in (TOKEN, report(), MOUNT))
    blocks = iter([data, b""])
    assert len(list(candidate_lines(lambda _: next(blocks), reading(question).needles()))) == 3


SUBJECTS = st.sampled_from(["ann", "bob", ""])
MINUTES = st.integers(0, 180)
GRANTS = st.lists(st.tuples(MINUTES, SUBJECTS, st.sampled_from(["web/a", "web/b"])), max_size=8)
REPORTS = st.lists(st.tuples(MINUTES, st.none() | SUBJECTS, st.sampled_from(["web/a", "web/b"])), max_size=8)


def spelled(minute: int) -> str:
    """A time of that day."""
    return (datetime(2026, 11, 3, tzinfo=UTC) + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


@given(GRANTS, REPORTS, st.randoms(use_true_random=False))
def test_whatever_the_events(
    grants: list[tuple[int, str, str]], reports: list[tuple[int, str | None, str]], order: Any
) -> None:
    """A deed has a token exactly if one was granted to its subject in the 61 minutes before, or the minute after."""
    tokens = [
        exchange(time=spelled(minute), subject=who, granted=[f"repository:{name}:push"]) for minute, who, name in grants
    ]
    told = [
        report(
            number, time=spelled(minute), at=spelled(minute), subject=who, repository=name,
            used=[f"repository:{name}:push"], tag=f"t-{number}",
        )
        for number, (minute, who, name) in enumerate(reports)
    ]  # fmt: skip
    events = [*tokens, *told]
    order.shuffle(events)
    found = {deed.tag: deed.outcome for deed, _ in asked(PUSH, *events).ordered()}
    for number, (minute, who, name) in enumerate(reports):
        is_allowed = any(
            one == name and who in (None, subject) and -1 <= minute - granted <= 61 for granted, subject, one in grants
        )
        assert found[f"t-{number}"] == (ALLOWED if is_allowed else UNALLOWED)
