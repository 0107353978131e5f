"""Equivalence of answers to "who can?", checked against all clients of small worlds and in single cases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from itertools import product
from pathlib import Path

import policy_worlds as world
import pytest
import rich_worlds as rich
import tree_machines as machines
from hypothesis import given
from hypothesis import strategies as st
from policy_files import NOW, load_faults
from slow_properties import slow_examples

from tokenserver.documents.document import parse
from tokenserver.errors import LoadError
from tokenserver.identity import Identity, Kind, Sort
from tokenserver.policy.analysis.conditions import Given
from tokenserver.policy.budget import Budget, TooComplex
from tokenserver.policy.decide import decide
from tokenserver.policy.index import build_index
from tokenserver.policy.loading.loader import load_policies
from tokenserver.policy.model import Condition, Context, PolicySet, Principal
from tokenserver.policy.networks import Network
from tokenserver.policy.principals import AllOf
from tokenserver.policy.queries.equivalence import Agreement, filled_in
from tokenserver.policy.queries.spelling import spell_lines
from tokenserver.policy.queries.who_can import Line, People, Unless, holders
from tokenserver.policy.queries.who_can_report import people_of
from tokenserver.policy.syntax.file import read_policy_file
from tokenserver.policy.terms import parse_principal
from tokenserver.policy.testing.assertions import run_test
from tokenserver.policy.testing.expectations import WhoTest
from tokenserver.scopes import Resource, Scope

OPEN = Given("registry")
CONTEXTS = [*world.CONTEXTS, *(Context("registry", ip_address("2001:db8::1"), now) for now in world.TIMES)]
EVERYWHERE = list(product(world.EVERYBODY, CONTEXTS))


def is_one(policies: PolicySet, identity: Identity, principal: Principal) -> bool:
    """Whether the identity is the principal, by the words of the contract."""
    match principal.sort:
        case "robot" | "robots" | "workload" | "workloads":
            return machines.is_one(policies, identity, str(principal))
        case "user":
            return not identity.is_anonymous and identity.subject == principal.name
        case "group":
            return principal.name in policies.groups.holding(identity)
        case "anonymous":
            return identity.is_anonymous
        case _:
            return identity.kind is Kind.PASSWORD


def lets(policies: PolicySet, line: Line, identity: Identity, context: Context) -> bool:
    """Whether a line lets the client, read by the words of docs/policies.md."""

    def means(who: AllOf, excepted: AllOf) -> bool:
        return all(is_one(policies, identity, one) for one in who) and not any(
            is_one(policies, identity, one) for one in excepted
        )

    def holds(when: Condition, *, unknown: bool) -> bool:
        def is_in(networks: Iterable[Network]) -> bool:
            return any(context.client in network for network in networks if context.client is not None)

        is_asked = bool(when.networks or when.outside)
        is_near = (not when.networks or is_in(when.networks)) and not is_in(when.outside)
        return (
            (unknown or not is_asked if context.client is None else is_near)
            and (when.since is None or when.since <= context.now)
            and (when.until is None or context.now < when.until)
            and (not when.kinds or identity.kind in when.kinds)
        )

    return (
        means(line.who, line.excepted)
        and holds(line.when, unknown=False)
        and not any(means(one.who, one.excepted) and holds(one.when, unknown=True) for one in line.unless)
    )


def said(
    policies: PolicySet, lines: Sequence[Line], everywhere: Sequence[tuple[Identity, Context]] = EVERYWHERE
) -> list[bool]:
    return [any(lets(policies, line, identity, context) for line in lines) for identity, context in everywhere]


def decided(policies: PolicySet, name: str, everywhere: Sequence[tuple[Identity, Context]] = EVERYWHERE) -> list[bool]:
    scope = Scope(Resource("repository", name), frozenset({"pull"}))
    return [bool(decide(policies, identity, scope, context).granted) for identity, context in everywhere]


def found_for(policies: PolicySet, name: str) -> tuple[Line, ...]:
    return holders(policies, "pull", Resource("repository", name), OPEN)


def compared(
    policies: PolicySet, budget: Budget | None = None, kind: Kind = Kind.PASSWORD, lines: Sequence[Line] | None = None
) -> Agreement:
    context = Context("registry", None, NOW)
    people = People(policies, budget) if lines is None else people_of(policies, lines, budget)
    return Agreement(people, kind, context, any_time=True, any_address=True)


PRINCIPALS = [Principal("authenticated"), Principal("anonymous"), *map(parse_principal, world.PRINCIPALS[3:])]
_some = st.frozensets(st.sampled_from(PRINCIPALS), max_size=1)
_when = st.sampled_from(
    [
        Condition(),
        Condition((ip_network("10.0.0.0/8"),)),
        Condition((ip_network("10.0.0.0/16"), ip_network("192.0.2.0/24"))),
        Condition(since=datetime(2025, 1, 1, tzinfo=UTC)),
        Condition(until=datetime(2026, 6, 1, tzinfo=UTC)),
    ]
)
_unless = st.builds(Unless, _some, _some, _when, st.just(""))
_lines = st.builds(
    Line,
    st.frozensets(st.sampled_from(PRINCIPALS), min_size=1, max_size=2),
    _some,
    _when,
    st.just(""),
    st.frozensets(_unless, max_size=1),
)


# One example is much work, and a busy machine is no failure.
@slow_examples(most=50_000)
@given(world.worlds, world.names, st.lists(_lines, max_size=3), st.data())
def test_two_answers_agree_where_they_let_the_same_clients(
    policies: PolicySet, name: str, made_up: list[Line], data: st.DataObject
) -> None:
    """Tests, the command and decisions agree for every client, everywhere and at any time.

    What is expected is the true answer with some of its lines changed for others, so that both outcomes are met.
    """
    found = found_for(policies, name)
    kept = data.draw(st.lists(st.sampled_from(found), unique=True)) if found else []
    expected = data.draw(st.sampled_from([[*found], [*kept, *made_up], made_up]))
    agreement, truth, told = compared(policies), decided(policies, name), said(policies, expected)
    assert said(policies, found) == truth
    unexpected, missing = list(agreement.strays(found, expected)), list(agreement.strays(expected, found))
    assert (not unexpected) is not any(is_so and not is_told for is_so, is_told in zip(truth, told, strict=True))
    assert (not missing) is not any(is_told and not is_so for is_so, is_told in zip(truth, told, strict=True))
    for strays, right, wrong in ((unexpected, found, expected), (missing, expected, found)):
        for stray in strays:
            sides = [any(lets(policies, one, stray.identity, stray.context) for one in side) for side in (right, wrong)]
            assert sides == [True, False]


MACHINES = [Principal("authenticated"), Principal("anonymous"), *map(parse_principal, machines.PRINCIPALS[4:])]
_machine = st.frozensets(st.sampled_from(MACHINES), max_size=1)
_machine_when = st.builds(lambda one, kinds: replace(one, kinds=kinds), _when, st.sampled_from(machines.KINDS))
_machine_lines = st.builds(
    Line,
    st.frozensets(st.sampled_from(MACHINES), min_size=1, max_size=2),
    _machine,
    _machine_when,
    st.just(""),
    st.frozensets(st.builds(Unless, _machine, _machine, _machine_when, st.just("")), max_size=1),
)
KINDS = [Kind.PASSWORD, Kind.PASSWORD, Kind.ROBOT, Kind.WORKLOAD]


# One example is much work, and a busy machine is no failure.
@slow_examples(most=50_000)
@given(machines.worlds, machines.names, st.lists(_machine_lines, max_size=3), st.sampled_from(KINDS), st.data())
def test_two_answers_agree_where_they_let_the_same_machines(
    policies: PolicySet, name: str, made_up: list[Line], kind: Kind, data: st.DataObject
) -> None:
    """Likewise for every robot and workload; where the question is about a kind of machines, for those alone."""
    found = found_for(policies, name)
    kept = data.draw(st.lists(st.sampled_from(found), unique=True)) if found else []
    expected = data.draw(st.sampled_from([[*found], [*kept, *made_up], made_up]))
    clients = [one for one in machines.everybody(policies) if kind is Kind.PASSWORD or one.kind is kind]
    everywhere = [*product(clients, CONTEXTS[::2])]
    agreement = compared(policies, kind=kind, lines=[*found, *expected])
    truth, told = decided(policies, name, everywhere), said(policies, expected, everywhere)
    assert said(policies, found, everywhere) == truth
    unexpected, missing = list(agreement.strays(found, expected)), list(agreement.strays(expected, found))
    if any(is_so and not is_told for is_so, is_told in zip(truth, told, strict=True)):
        assert unexpected
    if any(is_told and not is_so for is_so, is_told in zip(truth, told, strict=True)):
        assert missing
    for strays, right, wrong in ((unexpected, found, expected), (missing, expected, found)):
        for stray in strays:
            assert kind is Kind.PASSWORD or stray.identity.kind is kind
            sides = [any(lets(policies, one, stray.identity, stray.context) for one in side) for side in (right, wrong)]
            assert sides == [True, False]
            assert is_client(policies, stray.identity, clients)


def is_client(policies: PolicySet, identity: Identity, clients: Sequence[Identity]) -> bool:
    """Whether there is such a client; people can have any groups."""
    if identity.sort is Sort.USER:
        return True
    held = policies.groups.holding(identity)
    return any(
        one.kind is identity.kind and one.source in ("", identity.source) and policies.groups.holding(one) == held
        for one in clients
    )


def without(policies: PolicySet, rule_id: str) -> PolicySet:
    rules = tuple(rule for rule in policies.rules if rule.id != rule_id)
    return replace(policies, rules=rules, index=build_index(rules))


def advised(policies: PolicySet, name: str, lines: Sequence[Line]) -> WhoTest:
    """The test suggested for these lines, as read from a file."""
    text = f"version: 1\ntests:\n  - {{who_can: pull {name}, {spell_lines(People(policies), lines)}}}\n"
    file = read_policy_file(parse(text, "a.yaml"))
    assert file.faults == []
    (test,) = file.tests
    assert isinstance(test, WhoTest)
    return test


# One example is much work, and a busy machine is no failure.
@slow_examples(most=33_333)
@given(world.worlds, world.names)
def test_the_spelling_that_is_advised_holds_until_a_rule_matters(policies: PolicySet, name: str) -> None:
    """It passes as it is; with any rule taken away it fails, unless nobody gains or loses anything by that."""
    found = found_for(policies, name)
    test = advised(policies, name, found)
    assert list(run_test(policies, test, "registry", NOW)) == []
    before = decided(policies, name)
    for rule in policies.rules:
        changed = without(policies, rule.id)
        failures = list(run_test(changed, test, "registry", NOW))
        lines = found_for(changed, name)
        is_lenient = filled_in(People(changed), test.lines, lines) != list(test.lines)
        if decided(changed, name) == before:
            assert failures == []
        elif not is_lenient:
            assert len(failures) == 1


# One example is much work, and a busy machine is no failure.
@slow_examples(most=33_333)
@given(machines.worlds, machines.names)
def test_the_spelling_with_machines_holds_until_a_rule_matters(policies: PolicySet, name: str) -> None:
    """A test that is advised passes; it fails if a robot or workload gains or loses anything."""
    found = found_for(policies, name)
    test = advised(policies, name, found)
    everywhere = [*product(machines.everybody(policies), CONTEXTS[::2])]
    assert said(policies, test.lines, everywhere) == said(policies, found, everywhere)
    assert list(run_test(policies, test, "registry", NOW)) == []
    before = decided(policies, name, everywhere)
    for rule in policies.rules:
        changed = without(policies, rule.id)
        if decided(changed, name, everywhere) != before:
            is_lenient = filled_in(People(changed), test.lines, found_for(changed, name)) != list(test.lines)
            assert is_lenient or len(list(run_test(changed, test, "registry", NOW))) == 1


ANYBODY = list(product(rich.EVERYBODY, CONTEXTS))


# One example is much work, and a busy machine is no failure.
@slow_examples(most=33_333)
@given(rich.worlds, rich.names)
def test_the_spelling_with_every_word_holds_until_a_rule_matters(policies: PolicySet, name: str) -> None:
    """With `not`, captures, and variables inside segments: a test fails if somebody gains or loses anything."""
    test = advised(policies, name, found_for(policies, name))
    assert list(run_test(policies, test, "registry", NOW)) == []
    before = decided(policies, name, ANYBODY)
    for rule in policies.rules:
        changed = without(policies, rule.id)
        failures = list(run_test(changed, test, "registry", NOW))
        is_lenient = filled_in(People(changed), test.lines, found_for(changed, name)) != list(test.lines)
        if decided(changed, name, ANYBODY) != before and not is_lenient:
            assert len(failures) == 1


FOLDER = """\
version: 1
groups:
  pair: {users: [pat, kim]}
allow:
  - {id: all, to: [authenticated], repositories: ["web/**"], role: writer}
  - {id: office, to: [everyone], repositories: [office], role: reader, when: {from: [10.0.0.0/8]}}
  - {id: season, to: ["group:web"], repositories: [season], role: reader, when: {until: 2027-01-01}}
  - {id: pairs, to: ["group:web"], except: ["group:pair"], repositories: [pairs], role: reader}
  - {id: night, to: ["group:web"], repositories: [night], role: reader}
  - {id: open, to: [everyone], repositories: [open], role: reader}
deny:
  - {id: no-eve, to: ["user:eve"], repositories: ["web/**", open], actions: [push, pull]}
  - {id: no-bob, to: ["user:bob"], except: ["group:ops"], repositories: [night], actions: ["*"]}
  - {id: no-night, to: ["group:b"], repositories: [night], actions: ["*"], when: {from: [192.0.2.0/24]}}
tests:
  - {TEST}
"""


def failures(folder: Path, test: str, text: str = FOLDER) -> list[str]:
    """The faults of loading with this one test."""
    faults = load_faults(folder, text.replace("{TEST}", f"{{{test}}}"))
    return [fault.message.removeprefix("test failed: ") for fault in faults]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A policy folder for one file."""
    path = tmp_path / "policies"
    path.mkdir(mode=0o755)
    return path


def test_an_exception_by_user_is_compared(folder: Path) -> None:
    """Without it in the test, the test fails and says how to write it; with it, it fails once the deny is gone."""
    assert failures(folder, "who_can: push web/x, exactly: [authenticated]") == [
        (
            "who can push web/x: expected exactly authenticated, but user:eve is not among them: it is forbidden "
            'by no-eve (a.yaml:12); the answer now is exactly: [authenticated], except: ["user:eve"]'
        )
    ]
    right = 'who_can: push web/x, exactly: [authenticated], except: ["user:eve"]'
    assert failures(folder, right) == []
    without_deny = FOLDER.replace('["web/**", open], actions: [push, pull]', '["other/**"], actions: [push]')
    assert failures(folder, right, without_deny) == [
        (
            'who can push web/x: expected exactly: [authenticated], except: ["user:eve"], but user:eve can: '
            "it is allowed by all (a.yaml:5); the answer now is exactly: [authenticated]"
        )
    ]


@pytest.mark.parametrize(
    "test",
    [
        pytest.param('who_can: push web/x, exactly: [{to: authenticated, except: ["user:eve"]}]', id="in-the-entry"),
        pytest.param('who_can: pull open, exactly: [everyone], except: ["user:eve"]', id="everyone"),
        pytest.param(
            'who_can: pull open, exactly: [anonymous, {to: authenticated, except: ["user:eve"]}]', id="everyone-apart"
        ),
        pytest.param('who_can: pull pairs, exactly: ["group:web"], except: ["group:pair"]', id="group-excepted"),
        pytest.param('who_can: pull pairs, exactly: ["group:web"], except: ["user:pat", "user:kim"]', id="its-users"),
        pytest.param("who_can: pull office, exactly: [{to: everyone, when: {from: [10.0.0.0/8]}}]", id="from"),
        pytest.param(
            "who_can: pull office, exactly: [{to: everyone, when: {from: [10.0.0.0/9, 10.128.0.0/9]}}]",
            id="from-halves",
        ),
        pytest.param("who_can: pull office, from: 10.0.0.1, exactly: [everyone]", id="from-that-is-said"),
        pytest.param("who_can: pull office, from: 192.0.2.1, exactly: []", id="from-elsewhere"),
        pytest.param('who_can: pull season, exactly: [{to: "group:web", when: {until: 2027-01-01}}]', id="until"),
        pytest.param('who_can: pull season, at: 2026-12-31, exactly: ["group:web"]', id="at"),
        pytest.param("who_can: pull season, at: 2027-01-01, exactly: []", id="at-the-end"),
        pytest.param(
            "who_can: pull night, exactly: [{to: 'group:web', unless: [{to: 'user:bob', except: ['group:ops']}, "
            "{to: 'group:b', when: {from: 192.0.2.0/24}}]}]",
            id="unless",
        ),
        pytest.param(
            "who_can: pull night, from: 10.0.0.1, exactly: [{to: 'group:web', except: ['user:bob']}, "
            "'group:web & group:ops']",
            id="unless-as-two-entries",
        ),
    ],
)
def test_what_is_so_passes(folder: Path, test: str) -> None:
    """In any spelling: only the clients, times and addresses count."""
    assert failures(folder, test) == []


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        pytest.param(
            'who_can: push web/x, exactly: [authenticated], except: ["user:eve", "user:ann"]',
            'expected exactly: [authenticated], except: ["user:ann", "user:eve"], but user:ann can: it is allowed by '
            'all (a.yaml:5); the answer now is exactly: [authenticated], except: ["user:eve"]',
            id="one-exception-too-many",
        ),
        pytest.param(
            "who_can: pull office, exactly: []",
            "expected exactly nobody, but anonymous can (from 10.0.0.0): it is allowed by office (a.yaml:6); "
            "authenticated can (from 10.0.0.0): it is allowed by office (a.yaml:6); the answer now is "
            'exactly: [{to: everyone, when: {from: ["10.0.0.0/8"]}}] (or add from:)',
            id="a-condition-is-not-nobody",
        ),
        pytest.param(
            'who_can: pull season, exactly: ["group:web"]',
            "expected exactly group:web, but group:web is not among them (at 2027-01-01): no allow rule applies; "
            'the answer now is exactly: [{to: "group:web", when: {until: "2027-01-01"}}] (or add at:)',
            id="a-time-bomb",
        ),
        pytest.param(
            'who_can: pull season, exactly: [{to: "group:web", when: {until: 2028-01-01}}]',
            'expected exactly: [{to: "group:web", when: {until: "2028-01-01"}}], but group:web is not among them '
            "(at 2027-01-01): no allow rule applies; "
            'the answer now is exactly: [{to: "group:web", when: {until: "2027-01-01"}}] (or add at:)',
            id="another-time",
        ),
        pytest.param(
            "who_can: pull night, exactly: ['group:web']",
            "expected exactly group:web, but group:b & group:web is not among them: it is forbidden by no-night "
            '(a.yaml:14); the answer now is exactly: [{to: "group:web", unless: [{to: "group:b", when: {from: '
            '["192.0.2.0/24"]}}, {to: "user:bob", except: ["group:ops"]}]}] (or add from:)',
            id="unless",
        ),
    ],
)
def test_what_is_not_so_fails(folder: Path, test: str, expected: str) -> None:
    """With a counterexample and the right spelling."""
    (found,) = failures(folder, test)
    assert expected in found


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        pytest.param("includes: [everyone], except: ['user:x']", "except: goes with exactly: alone", id="includes"),
        pytest.param("exactly: [{except: ['user:x']}]", "exactly[0]: to is missing; for example", id="no-to"),
        pytest.param("exactly: [{to: [everyone]}]", "exactly[0].to: must be text, not a list", id="list"),
        pytest.param("exactly: [{to: evryone}]", "exactly[0].to: 'evryone': must be", id="misspelt"),
        pytest.param(
            "exactly: [{to: everyone, wen: {}}]", "exactly[0].wen: unknown key; did you mean 'when'?", id="key"
        ),
        pytest.param("exactly: [{to: everyone, when: {}}]", "exactly[0].when: is empty", id="empty-when"),
        pytest.param("exactly: [{to: everyone, unless: []}]", "exactly[0].unless: is an empty list", id="no-unless"),
        pytest.param("exactly: [{to: everyone, unless: [all]}]", "unless[0]: must be a mapping", id="unless-text"),
        pytest.param("exactly: [{to: everyone, unless: [{to: all}]}]", "unless[0].to: 'all': must be", id="unless-to"),
        pytest.param("exactly: [{to: everyone, except: []}]", "exactly[0].except: is an empty list", id="no-except"),
        pytest.param("exactly: [7]", "exactly[0]: must be text, not a number", id="number"),
        pytest.param("exactly: [{}]", "exactly[0]: is empty", id="empty"),
    ],
)
def test_an_expectation_that_cannot_be_read(folder: Path, test: str, expected: str) -> None:
    """A fault at its place."""
    path = folder / "a.yaml"
    path.write_text(FOLDER.replace("{TEST}", f"{{who_can: pull web/x, {test}}}"))
    path.chmod(0o644)
    with pytest.raises(LoadError) as caught:
        load_policies(folder, now=NOW)
    assert expected in str(caught.value.faults[0])
    assert len(caught.value.faults) == 1


def test_who_is_meant_by_everyone_and_somebody(folder: Path) -> None:
    """`everyone` next to a name is redundant, and in `except:` excludes all clients."""
    assert failures(folder, 'who_can: pull season, at: 2026-12-31, exactly: ["everyone & group:web"]') == []
    assert failures(folder, "who_can: delete web/x, exactly: [everyone], except: [everyone]") == []
    assert failures(folder, "who_can: delete web/x, exactly: [{to: everyone, unless: [{except: ['group:zz']}]}]") == [
        (
            'who can delete web/x: expected exactly: [{to: everyone, unless: [{except: ["group:zz"]}]}], but '
            "group:zz is not among them: no allow rule applies; the answer now is exactly: []"
        )
    ]


def test_a_comparison_spends_the_budget_of_its_people() -> None:
    """A comparison that takes too many steps has no result."""
    policies = world.policy_set([], [])
    line = Line(frozenset({Principal("authenticated")}), frozenset(), Condition(), "")
    narrow = replace(line, excepted=frozenset(map(parse_principal, ["user:ann", "user:bob"])))
    budget = Budget(1)
    with pytest.raises(TooComplex, match="not decided within 1 steps, the limit for one question"):
        list(compared(policies, budget).strays([line], [narrow]))
    assert budget.is_spent
