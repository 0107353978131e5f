"""The sealed form of a login on a device: what is written is read, and nothing else is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from some_ceilings import ceiling

from tokenserver.identity import Kind
from tokenserver.storage.people.device_flow import (
    DeviceApproval,
    DeviceFlow,
    DeviceRequest,
    FlowState,
    UnreadableFlow,
    parse_flow,
    spell_flow,
)

REQUEST = DeviceRequest("tokenserver-helper", "192.0.2.1", "helper/1", ("a", "b"))
OPEN = DeviceFlow("00" * 32, "BCDFGHJK", REQUEST, 1, 601)
APPROVED = replace(OPEN, state=FlowState.APPROVED, approval=DeviceApproval("local", "zoë", Kind.PASSWORD, b"\x00\xff"))


@pytest.mark.parametrize(
    "flow",
    [
        pytest.param(OPEN, id="open"),
        pytest.param(APPROVED, id="approved"),
        pytest.param(replace(APPROVED, approval=DeviceApproval("l", "a", Kind.PASSWORD)), id="without a proof"),
        pytest.param(replace(OPEN, state=FlowState.DENIED), id="denied"),
        pytest.param(replace(OPEN, request=replace(REQUEST, ceiling=ceiling(("web/**", "pull")))), id="with a ceiling"),
    ],
)
def test_what_is_written_is_read(flow: DeviceFlow) -> None:
    """All of it."""
    assert parse_flow(flow.id, flow.state, spell_flow(flow)) == flow


@pytest.mark.parametrize(
    ("flow", "state"), [(OPEN, "approved"), (APPROVED, "open"), (APPROVED, "taken"), (APPROVED, "denied"), (OPEN, "x")]
)
def test_the_state_does_not_approve(flow: DeviceFlow, state: str) -> None:
    """Approved is what has an approval."""
    with pytest.raises(UnreadableFlow):
        parse_flow(flow.id, state, spell_flow(flow))


@pytest.mark.parametrize(
    "changes",
    [
        {"services": None},
        {"ceiling": "{}"},
        {"approval": {}},
        {"approval": {"source": "a", "subject": "b", "kind": "god", "proof": None}},
        {"approval": {"source": "a", "subject": "b", "kind": "password", "proof": "x"}},
    ],
)
def test_what_cannot_be_read(changes: dict[str, Any]) -> None:
    """A later program may write something else."""
    content = json.dumps({**json.loads(spell_flow(APPROVED)), **changes}).encode()
    with pytest.raises(UnreadableFlow):
        parse_flow(APPROVED.id, "approved", content)
    for other in (b"", b"[]", b"{}", b"null"):
        with pytest.raises(UnreadableFlow):
            parse_flow(APPROVED.id, "approved", other)
