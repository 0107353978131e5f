"""`who_can` tests: what fails, what is said of it, and what decides."""

from __future__ import annotations

from collections.abc import Iterable

import policy_worlds as world
import pytest
import rich_worlds as rich
import tree_machines as machines
from hypothesis import given
from policy_files import NOW
from slow_properties import slow_examples
from who_can_rules import TREE, policy_set

from tokenserver.documents.document import parse
from tokenserver.policy.budget import Budget, TooComplex
from tokenserver.policy.machines.workloads import is_declared
from tokenserver.policy.model import Context, PolicySet
from tokenserver.policy.principals import AllOf
from tokenserver.policy.queries import witnesses
from tokenserver.policy.queries.summary import canonical, short_answer, spell_answers
from tokenserver.policy.syntax.file import read_policy_file
from tokenserver.policy.testing.expectations import FailedExpectation, WhoTest
from tokenserver.policy.testing.who_can import run_exactly, run_some
from tokenserver.scopes import Resource

RULES = [
    ("all", "authenticated", "", "web/**"),
    ("ops", "group:ops", "", "ops"),
    ("no-eve", "user:eve", "", "web/**"),
]


def only(test: str) -> WhoTest:
    """The test with this text."""
    file = read_policy_file(parse(f"version: 1\ntests:\n  - {{{test}}}\n", "a.yaml"))
    assert file.faults == []
    (found,) = file.tests
    assert isinstance(found, WhoTest)
    return found


def run(policies: PolicySet, test: WhoTest) -> list[FailedExpectation]:
    """The failures of the test."""
    context = test.setting.context("r", NOW)
    if test.relation == "exactly":
        return [*run_exactly(policies, test, context, Budget(100_000))]
    return [*run_some(policies, test, Budget(100_000), context)]


@pytest.mark.parametrize(
    "test",
    [
        pytest.param("who_can: pull web/x, exactly: [authenticated], except: ['user:eve']", id="the whole answer"),
        pytest.param("who_can: pull ops, exactly: ['group:ops']", id="a group"),
        pytest.param("who_can: push web/x, exactly: []", id="nobody"),
        pytest.param("who_can: pull web/x, includes: ['user:ann', 'group:x']", id="included in a broader one"),
        pytest.param("who_can: pull web/x, excludes: ['user:eve', anonymous]", id="excluded"),
    ],
)
def test_what_holds(test: str) -> None:
    """There is no failure."""
    assert run(policy_set(*RULES, groups=TREE), only(test)) == []


@pytest.mark.parametrize(
    ("test", "expected", "actual", "rules"),
    [
        pytest.param(
            "who_can: pull web/x, exactly: [authenticated]",
            "who can pull web/x: exactly authenticated",
            'exactly: [authenticated], except: ["user:eve"]',
            ["no-eve"],
            id="an exception",
        ),
        pytest.param(
            "who_can: pull ops, exactly: []",
            "who can pull ops: exactly nobody",
            "group:ops",
            ["ops"],
            id="one too many",
        ),
        pytest.param(
            "who_can: pull ops, exactly: ['group:ops', 'user:ann']",
            "who can pull ops: exactly group:ops, user:ann",
            "user:ann is not among them: no allow rule applies",
            [],
            id="one too few",
        ),
        pytest.param(
            "who_can: pull web/x, includes: ['user:eve']",
            "who can pull web/x: includes user:eve",
            "user:eve is not among them: it is forbidden by no-eve",
            ["no-eve"],
            id="not included",
        ),
        pytest.param(
            "who_can: pull web/x, excludes: ['user:ann']",
            "who can pull web/x: excludes user:ann",
            "user:ann can: it is allowed by all",
            ["all"],
            id="not excluded",
        ),
    ],
)
def test_what_fails(test: str, expected: str, actual: str, rules: Iterable[str]) -> None:
    """The failure names what was expected, the answer now, and the rules that decided."""
    (failure,) = run(policy_set(*RULES, groups=TREE), only(test))
    assert failure.expected == expected
    assert actual in failure.actual
    assert [reason.rule for reason in failure.rules] == rules
    assert failure.message.startswith("who can ")


def test_what_is_not_decided_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many combinations are a failure of the test; a spent budget ends the run."""
    monkeypatch.setattr(witnesses, "MAX_WITNESSES", 0)
    for expected in ("exactly: ['group:ops']", "includes: ['group:ops']", "excludes: ['user:ann']"):
        (failure,) = run(policy_set(*RULES), only(f"who_can: pull ops, {expected}"))
        assert failure.actual == "more than 0 combinations of principals to try"
    monkeypatch.undo()
    test = only("who_can: pull web/x, exactly: []")
    with pytest.raises(TooComplex):
        list(run_exactly(policy_set(*RULES), test, test.setting.context("r", NOW), Budget(1)))


@slow_examples()
@given(world.unconditional_worlds | rich.unconditional_worlds | machines.unconditional_worlds, world.names | rich.names)
def test_the_answer_now_is_included_and_not_excluded(policies: PolicySet, name: str) -> None:
    """For any policies: `includes:` of each answer passes, and `excludes:` of it fails."""
    context = Context("registry", None, NOW)
    found: Iterable[AllOf] = canonical(policies, short_answer(policies, "pull", Resource("repository", name), context))
    for answer in found:
        spelled = spell_answers(policies, [answer])
        if any(one.sort == "workload" and not is_declared(one.name) for one in answer):
            continue  # claims are conditions, which only the entries of `exactly:` have
        included, excluded = (
            only(f"who_can: pull {name}, service: registry, {key}: ['{spelled}']") for key in ("includes", "excludes")
        )
        assert run(policies, included) == []
        assert len(run(policies, excluded)) == 1
