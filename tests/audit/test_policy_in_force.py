"""The policies in force at a moment: the last event up to it, others near it, and lines of any form and order."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from audit_lines import exchange, line
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.audit import policy_in_force
from tokenserver.audit.policy_in_force import NEAR, PoliciesNear
from tokenserver.audit.question import spell_moment

NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)
A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def at(seconds: float) -> str:
    """The time of an event so long after noon."""
    return spell_moment(NOON + timedelta(seconds=seconds))


def near(*events: tuple[float, str], moment: datetime = NOON) -> PoliciesNear:
    """What these events say: seconds after noon, and the digest."""
    found = PoliciesNear(moment)
    for seconds, digest in events:
        found.add_line(line(exchange(time=at(seconds), policy=digest)))
    return found


@pytest.mark.parametrize(
    ("events", "before", "after"),
    [
        pytest.param([], None, None, id="no event"),
        pytest.param([(-10, A)], (-10, A), None, id="before"),
        pytest.param([(0, A)], (0, A), None, id="at the moment"),
        pytest.param([(10, A)], None, (10, A), id="after"),
        pytest.param([(-90, A), (-80, B), (-100, C)], (-80, B), None, id="long before, in any order"),
        pytest.param([(90, A), (80, B), (100, C)], None, (80, B), id="long after, in any order"),
        pytest.param([(-1000, A), (-10, B), (10, C)], (-10, B), (10, C), id="on both sides"),
        pytest.param([(-10, A), (1000, B)], (-10, A), None, id="what is long after does not matter then"),
    ],
)
def test_the_last_one_up_to_the_moment(
    events: list[tuple[float, str]], before: tuple[float, str] | None, after: tuple[float, str] | None
) -> None:
    """And the first one after it, while there is none before."""
    found = near(*events)
    assert found.before == (before and (at(before[0]), before[1]))
    assert found.after == (after and (at(after[0]), after[1]))


def test_what_an_index_notes() -> None:
    """Of events in any order, the last up to the moment and the first after it; none is counted as near it."""
    found = PoliciesNear(NOON)
    for seconds, digest in ((8, A), (9, B), (7, C), (-8, A), (-9, B), (-7, C)):
        found.note(at(seconds), digest)
    assert (found.before, found.after, found.others("")) == ((at(-7), C), (at(7), C), {})


def test_others_near_the_moment() -> None:
    """With their times and number, in the order in which they were first seen."""
    found = near((-61, A), (-60, B), (-30, C), (20, B), (-20, C), (-10, A), (60, B), (61, A))
    assert {one: (seen.first, seen.last, seen.count) for one, seen in found.others(A).items()} == {
        B: (at(-60), at(60), 3),
        C: (at(-30), at(-20), 2),
    }
    assert [*found.others(A)] == [B, C]


WRAPPED: dict[str, Callable[[str], bytes]] = {
    "docker": lambda text: json.dumps({"log": text + "\n", "stream": "stdout"}).encode(),
    "kubernetes": lambda text: f"2026-11-03T12:00:00Z stdout F {text}".encode(),
    "spaces": lambda text: json.dumps(json.loads(text)).encode(),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_lines_that_others_have_wrapped(wrap: Callable[[str], bytes]) -> None:
    """They are decoded."""
    found = PoliciesNear(NOON)
    found.add_line(wrap(line(exchange(time=at(-5), policy=A)).decode()))
    assert found.before == (at(-5), A)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"policy", id="no event"),
        pytest.param(line(exchange(time="yesterday", policy=A)), id="no time"),
        pytest.param(line(exchange(time="2026-13-03T12:00:00.000Z"[:24], policy=7)), id="no digest"),
        pytest.param(
            line(exchange(time=at(-5), policy=None, username='"policy":"' + A + '"')), id="a name that forges"
        ),
        pytest.param(line(exchange(time="2026-11-03T12:00:00,000Z", policy=A)), id="a time of another form"),
    ],
)
def test_lines_without_an_answer(text: bytes) -> None:
    """They are left out; nobody who logs in can name a policy."""
    found = PoliciesNear(NOON)
    found.add_line(text)
    assert (found.before, found.after, found.others("")) == (None, None, {})


def test_a_member_of_a_member() -> None:
    """What is named twice is decoded, and the event's own member counts."""
    found = PoliciesNear(NOON)
    found.add_line(line(exchange(time=at(-5), shadow={"policy": B}, policy=A)))
    assert found.before == (at(-5), A)


def test_a_digest_of_another_form() -> None:
    """Such as in examples."""
    assert near((-5, "sha256:5b1e")).before == (at(-5), "sha256:5b1e")


def test_what_is_reported_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a log has; what was in force is found all the same."""
    monkeypatch.setattr(policy_in_force, "MAX_POLICIES", 2)
    found = near((-3, A), (-2, B), (-1, C), (1, A))
    assert (found.before, {*found.others("")}) == ((at(-1), C), {A, B})


@pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_ends_of_time(moment: datetime) -> None:
    """Nothing overflows."""
    found = near((0, A), moment=moment)
    assert (found.before or found.after) == (at(0), A)


@given(st.lists(st.tuples(st.integers(-200, 200), st.sampled_from((A, B, C)))))
def test_as_by_definition(events: list[tuple[int, str]]) -> None:
    """In whatever order the events come."""
    found = near(*events)
    times = [seconds for seconds, _ in events]
    last = max((one for one in times if one <= 0), default=None)
    assert (found.before and found.before[0]) == (None if last is None else at(last))
    assert found.before is None or (last, found.before[1]) in events
    seconds = NEAR.total_seconds()
    assert {*found.others("")} == {digest for when, digest in events if -seconds <= when <= seconds}
