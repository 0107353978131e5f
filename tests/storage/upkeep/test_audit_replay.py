"""Which credentials an audit log says have ended."""

from __future__ import annotations

import json

import pytest

from tokenserver.exchange.audit_events import spell_time
from tokenserver.storage.upkeep.audit_replay import ReplayedEnds, ended_in

A, B = "0123456789ab", "ba9876543210"


def _management(action: str, **facts: object) -> str:
    return json.dumps({"event": "management", "outcome": "done", "action": action, **facts})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (_management("end_access_key", credential=A), {A}),
        (_management("end_login", credential=A), {A}),
        (_management("end_robot_secret", credential=A), {A}),
        (_management("end_logins", credentials=[A, B]), {A, B}),
        (_management("rotate_access_key", credential=A, replaces=B), {B}),
        (_management("rotate_robot_secret", credential=A, replaces=B), {B}),
        (_management("create_access_key", credential=A), set()),
        (_management("end_access_key", credential=A, outcome="refused"), set()),
        (_management("end_login", credential="f" * 64), set()),
        (json.dumps({"event": "management", "outcome": "done", "action": ["end_login"], "credential": A}), set()),
        (json.dumps({"event": "revocation", "outcome": "revoked", "credential": A}), {A}),
        (json.dumps({"event": "revocation", "outcome": "ended already", "credential": A}), {A}),
        (json.dumps({"event": "revocation", "outcome": "unknown"}), set()),
        (json.dumps({"event": "exchange", "issued": A, "displaced": [B]}), {B}),
        (json.dumps({"reason": f"access key {A} of ann has ended: lost"}), {A}),
        (json.dumps({"reason": f"access key {A} of robot:ci has ended: lost"}), {A}),
        (json.dumps({"reason": f"stored login {A} of ann: the password was changed"}), {A}),
        (json.dumps({"reason": f"session {A} of workload:x:y has ended: lost"}), {A}),
        (json.dumps({"reason": f"access key {A} of ann expired on 2026-01-01"}), set()),
        (json.dumps({"reason": f"access key {A} of ann: the account was disabled"}), set()),
        (json.dumps({"reason": f"stored login {A} of ann is not valid from 192.0.2.1"}), set()),
        (json.dumps({"credential": A}), set()),
        (json.dumps({"displaced": ["short", 5, None, {}]}), set()),
        (json.dumps({"displaced": {"x": 1}}), set()),
        (json.dumps({"reason": "x has ended: y"}), set()),
        ("[]", set()),
        (f'{{"displaced": ["{A}"]', set()),
        ("\udcff", set()),
    ],
)
def test_lines(line: str, expected: set[str]) -> None:
    """What is no event, or ends no credential, is skipped."""
    assert ended_in([line.encode("utf-8", "surrogateescape")]) == ReplayedEnds(frozenset(expected), frozenset())


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, {("ann", 1_800_000_000.25)}),
        ({"outcome": "invalid_credentials"}, set()),
        ({"subject": None}, set()),
        ({"time": "noon"}, set()),
        ({"time": 5}, set()),
    ],
)
def test_logouts_by_a_provider(changed: dict[str, object], expected: set[tuple[str, float]]) -> None:
    """The person, and the moment."""
    event = {"time": spell_time(1_800_000_000.25), "event": "provider_logout", "subject": "ann"}
    line = json.dumps({**event, "outcome": "logged_out", **changed}).encode()
    assert ended_in([line]) == ReplayedEnds(frozenset(), frozenset(expected))


def test_lines_add_up() -> None:
    """A log has events of many kinds."""
    lines = [json.dumps({"displaced": [one]}).encode() for one in (A, B)]
    assert ended_in([lines[0], b"", lines[1]]).ids == {A, B}
