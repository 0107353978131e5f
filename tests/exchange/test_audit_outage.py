"""Outages of the audit trail: logged once, counted, shared by processes, and reported as an `audit_gap`."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from audit_trails import Clock, trail_to
from tests_web_server import Lines, Server, make_server

from tokenserver.errors import AuditUnavailable
from tokenserver.exchange.audit import AuditTrail
from tokenserver.exchange.audit_sink import DescriptorSink
from tokenserver.exchange.sink_state import SinkState

IN_USE = {"event": "exchange", "request_id": "1"}


def well(trail: AuditTrail) -> bool:
    """Whether it takes events, as far as it knows."""
    return trail.problem is None


def test_an_outage_is_said_once_and_counted(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """What the log and readiness say, and the event that the trail has about its own gap."""
    lines = Lines()
    trail = trail_to(lines, clock)
    assert well(trail)
    lines.broken = True
    for _ in range(50):
        with pytest.raises(AuditUnavailable, match="No space left on device"):
            trail.record(IN_USE)
    assert trail.problem == "standard output takes no events: No space left on device"
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]
    assert "the audit trail (standard output) takes no events: No space left on device" in caplog.text
    clock.now += 11
    trail.check()
    assert len(caplog.records) == 2
    assert not well(trail)
    lines.broken = False
    with caplog.at_level(logging.WARNING):
        trail.check()
    assert well(trail)
    assert lines.events == [
        {
            "time": "2023-11-14T22:13:31.000Z",
            "event": "audit_gap",
            "since": "2023-11-14T22:13:20.000Z",
            "events": 50,
            "reason": "No space left on device",
        }
    ]
    assert caplog.messages[-1] == "the audit trail takes events again; 50 events were lost, and their requests got 503"
    trail.check()
    assert len(lines.raw) == 1


def test_the_page_shows_the_event_as_it_is(clock: Clock) -> None:
    """docs/run-in-production.md has an `audit_gap`, with its fields in their order."""
    page = (Path(__file__).parents[2] / "docs" / "run-in-production.md").read_text("utf-8")
    (shown,) = [
        json.loads(block) for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL) if "audit_gap" in block
    ]
    lines = Lines()
    trail = trail_to(lines, clock)
    trail._outage.failed(28, events=12)
    trail.check()
    assert list(shown) == list(lines.events[0])
    assert (shown["event"], shown["events"], shown["reason"]) == ("audit_gap", 12, lines.events[0]["reason"])


def test_an_outage_that_a_request_ends(clock: Clock) -> None:
    """It is over with the first event that is written; the gap is reported after it."""
    lines = Lines()
    trail = trail_to(lines, clock)
    lines.broken = True
    with pytest.raises(AuditUnavailable):
        trail.record(IN_USE)
    lines.broken = False
    trail.record(IN_USE)
    assert well(trail)
    trail.check()
    assert [event["event"] for event in lines.events] == ["exchange", "audit_gap"]


def test_what_fails_while_the_gap_is_reported_is_reported_later(clock: Clock) -> None:
    """Nothing that is missing is left out of the count."""
    lines = Lines()
    trail = trail_to(lines, clock)

    class Failing(Lines):
        def write(self, line: bytes) -> None:
            super().write(line)
            if b"audit_gap" in line and len(self.raw) == 1:
                trail._outage.failed(28)

    lines = Failing()
    trail._sink = lines
    trail._outage.failed(28)
    trail.check()
    assert not well(trail)
    trail.check()
    assert [event["events"] for event in lines.events] == [1, 1]
    assert well(trail)


def test_what_another_process_found_out(pipe: tuple[int, int], clock: Clock) -> None:
    """Readiness of every worker says it; whichever looks first when there is room ends it for all."""
    state = SinkState()
    ours, theirs = (trail_to(DescriptorSink(pipe[1], state, wait=0.05), clock) for _ in range(2))
    for _ in range(15):
        ours.record({**IN_USE, "fill": "x" * 4000})
    with pytest.raises(AuditUnavailable):
        ours.record({**IN_USE, "fill": "x" * 9000})
    assert ours.problem == theirs.problem == "standard output takes no events: its reader does not read"
    theirs.check()
    assert not well(theirs)
    found = os.read(pipe[0], 1 << 20)
    theirs.check()
    assert well(theirs)
    ours.check()
    assert well(ours)
    found += os.read(pipe[0], 1 << 20)
    *others, theirs_gap, ours_gap = (json.loads(line) for line in found.splitlines())
    assert {event["event"] for event in others} == {"exchange"}  # the one that was cut off is whole, too
    assert [(gap["event"], gap["events"]) for gap in (theirs_gap, ours_gap)] == [("audit_gap", 0), ("audit_gap", 1)]


def test_readiness_names_the_audit_trail(server: Server) -> None:
    """And the server is ready again with the first event that is written."""
    server.audit.broken = True
    assert server.client.get("/token?service=reg").status_code == 503
    ready = server.client.get("/readyz")
    assert (ready.status_code, ready.get_json()["ready"]) == (503, False)
    assert ready.get_json()["parts"]["audit"] == "standard output takes no events: No space left on device"
    server.audit.broken = False
    assert server.client.get("/token?service=reg").status_code == 200
    assert server.client.get("/readyz").status_code == 200


def test_it_is_looked_after(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that no request reaches finds out by itself that there is room again."""
    monkeypatch.setattr("tokenserver.server.running.LOOK_SECONDS", 0.01)
    made = make_server(server_folder)
    stop = replace(made.parts, meter=None).watch()
    try:
        made.audit.broken = True
        assert made.client.get("/token?service=reg").status_code == 503
        made.audit.broken = False
        end = time.monotonic() + 10
        while made.client.get("/readyz").status_code != 200 and time.monotonic() < end:
            time.sleep(0.01)
        assert [event["event"] for event in made.audit.events] == ["audit_gap"]
    finally:
        stop.set()
