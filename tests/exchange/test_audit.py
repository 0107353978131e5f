"""The audit trail in one process: lines and caches are bounded, and several lines are written as one."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from audit_trails import START, Clock, trail_to
from harness.own_time import OwnTime
from tests_web_server import Lines

from tokenserver.credentials import NoCredentials, Secret
from tokenserver.errors import AuditUnavailable, InvalidRequest
from tokenserver.exchange.audit import CACHED_CHARACTERS
from tokenserver.exchange.audit_events import MAX_EVENT, MAX_REJECTED, MAX_RULES
from tokenserver.exchange.audit_sink import DescriptorSink
from tokenserver.exchange.rulings import MAX_RULINGS, Ruling
from tokenserver.exchange.service import TokenRequest, TokenResult
from tokenserver.identity import Identity, Kind
from tokenserver.patterns import parse_pattern
from tokenserver.policy.decision import Decision, Reason
from tokenserver.policy.model import Effect, Principals, Rule
from tokenserver.scopes import Access, Resource, Scope, parse_scopes
from tokenserver.tokens.claims import Compat, Registry
from tokenserver.tokens.issuer import Token

REQUEST = TokenRequest("request-1", "GET", "reg", parse_scopes(()), NoCredentials(), None, None)

REGISTRY = Registry("reg", "auth.example.com", Compat.UNIVERSAL, 900)


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


def test_many_rejected_texts(clock: Clock) -> None:
    """A limited number is listed, and the number of the rest is reported, with a token and without."""
    scopes = parse_scopes([" ".join(f"x{number}" for number in range(MAX_REJECTED + 36))])
    lines = Lines()
    trail = trail_to(lines, clock)
    trail.observe(REQUEST, issued(replace(ruling(), rejected=scopes.rejected), "1"), 0.001)
    trail.observe(REQUEST._replace(scopes=scopes), InvalidRequest("x"), 0.001)
    trail.observe(REQUEST._replace(scopes=parse_scopes(["x"])), InvalidRequest("x"), 0.001)
    assert [(len(event["rejected"]), event.get("rejected_omitted")) for event in lines.events] == [
        (MAX_REJECTED, 36),
        (MAX_REJECTED, 36),
        (1, None),
    ]


@pytest.mark.parametrize("rules", [1, 5])
def test_ten_times_the_resources_are_ten_times_the_event(rules: int, clock: Clock) -> None:
    """The lines of a large event together grow linearly, rules no further than their bound."""
    sizes = []
    for resources in (100, 1000):
        lines = Lines()
        trail_to(lines, clock).observe(REQUEST, issued(ruling(resources=resources, rules=rules), "1"), 0.001)
        sizes.append(sum(map(len, lines.raw)))
    assert sizes[1] < 10.5 * sizes[0]


def test_what_is_held_is_told_from_what_was_asked(clock: Clock) -> None:
    """The event has both, and says why they differ; without `grant: held` it says nothing."""
    lines, asked = Lines(), ruling()
    (decision,) = asked.decisions
    held = replace(decision, granted=frozenset({"pull", "push"}))
    access = (Access(decision.scope.resource, held.granted),)
    holding = replace(asked, registry=replace(REGISTRY, holds=True), decisions=(held,), access=access)
    trail = trail_to(lines, clock)
    trail.observe(REQUEST, issued(asked, "1"), 0.001)
    trail.observe(REQUEST, issued(holding, "2"), 0.001)
    plain, more = lines.events
    assert (plain.get("grant"), plain["asked"], plain["granted"]) == (None, plain["granted"], plain["asked"])
    assert (more["grant"], more["outcome"]) == ("held", "granted")
    assert more["asked"] == plain["asked"]
    assert more["granted"] == [f"{decision.scope.resource}:pull,push"]


def test_what_is_remembered_of_events_is_bounded(clock: Clock) -> None:
    """Of two thousand rulings with a thousand groups each there would be hundreds of megabytes."""
    trail = trail_to(Lines(), clock)
    trail.observe(REQUEST, issued(replace(ruling(groups=1000), is_kept=True), "1"), 0.001)
    assert len(trail._encoded) == 0
    trail.observe(REQUEST, issued(ruling(), "2"), 0.001)
    assert len(trail._encoded) == 0
    large = ruling(resources=64)
    for number in range(500):
        trail.observe(REQUEST, issued(replace(large, is_kept=True), f"3 {number}"), 0.001)
    kept = [len(known.members) for known in trail._encoded._entries.values()]
    assert sum(kept) <= MAX_RULINGS * CACHED_CHARACTERS
    assert CACHED_CHARACTERS < kept[0] <= MAX_EVENT


def test_several_lines_of_one_event_on_a_descriptor(pipe: tuple[int, int], clock: Clock) -> None:
    """They are written as one: a reader that stops costs the time of one."""
    trail = trail_to(DescriptorSink(pipe[1], wait=0.3), clock)
    own = OwnTime(os.getpid())
    with pytest.raises(AuditUnavailable):
        trail.observe(REQUEST, issued(ruling(groups=1000), "1"), 0.001)
    assert own.seconds < 2.3


PROGRAMS = [
    pytest.param("docker", "docker/28.0.1 go/go1.23 (linux)", id="usual"),
    pytest.param(None, "curl/8.5", id="no client_id"),
    pytest.param("regclient/regctl (v0.11.7)", None, id="no User-Agent"),
    pytest.param('x"}\n{"event":"exchange"', "\x1b[2J\x7f\u2028\\", id="hostile"),
    pytest.param("c" * 1000, "u" * 100_000, id="long"),
    pytest.param("\U0001f680" * 1000, "\x7f" * 1000, id="long when escaped"),
]


@pytest.mark.parametrize(("client_id", "user_agent"), PROGRAMS)
@pytest.mark.parametrize("refused", [False, True], ids=["granted", "refused"])
def test_events_name_the_program(client_id: str | None, user_agent: str | None, refused: bool, clock: Clock) -> None:
    """As it calls itself, cut, on one line of printable ASCII; a program that says nothing adds nothing."""
    lines = Lines()
    request = REQUEST._replace(client_id=client_id, user_agent=user_agent)
    outcome = InvalidRequest("service: is missing") if refused else issued(ruling(), "c41e")
    trail_to(lines, clock).observe(request, outcome, 0.001)
    (line,) = lines.raw
    assert all(32 <= byte < 127 for byte in line[:-1])
    (event,) = lines.events
    for name, said in (("client_id", client_id), ("user_agent", user_agent)):
        if said is None:
            assert name not in event
        else:
            assert event[name] == (said if len(said) <= 256 else said[:256] + "…")


def test_a_request_without_a_program_adds_nothing(clock: Clock) -> None:
    """Neither key is in the event."""
    lines = Lines()
    trail_to(lines, clock).observe(REQUEST, issued(ruling(), "c41e"), 0.001)
    assert not {"client_id", "user_agent"} & lines.events[0].keys()


def test_a_split_event_names_the_program_in_each_part(clock: Clock) -> None:
    """As every other fact of the request."""
    lines = Lines()
    request = REQUEST._replace(client_id="docker", user_agent="docker/28")
    trail_to(lines, clock).observe(request, issued(ruling(resources=300), "c41e"), 0.001)
    assert len(lines.raw) > 1
    assert {(event["client_id"], event["user_agent"]) for event in lines.events} == {("docker", "docker/28")}


@pytest.mark.parametrize("namespace", [None, "", "johndoe"])
def test_the_namespace(namespace: str | None, clock: Clock) -> None:
    """It is in the event if the source maps names."""
    found = replace(ruling(), identity=Identity("JohnDoe", Kind.PASSWORD, "corp", namespace=namespace))
    lines = Lines()
    trail_to(lines, clock).observe(REQUEST, issued(found, "j"), 0.001)
    (line,) = lines.events
    assert line.get("namespace") == namespace
    assert ("namespace" in line) is (namespace is not None)
