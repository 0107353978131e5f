"""Audit events in parts, put together again."""

from __future__ import annotations

from typing import Any

import pytest
from audit_events import POLICIES, lines, parts

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
    ],
)
def test_a_part_that_cannot_be_read(fields: dict[str, Any], field: str) -> None:
    """It is skipped like any other event."""
    report = replay(POLICIES, lines({**parts(2)[0], **fields}))
    assert report.skipped == {f"an event with a field that cannot be read: {field}": 1}
