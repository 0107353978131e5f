"""The audit trail in one process: what is bounded, what an outage leaves behind, and what is said about it."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests_web_server import Lines, Server, make_server, server, server_folder

from tokenserver.credentials import NoCredentials, Secret
from tokenserver.errors import AuditUnavailable
from tokenserver.exchange.audit import MAX_CACHED, AuditTrail
from tokenserver.exchange.audit_events import MAX_EVENT, MAX_RULES
from tokenserver.exchange.audit_sink import DescriptorSink
from tokenserver.exchange.rulings import Ruling
from tokenserver.exchange.service import TokenRequest, TokenResult
from tokenserver.exchange.sink_state import SinkState
from tokenserver.identity import Identity, Kind
from tokenserver.policy.decision import Decision, Reason
from tokenserver.policy.model import Effect, Principals, Rule
from tokenserver.policy.patterns import parse_pattern
from tokenserver.scopes import Resource, Scope, parse_scopes
from tokenserver.tokens.claims import Compat, Registry
from tokenserver.tokens.issuer import Token

__all__ = ["server", "server_folder"]

START = 1_700_000_000.0
REQUEST = TokenRequest("request-1", "GET", "reg", parse_scopes(()), NoCredentials(), None, None)
REGISTRY = Registry("reg", "auth.example.com", Compat.UNIVERSAL, 900)
IN_USE = {"event": "exchange", "request_id": "1"}


class Clock:
    """A clock that moves only when a test moves it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """For the trail's two clocks."""
    return Clock()


def trail_to(sink: Any, clock: Clock) -> AuditTrail:
    """A trail of a server whose policies are called `digest`."""
    return AuditTrail(sink, now=clock, policy=lambda: "digest", monotonic=clock)


def well(trail: AuditTrail) -> bool:
    """Whether it takes events, as far as it knows."""
    return trail.problem is None


def ruling(groups: int = 0, resources: int = 1, rules: int = 1) -> Ruling:
    """What somebody in so many groups gets of so many repositories by so many rules."""
    everybody, everywhere = Principals(everyone=True), [parse_pattern("**")]
    by = [Rule.of(f"r{number:04}", Effect.ALLOW, everybody, everywhere, ["pull"]) for number in range(rules)]
    pull = frozenset({"pull"})
    scopes = [Scope(Resource("repository", f"{number}/{'x' * 200}"), pull) for number in range(resources)]
    decisions = tuple(Decision(scope, pull, tuple(Reason("pull", rule) for rule in by)) for scope in scopes)
    identity = Identity("ann", Kind.PASSWORD, "corp", frozenset(f"{number}-{'ö' * 200}" for number in range(groups)))
    access = tuple(decision.access for decision in decisions if decision.access is not None)
    return Ruling(REGISTRY, identity, decisions, (), "digest", access, None)


def issued(ruling: Ruling, jti: str) -> TokenResult:
    """The result of an exchange that ended with this ruling."""
    return TokenResult(Token(Secret("…"), jti, int(START), 900, ruling.access), ruling)


@pytest.mark.parametrize(
    "large",
    [
        pytest.param(ruling(groups=1000), id="groups"),
        pytest.param(ruling(resources=300), id="resources"),
        pytest.param(ruling(resources=64, rules=2000), id="rules"),
    ],
)
def test_no_line_is_longer_than_its_bound(large: Ruling, clock: Clock) -> None:
    """Whatever an exchange was about; together the lines say all of it, each with the token's id."""
    lines = Lines()
    trail_to(lines, clock).observe(REQUEST, issued(large, "c41e"), 0.001)
    assert len(lines.raw) > 1
    assert max(map(len, lines.raw)) <= MAX_EVENT
    assert {(event["jti"], event["subject"], event["time"]) for event in lines.events} == {
        ("c41e", "ann", "2023-11-14T22:13:20.000Z")
    }
    assert {group for event in lines.events for group in event["groups"]} == large.identity.groups
    assert len([scope for event in lines.events for scope in event["asked"]]) == len(large.decisions)


def test_many_rules_about_one_thing(clock: Clock) -> None:
    """A limited number is cited, and the number of the rest is reported."""
    lines = Lines()
    trail = trail_to(lines, clock)
    trail.observe(REQUEST, issued(ruling(rules=MAX_RULES), "1"), 0.001)
    trail.observe(REQUEST, issued(ruling(rules=MAX_RULES + 5), "2"), 0.001)
    assert [(len(event["rules"]), event.get("rules_omitted")) for event in lines.events] == [
        (MAX_RULES, None),
        (MAX_RULES, 5),
    ]


def test_what_is_remembered_of_events_is_bounded(clock: Clock) -> None:
    """Of two thousand rulings with a thousand groups each there would be hundreds of megabytes."""
    trail = trail_to(Lines(), clock)
    trail.observe(REQUEST, issued(ruling(groups=1000), "1"), 0.001)
    assert len(trail._encoded) == 0
    trail.observe(REQUEST, issued(ruling(), "2"), 0.001)
    assert [len(known.members) < MAX_CACHED for known in trail._encoded._entries.values()] == [True]


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


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe of 64 KiB."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


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


def test_several_lines_of_one_event_on_a_descriptor(pipe: tuple[int, int], clock: Clock) -> None:
    """They are written as one: a reader that stops costs the time of one."""
    trail = trail_to(DescriptorSink(pipe[1]), clock)
    begun = time.monotonic()
    with pytest.raises(AuditUnavailable):
        trail.observe(REQUEST, issued(ruling(groups=1000), "1"), 0.001)
    assert time.monotonic() - begun < 3.5


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
