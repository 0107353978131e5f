"""Audit events in parts, put together again."""

from __future__ import annotations

from typing import Any

import pytest
from audit_events import POLICIES, lines, parts
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.policy.queries.audit_log_parts import MAX_WAITING, EventParts, UnreadablePart
from tokenserver.policy.queries.replay_audit_log import replay


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"part": 0}, "part", id="zero"),
        pytest.param({"part": 3}, "part", id="beyond"),
        pytest.param({"part": True}, "part", id="true"),
        pytest.param({"part": "1"}, "part", id="text"),
        pytest.param({"parts": None}, "part", id="of nothing"),
        pytest.param({"request_id": None}, "request_id", id="of nobody"),
        pytest.param({"asked": "web/a"}, "asked", id="asked is no list"),
        pytest.param({"groups": {}}, "groups", id="groups are no list"),
        pytest.param({"claims": ["x"]}, "claims", id="claims are a list"),
        pytest.param({"claims": {"ref": "main"}}, "claims", id="a claim is no list"),
    ],
)
def test_a_part_that_cannot_be_read(fields: dict[str, Any], field: str) -> None:
    """It is skipped like any other event."""
    report = replay(POLICIES, lines({**parts(2)[0], **fields}))
    assert report.skipped == {f"an event with a field that cannot be read: {field}": 1}


def part(number: int, count: int, request: str = "r1", **fields: Any) -> dict[str, Any]:
    """One part of an event, which asks for one repository."""
    return {"part": number, "parts": count, "request_id": request, "asked": [f"repository:{number}:pull"], **fields}


def test_an_event_that_is_not_divided() -> None:
    """It comes back as it is, and nothing waits."""
    event, waiting = {"asked": ["x"], "request_id": 5}, EventParts()
    assert waiting.whole(event) is event
    assert waiting.lost == 0


@given(st.integers(1, 6).flatmap(lambda count: st.permutations(range(1, count + 1))), st.data())
def test_parts_in_any_order(order: list[int], data: st.DataObject) -> None:
    """With repetitions, and another exchange between: the last missing part gives the whole, with every list."""
    waiting, count = EventParts(), len(order)
    for at, number in enumerate(order):
        repeated = data.draw(st.sampled_from(order[:at] or [number])) if count > 1 and at else None
        if repeated is not None:
            assert waiting.whole(part(repeated, count)) is None
        assert waiting.whole(part(1, 2, f"other-{number}")) is None
        claims = {"ref": [f"v{number}"], "env": []}
        whole = waiting.whole(part(number, count, groups=[f"g{number}"], claims=claims))
        assert (whole is not None) is (at == count - 1)
    assert whole is not None
    assert sorted(whole["asked"]) == [f"repository:{number}:pull" for number in range(1, count + 1)]
    assert sorted(whole["groups"]) == [f"g{number}" for number in range(1, count + 1)]
    assert {name: sorted(values) for name, values in whole["claims"].items()} == {
        "ref": [f"v{number}" for number in range(1, count + 1)],
        "env": [],
    }
    assert whole["granted"] == []
    assert waiting.lost == count  # one part of each of the others


def test_a_part_without_its_others_is_bounded() -> None:
    """The oldest incomplete exchange is dropped, and counted as lost like those that still wait."""
    waiting = EventParts()
    for number in range(MAX_WAITING + 3):
        assert waiting.whole(part(1, 2, f"r{number}")) is None
    assert waiting.lost == MAX_WAITING + 3
    assert waiting.whole(part(2, 2, "r0")) is None  # the first one is forgotten
    assert waiting.whole(part(2, 2, f"r{MAX_WAITING}")) is not None


@given(
    st.dictionaries(
        st.sampled_from(["part", "parts", "request_id", "asked", "granted", "groups"]),
        st.none()
        | st.booleans()
        | st.integers(-2, 3)
        | st.text(max_size=2)
        | st.lists(st.text(max_size=2), max_size=2),
    )
)
def test_any_part_is_taken_or_unreadable(fields: dict[str, Any]) -> None:
    """The name of the malformed field is the only text of the error."""
    assert unreadable(fields) in {None, "part", "request_id", "asked", "granted", "groups"}


def unreadable(event: dict[str, Any]) -> str | None:
    """The text of the error about this event, if there is one."""
    try:
        EventParts().whole(event)
    except UnreadablePart as error:
        return str(error)
    return None
