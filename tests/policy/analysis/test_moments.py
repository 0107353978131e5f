"""No test is a time bomb: whether one holds, and so whether files load, does not depend on the clock."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import policy_worlds as world
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_files import NOW, load_faults

from tokenserver.identity import Identity, Kind
from tokenserver.patterns import parse_pattern
from tokenserver.policy.analysis.moments import EARLIEST, example, spell_times
from tokenserver.policy.decide import decide
from tokenserver.policy.model import Context, PolicySet
from tokenserver.policy.terms import parse_principal
from tokenserver.policy.testing.assertions import run_test
from tokenserver.policy.testing.expectations import AsTest, Expectation, Setting, Test, WhatTest, WhoTest
from tokenserver.policy.testing.spans import Span
from tokenserver.scopes import Resource, Scope

POLICY = """\
version: 1
groups: {web: {users: [ann], groups: [web-devs]}}
allow:
  - {id: web, to: ["group:web"], repositories: ["web/**"], role: writer}
  - {id: agency, to: ["user:kim"], repositories: ["web/app"], role: writer, when: {until: 2027-01-01}}
  - {id: past, to: ["user:old"], repositories: ["web/app"], role: reader, when: {until: 2025-01-01}}
  - {id: staging, to: ["user:kim"], repositories: ["stage"], role: reader}
deny:
  - id: freeze
    to: [everyone]
    repositories: ["web/prod/**"]
    actions: [push]
    when: {since: 2026-12-20, until: 2027-01-07}
tests:
  - {TEST}
"""


def failures(folder: Path, test: str, now: datetime = NOW) -> list[str]:
    """What loading says with this one test in the file."""
    faults = load_faults(folder, POLICY.replace("{TEST}", f"{{{test}}}"), now)
    return [f"{fault.path}: {fault.message}" for fault in faults]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        pytest.param(
            "as: {user: kim}, can: [pull web/app, push web/app]",
            "can[0]: test failed: expected that user kim can pull web/app, which depends on the moment (true until "
            "2027-01-01, false from 2027-01-01 on, by agency (a.yaml:5)); fix: add at:, "
            "for example at: 2026-12-31",
            id="can-until",
        ),
        pytest.param(
            "as: {user: ann}, can: [push web/prod/x]",
            "can[0]: test failed: expected that user ann can push web/prod/x, which depends on the moment (true until "
            "2026-12-20, false from 2026-12-20 until 2027-01-07, true from 2027-01-07 on, by freeze (a.yaml:9)); "
            "fix: add at:, for example at: 2026-12-19",
            id="can-but-for-a-freeze",
        ),
        pytest.param(
            "as: {user: ann}, cannot: [push web/prod/x]",
            "cannot[0]: test failed: expected that user ann cannot push web/prod/x, which depends on the moment "
            "(false until 2026-12-20, true from 2026-12-20 until 2027-01-07, false from 2027-01-07 on, by freeze "
            "(a.yaml:9)); fix: add at:, for example at: 2027-01-06",
            id="cannot-while-frozen",
        ),
        pytest.param(
            "as: {user: old}, cannot: [pull web/app]",
            "cannot[0]: test failed: expected that user old cannot pull web/app, which depends on the moment "
            "(false until 2025-01-01, true from 2025-01-01 on, by past (a.yaml:6)); fix: add at:, "
            "for example at: 2025-01-01",
            id="what-is-past-turns-with-a-clock-that-is-wrong",
        ),
        pytest.param(
            'who_can: pull web/app, includes: ["user:kim"]',
            ": test failed: expected that who can pull web/app: includes user:kim, which depends on the moment "
            "(true until 2027-01-01, false from 2027-01-01 on, by agency (a.yaml:5)); "
            "fix: add at:, for example at: 2026-12-31",
            id="includes",
        ),
        pytest.param(
            'who_can: pull web/app, excludes: ["user:kim"]',
            "(false until 2027-01-01, true from 2027-01-01 on, by agency (a.yaml:5)); "
            "fix: add at:, for example at: 2027-01-01",
            id="excludes",
        ),
        pytest.param(
            'who_can: pull web/app, exactly: ["group:web", "user:kim"]',
            "but user:kim is not among them (at 2027-01-01): no allow rule applies; user:old can: it is allowed by "
            'past (a.yaml:6); the answer now is exactly: ["group:web", {to: "user:kim", when: {until: '
            '"2027-01-01"}}, {to: "user:old", when: {until: "2025-01-01"}}] (or add at:)',
            id="exactly",
        ),
        pytest.param(
            'what_can: "user:kim", exactly: [pull stage, "pull,push web/app"]',
            "which depends on the moment (true until 2027-01-01, false from 2027-01-01 on, by agency (a.yaml:5)); ",
            id="what-can",
        ),
    ],
)
def test_it_must_say_when(tmp_path: Path, test: str, expected: str) -> None:
    """Told today, and at any other moment just so."""
    told = [failures(tmp_path, test, datetime(year, 1, 1, tzinfo=UTC)) for year in (2020, 2026, 2030)]
    assert expected in told[0][0]
    assert told[0] == told[1] == told[2]


@pytest.mark.parametrize(
    "test",
    [
        pytest.param("as: {user: kim}, at: 2026-12-31, can: [push web/app]", id="at"),
        pytest.param("as: {user: kim}, at: 2027-01-01, cannot: [push web/app]", id="at-the-end"),
        pytest.param("as: {user: kim}, can: [pull stage], cannot: [push stage, push web/x]", id="other-names"),
        pytest.param("as: {user: kim}, cannot: [delete web/app]", id="other-actions-of-the-same-name"),
        pytest.param("as: {user: ann}, can: [pull web/prod/x, push web/app]", id="other-people"),
        pytest.param("as: {user: kim}, cannot: [push web/prod/x]", id="denied-for-a-while-and-never-allowed"),
        pytest.param("as: anonymous, cannot: [push web/prod/x]", id="anonymous"),
        pytest.param('who_can: push web/app, includes: ["group:web"], excludes: ["user:eve"]', id="who"),
        pytest.param('who_can: push web/app, at: 2027-01-01, exactly: ["group:web"]', id="exactly-at"),
        pytest.param(
            'who_can: push web/app, exactly: ["group:web", {to: "user:kim", when: {until: 2027-01-01}}]',
            id="exactly-with-its-condition",
        ),
        pytest.param('what_can: "user:ann", at: 2026-01-01, exactly: ["pull,push web/**"]', id="what-at"),
        pytest.param("what_can: anonymous, exactly: []", id="what"),
    ],
)
def test_what_time_does_not_decide_needs_no_moment(tmp_path: Path, test: str) -> None:
    """Not whether a rule with a time is near counts, but whether the outcome would be another."""
    for year in (2020, 2026, 2030):
        assert failures(tmp_path, test, datetime(year, 1, 1, tzinfo=UTC)) == []


def test_each_item_is_told_apart(tmp_path: Path) -> None:
    """One that fails at any time fails as ever; one that time decides is told so."""
    found = failures(tmp_path, "as: {user: kim}, can: [push web/app, delete web/app, pull stage]")
    assert [text.partition(":")[0] for text in found] == ["tests[0].can[0]", "tests[0].can[1]"]
    assert "depends on the moment" in found[0]
    assert found[1].endswith("user kim can delete web/app, but no allow rule applies")


_settings = st.builds(
    Setting, st.just(None), st.sampled_from([None, None, *world.TIMES]), st.sampled_from(world.ADDRESSES)
)
_scopes = st.builds(
    lambda name, action: Scope(Resource("repository", name), frozenset({action})), world.names, st.just("pull")
)
_answers = st.frozensets(
    st.sampled_from(world.PRINCIPALS).map(lambda text: frozenset({parse_principal(text)})), min_size=1
)
_tests: st.SearchStrategy[Test] = st.one_of(
    st.builds(
        lambda identity, scope, granted, setting: AsTest(identity, (Expectation((), scope, granted),), setting),
        world.identities,
        _scopes,
        st.booleans(),
        _settings,
    ),
    st.builds(
        WhoTest,
        st.just(()),
        _scopes,
        st.sampled_from(["includes", "excludes"]),
        _answers,
        st.just(Kind.PASSWORD),
        _settings,
    ),
    st.builds(
        WhatTest,
        st.just(()),
        st.sampled_from([one for one in world.PRINCIPALS if one != "everyone"]).map(parse_principal),
        st.just(frozenset()),
        st.lists(
            st.sampled_from(["a", "*", "a/*", "**"]).map(
                lambda text: Span(frozenset({"pull"}), "repository", parse_pattern(text))
            ),
            max_size=1,
        ).map(tuple),
        _settings,
    ),
)


@settings(deadline=None)  # one example is much work, and a busy machine is no failure
@given(world.worlds, _tests)
def test_the_outcome_does_not_depend_on_the_clock(policies: PolicySet, test: Test) -> None:
    """The same tests pass in any year, so that no restart fails where a start did not."""
    told = [[one.expected for one in run_test(policies, test, "registry", now)] for now in world.TIMES]
    assert told[0] == told[1] == told[2]


@settings(deadline=None)
@given(world.worlds, world.identities, world.names, st.booleans(), st.sampled_from(world.ADDRESSES))
def test_it_passes_exactly_if_it_holds_always(
    policies: PolicySet, identity: Identity, name: str, granted: bool, client: object
) -> None:
    """Neither a test that would turn passes, nor is one refused that would not."""
    scope = Scope(Resource("repository", name), frozenset({"pull"}))
    contexts = [context for context in world.CONTEXTS if context.client == client]
    holds = [bool(decide(policies, identity, scope, context).granted) is granted for context in contexts]
    test = AsTest(identity, (Expectation((), scope, granted),), Setting(client=contexts[0].client))
    (told, *_) = [list(run_test(policies, test, "registry", now)) for now in world.TIMES]
    assert (told == []) is all(holds)
    assert any("depends on the moment" in one.message for one in told) is (any(holds) and not all(holds))


def test_a_border_at_the_beginning_of_time() -> None:
    """There is no moment before it, and none is made up."""
    near = EARLIEST.replace(hour=1)
    assert example([EARLIEST, near], [True, False]) == "0001-01-01"
    assert (
        spell_times([EARLIEST, near], [False, True])
        == "false until 0001-01-01T01:00:00Z, true from 0001-01-01T01:00:00Z on"
    )
    assert Context("r", None, EARLIEST).now.tzinfo is UTC
