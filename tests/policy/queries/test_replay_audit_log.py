"""Replay of audit events: changes are reported, and all other lines of a log counted and skipped."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import declared_machines as machines
import policy_worlds as world
import pytest
from audit_events import NOW, POLICIES, event, lines, parts
from click.testing import CliRunner
from declared_machines import client, robot, workload
from hypothesis import assume, given
from hypothesis import strategies as st
from slow_properties import slow_examples
from some_ceilings import ceiling

from tokenserver.cli import main
from tokenserver.exchange.audit_events import split
from tokenserver.exchange.audit_rulings import ruling_members
from tokenserver.exchange.rulings import Ruling, WorkloadFacts
from tokenserver.identity import Identity, Kind
from tokenserver.patterns import parse_pattern
from tokenserver.policy.decide import decide
from tokenserver.policy.index import build_index
from tokenserver.policy.machines.robots import Robot
from tokenserver.policy.machines.workloads import Workload
from tokenserver.policy.model import Context, Effect, Groups, PolicySet, Principals, Rule
from tokenserver.policy.queries import replay_audit_log as replay_module
from tokenserver.policy.queries.audit_log_parts import MAX_WAITING, EventParts
from tokenserver.policy.queries.replay_audit_log import replay
from tokenserver.scopes import Resource, Scope
from tokenserver.tokens.claims import Compat, Registry


def changes(*events: dict[str, Any], now: datetime | None = None) -> list[tuple[str, str, str, str, int]]:
    """Who, what, gained, lost, how often."""
    return [
        (
            change.subject,
            str(change.resource),
            ",".join(sorted(change.gained)),
            ",".join(sorted(change.lost)),
            seen.count,
        )
        for change, seen in replay(POLICIES, lines(*events), now=now).changes.items()
    ]


ANONYMOUS = {"subject": "", "kind": "anonymous", "groups": [], "source": ""}
CASES = [
    pytest.param(event("web/a:pull,push", "web/a:pull,push"), [], id="the-same"),
    pytest.param(event("web/a:pull"), [("ann", "repository:web/a", "pull", "", 1)], id="gained"),
    pytest.param(
        event("web/prod/a:pull,push", "web/prod/a:pull,push"),
        [("ann", "repository:web/prod/a", "", "push", 1)],
        id="lost",
    ),
    pytest.param(
        event("web/prod/a:pull,push", "web/prod/a:push"),
        [("ann", "repository:web/prod/a", "pull", "push", 1)],
        id="both",
    ),
    pytest.param(event("web/a:*", "web/a:pull,push"), [], id="star"),
    pytest.param(event("web/a:pull", groups=[]), [], id="without-the-group"),
    pytest.param(event("web/a:pull", "web/a:pull,push", grant="held"), [], id="held"),
    pytest.param(
        event("web/a:pull", "web/a:pull", grant="held"), [("ann", "repository:web/a", "push", "", 1)], id="held, gained"
    ),
    pytest.param(
        event("web/a:pull", "web/a:pull,push"), [("ann", "repository:web/a", "", "push", 1)], id="not held any more"
    ),
    pytest.param(event("public/a:pull", **ANONYMOUS), [("", "repository:public/a", "pull", "", 1)], id="anonymous"),
    pytest.param(event("public/a:pull"), [], id="logged-in-is-not-anonymous"),
    pytest.param(event("old:pull"), [("ann", "repository:old", "pull", "", 1)], id="at-its-own-time"),
    pytest.param(event("old:pull", time="2026-06-01T00:00:00Z"), [], id="at-its-own-later-time"),
    pytest.param(event("in:pull"), [("ann", "repository:in", "pull", "", 1)], id="from-its-address"),
    pytest.param(event("in:pull", client="192.0.2.1"), [], id="from-another-address"),
    pytest.param(event("in:pull", client=None), [], id="from-nowhere"),
    pytest.param(event("here:pull"), [("ann", "repository:here", "pull", "", 1)], id="at-its-registry"),
    pytest.param(event("here:pull", registry="other"), [], id="at-another-registry"),
    pytest.param(event("", outcome="login"), [], id="login"),
]


@pytest.mark.parametrize(("one", "expected"), CASES)
def test_an_exchange_is_decided_again_as_it_was(
    one: dict[str, Any], expected: list[tuple[str, str, str, str, int]]
) -> None:
    """Identity, address, registry and time are the event's own."""
    assert changes(one) == expected


def test_all_can_be_decided_as_at_one_time() -> None:
    """With `now`, a rule that has ended since grants nothing in the past either."""
    assert changes(event("old:pull"), now=NOW) == []


def test_equal_changes_are_one_with_times_and_rules() -> None:
    """The order of events does not matter; the deciding rules of the candidate are reported."""
    times = ("2026-05-02T00:00:00Z", "2026-05-01T00:00:00Z", "2026-05-03T00:00:00Z")
    report = replay(POLICIES, lines(*(event("web/a:pull", time=time) for time in times), event("web/b:pull")))
    first, second = report.changes.values()
    assert (first.count, first.first.day, first.last.day, first.rules) == (3, 1, 3, ("web",))
    assert (second.count, report.changed, report.decisions, report.exchanges) == (1, 4, 4, 4)


GARBAGE = [
    pytest.param(b"{", "no JSON", id="cut"),
    pytest.param(b"\xff\xfe", "no JSON", id="bytes"),
    pytest.param(b"[" * 100_000, "no JSON", id="deep"),
    pytest.param(b'{"a":' + b"9" * 5000 + b"}", "no JSON", id="long-number"),
    pytest.param(b"[1]", "no event", id="list"),
    pytest.param(b'"x"', "no event", id="text"),
    pytest.param(b'{"event":"shadow_difference"}', "another event", id="another-event"),
    pytest.param(b'{"event":["exchange"]}', "another event", id="event-as-list"),
    pytest.param(
        lines(event("web/a:pull", outcome="invalid_credentials"))[0],
        "an exchange that ended without a decision",
        id="failed",
    ),
    pytest.param(
        lines(event("web/a:pull", outcome="explained"))[0], "an exchange that ended without a decision", id="explained"
    ),
    pytest.param(
        lines(event("web/a:pull", outcome=["granted"]))[0],
        "an event with a field that cannot be read: outcome",
        id="outcome",
    ),
    pytest.param(lines(event("web/a:pull", kind="card"))[0], "an unknown kind of credential", id="kind"),
    pytest.param(lines(event("web/a:pull", kind="workload"))[0], "a workload without its claims", id="no claims"),
    pytest.param(
        lines(event("web/a:pull", kind="workload", claims=["x"]))[0],
        "an event with a field that cannot be read: claims",
        id="claims",
    ),
    pytest.param(
        lines(event("web/a:pull", kind="workload", claims={"ref": "x"}))[0],
        "an event with a field that cannot be read: claims",
        id="claim",
    ),
    pytest.param(
        lines(event("web/a:pull", subject=None))[0], "an event with a field that cannot be read: subject", id="subject"
    ),
    pytest.param(
        lines(event("web/a:pull", groups="web"))[0], "an event with a field that cannot be read: groups", id="groups"
    ),
    pytest.param(
        lines(event("web/a:pull", groups=[1]))[0], "an event with a field that cannot be read: groups", id="group"
    ),
    pytest.param(
        lines(event("web/a:pull", time="noon"))[0], "an event with a field that cannot be read: time", id="time"
    ),
    pytest.param(
        lines(event("web/a:pull", client="here"))[0], "an event with a field that cannot be read: client", id="client"
    ),
    pytest.param(
        lines(event("web/a:pull", asked=["x"]))[0], "an event with a field that cannot be read: asked", id="asked"
    ),
    pytest.param(
        lines(event("web/a:pull", granted=None))[0], "an event with a field that cannot be read: granted", id="granted"
    ),
]


@pytest.mark.parametrize(("line", "reason"), GARBAGE)
def test_what_cannot_be_replayed_is_counted(line: bytes, reason: str) -> None:
    """With the reason, and the other lines are replayed."""
    good = lines(event("web/a:pull"))[0]
    report = replay(POLICIES, [good, line, b"\n", good])
    assert (report.skipped, report.changed) == ({reason: 1}, 2)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.binary(max_size=40)
    | st.dictionaries(st.sampled_from(sorted(event("web/a:pull"))), JSON).map(
        lambda fields: lines(event("web/a:pull", **fields))[0]
    )
)
def test_no_line_stops_a_replay(line: bytes) -> None:
    """Any bytes, and any event with some fields replaced by anything."""
    report = replay(POLICIES, [line])
    assert report.exchanges + sum(report.skipped.values()) <= 1


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory only grows with the number of different changes, up to a limit."""
    monkeypatch.setattr(replay_module, "MAX_CHANGES", 50)
    events = [lines(event(f"web/a{number}:pull"))[0] for number in range(3000)]
    tracemalloc.start()
    report = replay(POLICIES, iter(events))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(report.changes), report.not_kept, report.changed) == (50, 2950, 3000)
    assert peak < 2_000_000


def test_every_kind_of_credential_is_known() -> None:
    """Every `kind` that the server writes can be replayed."""
    for kind in Kind:
        assert replay(POLICIES, lines(event("web/a:pull", kind=kind.value, claims={}))).exchanges == 1


def test_a_resource_of_the_registry_is_replayed() -> None:
    """The catalog, as any other resource."""
    one = event("", asked=["registry:catalog:*"], granted=["registry:catalog:*"])
    (change,) = replay(POLICIES, lines(one)).changes
    assert (change.resource, change.lost) == (Resource("registry", "catalog"), frozenset("*"))


# --- the command -----------------------------------------------------------------------------------------------------

POLICY = "version: 1\nallow:\n  - {id: web, to: ['group:web'], repositories: ['web/**'], role: reader}\n"


def run(folder: Path, log: bytes, *options: str) -> tuple[int, str, str]:
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "policies" / "p.yaml").write_text(POLICY)
    (folder / "audit.jsonl").write_bytes(log)
    arguments = ["policy", "replay", str(folder / "audit.jsonl"), "--policies", str(folder / "policies"), *options]
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.stdout, result.stderr


def test_the_command_says_when_nothing_changes(tmp_path: Path) -> None:
    """Exit code 0, and the number of decisions."""
    code, output, told = run(tmp_path, b"".join(lines(event("web/a:pull", "web/a:pull"))))
    assert (code, output) == (0, "")
    assert told == "0 of 1 decisions in 1 exchanges would change\n"


def test_the_command_tells_changes_and_what_it_left_out(tmp_path: Path) -> None:
    """Exit code 1; the most frequent first; names of a log cannot move a terminal's cursor."""
    often = lines(event("web/a:pull,push", "web/a:pull,push")) * 3
    log = b"".join([*lines(event("web/b:pull", subject="a\x1b[2J\ud800")), *often, b"x\n"])
    code, output, told = run(tmp_path, log)
    head, first, second = output.splitlines()
    assert code == 1
    assert head.split() == ["TIMES", "WHO", "GAINS", "LOSES", "WHERE", "LAST", "RULES", "NOW"]
    assert first.split() == ["3", "ann", "(web)", "-", "push", "reg", "web/a", "2026-05-01T12:00:00Z", "none"]
    assert "\\x1b[2J\\ud800" in second
    assert told.splitlines()[1] == "left out: 1 x no event"


def test_the_command_speaks_json(tmp_path: Path) -> None:
    """Every change with who, what, how often, from when to when, and the rules that decide now."""
    log = b"".join(lines(event("web/a:pull"), event("web/a:pull,push", "web/a:pull,push", **ANONYMOUS)))
    code, output, _ = run(tmp_path, log, "--json", "--now", "2026-06-01")
    facts = json.loads(output)
    assert (code, facts["exchanges"], facts["decisions"], facts["changed"], facts["not_listed"]) == (1, 2, 2, 2, 0)
    anonymous, ann = facts["changes"]
    assert (anonymous["as"], anonymous["lost"]) == ("anonymous", ["pull", "push"])
    assert ann == {
        "as": {"user": "ann", "groups": ["web"]},
        "registry": "reg",
        "resource": "repository:web/a",
        "gained": ["pull"],
        "lost": [],
        "count": 1,
        "first": "2026-05-01T12:00:00Z",
        "last": "2026-05-01T12:00:00Z",
        "rules": ["web"],
    }


def test_the_command_says_what_is_too_much_to_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many different changes are kept."""
    monkeypatch.setattr(replay_module, "MAX_CHANGES", 1)
    code, output, _ = run(tmp_path, b"".join(lines(event("web/a:pull"), event("web/b:pull"))))
    assert (code, output.splitlines()[-1]) == (1, "1 more decisions would change; these are too many to list")


@pytest.mark.parametrize("options", [["--now", "noon"], ["--policies", "nowhere"]], ids=["no-time", "no-folder"])
def test_the_command_refuses_wrong_use(tmp_path: Path, options: list[str]) -> None:
    """Exit code 2."""
    assert run(tmp_path, b"", *options)[0] == 2


def test_a_line_without_end_is_no_event(tmp_path: Path) -> None:
    """Nine megabytes without a newline are dropped, and the next line is read."""
    code, _, told = run(tmp_path, b"x" * 9_000_000 + b"\n" + lines(event("web/a:pull"))[0])
    assert (code, told) == (1, "1 of 1 decisions in 1 exchanges would change\n")


def test_an_exchange_in_parts_is_decided_as_one() -> None:
    """A group in the last part counts for a request in the first one; in any order, with other events between."""
    whole = parts(3)
    whole[2]["groups"] = ["web"]
    others = [event("web/a:pull", "web/a:pull"), *parts(1, "r2"), event("nowhere:pull")]
    for order in (whole, whole[::-1], [whole[1], others[0], whole[2], others[1], whole[0], others[2]]):
        report = replay(POLICIES, lines(*order))
        assert (report.changed, dict(report.skipped)) == (len([one for one in order if one == others[1]]), {})
        assert report.exchanges == len(order) - 2
    without = parts(3)
    assert replay(POLICIES, lines(*without)).changed == 3
    assert len(replay(POLICIES, lines(*without)).changes) == 3


def test_a_part_that_comes_twice_counts_once() -> None:
    """As in a log merged from two copies."""
    first, second = parts(2)
    report = replay(POLICIES, lines(first, first, second))
    assert (report.exchanges, report.decisions, dict(report.skipped)) == (1, 2, {})


def test_parts_that_are_missing() -> None:
    """Existing parts are counted and skipped; the number of incomplete exchanges is bounded."""
    many = [one for number in range(MAX_WAITING + 10) for one in parts(3, f"r{number}")[:2]]
    report = replay(POLICIES, lines(*parts(4, "x")[1:], *many))
    assert (report.exchanges, report.decisions) == (0, 0)
    assert report.skipped == {"a part of an event whose other parts are missing": 3 + len(many)}
    waiting = EventParts()
    for one in many:
        waiting.whole(one)
    assert len(waiting._waiting) == MAX_WAITING


def test_what_the_trail_splits_is_what_replay_puts_together() -> None:
    """The two halves agree: nothing that a decision needs is lost on the way."""
    asked = " ".join(f"web/{number}/{'x' * 200}:pull,push" for number in range(300))
    large = event(asked, asked, request_id="r1", groups=["web", *(f"{number}-{'x' * 250}" for number in range(500))])
    divided = split(large)
    assert len(divided) > 2
    report = replay(POLICIES, lines(*divided))
    assert (report.exchanges, report.decisions, report.changed, dict(report.skipped)) == (1, 300, 0, {})


def test_the_namespace_of_an_event() -> None:
    """It is what `${user}` was; an event without one is of a source that maps no names."""
    own = Rule.of("own", Effect.ALLOW, Principals(authenticated=True), [parse_pattern("users/${user}/x")], ["pull"])
    policies = PolicySet("", (), (own,), Groups.of_all([]), build_index([own]))
    events = [event("users/johndoe/x:pull", subject="JohnDoe", **more) for more in ({"namespace": "johndoe"}, {})]
    assert [len(replay(policies, lines(one)).changes) for one in events] == [1, 0]
    assert replay(policies, lines(event("a:pull", namespace=1))).skipped.total() == 1


def event_of(policies: PolicySet, identity: Identity, name: str, **more: Any) -> dict[str, Any]:
    """The event of an exchange, as the server writes it."""
    scope = Scope(Resource("repository", name), frozenset({"pull", "push"}))
    context = Context("registry", None, NOW)
    decision = decide(policies, identity, scope, context)
    registry = Registry("registry", "issuer", Compat.JWKS, 900)
    access = tuple(one for one in [decision.access] if one is not None)
    facts = WorkloadFacts.of(policies, identity)
    ruling = Ruling(registry, identity, (decision,), (), "", access, None, workload=facts)
    frame = {"time": NOW.isoformat(), "event": "exchange", "client": None, "outcome": "granted"}
    return {**frame, **json.loads(f"{{{ruling_members(ruling)}}}"), **more}


@slow_examples()
@given(machines.worlds, machines.worlds, machines.identities, world.names)
def test_machines_are_decided_again_as_they_were(old: PolicySet, new: PolicySet, identity: Identity, name: str) -> None:
    """By the same policies nothing changes. By others, what does is what they decide, for those whom they let in."""
    assume(machines.are_let_in(old, identity))
    line = lines(event_of(old, identity, name))
    same = replay(old, line)
    assert (same.exchanges, same.changed, dict(same.skipped)) == (1, 0, {})
    report = replay(new, line)
    if report.skipped:
        known = old.groups.workloads.deciding(identity.source)
        assert report.skipped == {"a workload without a claim that these policies ask for": 1}
        assert not new.groups.workloads.deciding(identity.source) <= known
        return
    scope = Scope(Resource("repository", name), frozenset({"pull", "push"}))
    before, after = (decide(each, identity, scope, Context("registry", None, NOW)).granted for each in (old, new))
    after = after if machines.are_let_in(new, identity) else frozenset()
    assert [(one.gained, one.lost) for one in report.changes] == (
        [(after - before, before - after)] * (before != after)
    )


RULE = Rule.of("r", Effect.ALLOW, Principals(everyone=True), [parse_pattern("web/**")], ["pull", "push"])
CI = robot("ci")
BRANCH = client(repo="1", sub="o/w")
RELEASE = workload("release", repo="1", env="prod")


@pytest.mark.parametrize(
    ("identity", "old", "new", "robots", "expected"),
    [
        pytest.param(CI, [], [], ["ci"], [], id="a robot"),
        pytest.param(CI, [], [], ["other"], ["pull", "push"], id="a robot that is not declared"),
        pytest.param(BRANCH, [workload("web", repo="1")], [workload("all", repo="1 2")], [], [], id="a workload"),
        pytest.param(
            BRANCH, [workload("web", repo="1")], [workload("web", repo="2")], [], ["pull", "push"], id="none of them"
        ),
        pytest.param(
            BRANCH,
            [workload("web", repo="1")],
            [workload("web", repo="2"), workload("x", repo="2", env="prod")],
            [],
            ["pull", "push"],
            id="a claim that is not known decides nothing",
        ),
        pytest.param(
            BRANCH,
            [workload("web", repo="1")],
            [workload("web", repo="1"), RELEASE],
            [],
            None,
            id="an unknown claim",
        ),
        pytest.param(
            BRANCH,
            [workload("web", repo="1"), RELEASE],
            [workload("web", repo="1"), RELEASE],
            [],
            [],
            id="a claim that the client does not have",
        ),
        pytest.param(
            BRANCH,
            [workload("web", repo="1")],
            [workload("web", repo="1"), workload("lab", "gitlab", env="x")],
            [],
            [],
            id="claims of other sources",
        ),
    ],
)
def test_machines(
    identity: Identity, old: list[Workload], new: list[Workload], robots: list[str], expected: list[str] | None
) -> None:
    """What a machine loses that the policies do not declare; None: the event does not tell which workloads it is."""
    one = event_of(machines.policy_set([RULE], (), old), identity, "web/a")
    report = replay(machines.policy_set([RULE], (), new, robots), lines(one, one))
    if expected is None:
        assert dict(report.skipped) == {"a workload without a claim that these policies ask for": 2}
    else:
        assert [sorted(change.lost) for change in report.changes] == ([expected] if expected else [])
        assert report.skipped.total() == 0


def test_what_is_undecided_is_remembered_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which changes nothing."""
    monkeypatch.setattr(replay_module, "MAX_CHANGES", 1)
    old, new = (machines.policy_set([RULE], (), some) for some in ([workload("web", repo="*")], [RELEASE]))
    events = [event_of(old, client(repo=repo), "web/a") for repo in ("1", "2", "1", "3")]
    report = replay(new, lines(*events))
    assert (report.skipped.total(), report.changed) == (2, 2)


def test_the_event_of_a_machine() -> None:
    """The id of its credential, its sort, what it is, and the claims that decided; no other claims."""
    policies = machines.policy_set([RULE], (), [workload("web", repo="1"), RELEASE])
    found = event_of(policies, BRANCH, "web/a")
    assert (found["subject"], found["source"], found["kind"]) == ("workload:github:o/w", "github", "workload")
    assert (found["sort"], found["workloads"], found["claims"]) == ("workload", ["web"], {"env": [], "repo": ["1"]})
    found = event_of(policies, replace(CI, credential="3f9K2mQx7LbT"), "web/a")
    assert (found["sort"], found["credential"], "claims" in found) == ("robot", "3f9K2mQx7LbT", False)


def test_a_large_event_of_a_workload_in_parts() -> None:
    """Its claims are divided among the parts, and joined again."""
    policies = machines.policy_set([RULE], (), [workload("web", repo="1")])
    identity = client(repo=" ".join(map(str, range(3000))))
    divided = split({"request_id": "r1", **event_of(policies, identity, "web/a")}, size=8 * 1024)
    assert len(divided) > 2
    report = replay(policies, lines(*divided))
    assert (report.exchanges, report.changed, dict(report.skipped)) == (1, 0, {})


def test_the_command_names_machines_as_tests_do(tmp_path: Path) -> None:
    """`as:` has the robot, or the source and the claims of the workload."""
    old = machines.policy_set([RULE], (), [workload("web", repo="1")])
    log = b"".join(lines(*(event_of(old, one, "web/a") for one in (CI, BRANCH))))
    _, output, _ = run(tmp_path, log, "--json")
    assert [one["as"] for one in json.loads(output)["changes"]] == [
        {"robot": "ci"},
        {"workload": {"from": "github", "claims": {"repo": ["1"]}}, "subject": "workload:github:o/w"},
    ]


@pytest.mark.parametrize("kind", [Kind.KEY, Kind.ROBOT])
def test_a_narrowed_key_is_decided_again_within_its_limits(kind: Kind) -> None:
    """By the policies of its own time nothing changes; an event whose limits cannot be read is skipped."""
    subject = "ann" if kind is Kind.KEY else "robot:ci"
    identity = Identity(
        subject, kind, credential="0" * 12, via="key", owner=subject, ceiling=ceiling(("web/**", "pull"))
    )
    everything, actions = (parse_pattern("**"),), frozenset({"pull", "push"})
    whole = Rule("r", "f", 1, Effect.ALLOW, "repository", everything, actions, Principals(everyone=True))
    policies = PolicySet("", (), (whole,), Groups.of_all([]), build_index((whole,)), robots={"ci": Robot("ci")})
    found = event_of(policies, identity, "web/x")
    assert found["granted"] == ["repository:web/x:pull"]
    report = replay(policies, lines(found))
    assert (report.exchanges, report.changed) == (1, 0)
    report = replay(policies, lines({**found, "ceiling": "{}"}))
    assert dict(report.skipped) == {"an event with a field that cannot be read: ceiling": 1}
