"""Decisions: their access, the lifetime of a token, and the reasons in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tokenserver.patterns import parse_pattern
from tokenserver.policy.decision import Decision, Reason, spell_reasons
from tokenserver.policy.model import Effect, Principals, Rule
from tokenserver.scopes import Access, Resource, Scope


def test_access_of_a_decision() -> None:
    """A decision that grants nothing has no access to put into a token."""
    scope = Scope(Resource("repository", "web/x"), frozenset({"pull", "push"}))
    assert Decision(scope, frozenset()).access is None
    assert Decision(scope, frozenset({"pull"})).access == Access(scope.resource, frozenset({"pull"}))


def rule(name: str, effect: Effect = Effect.ALLOW, *, lifetime: int | None = None, message: str | None = None) -> Rule:
    """A rule; all rules of these tests are in one file."""
    to = Principals(everyone=True)
    return Rule.of(
        name, effect, to, [parse_pattern("**")], ["pull", "push"],
        file="a.yaml", line=3, max_lifetime=lifetime, message=message,
    )  # fmt: skip


WEB = Resource("repository", "web/x")


def decision(granted: str, *reasons: Reason) -> Decision:
    """A decision about pull and push."""
    return Decision(Scope(WEB, frozenset({"pull", "push"})), frozenset(granted.split()), reasons)


@pytest.mark.parametrize(
    ("granted", "reasons", "expected"),
    [
        pytest.param("", [], None, id="nothing granted"),
        pytest.param("pull", [("pull", None)], None, id="no limit"),
        pytest.param("pull", [("pull", 600)], 600, id="one limit"),
        pytest.param("pull", [("pull", 600), ("pull", 900)], 900, id="the most generous rule of an action"),
        pytest.param("pull", [("pull", 600), ("pull", None)], None, id="a rule without a limit is more generous"),
        pytest.param("pull push", [("pull", 600), ("push", 900)], 600, id="the shortest action"),
        pytest.param("pull push", [("pull", None), ("push", 900)], 900, id="one action without a limit"),
        pytest.param("pull", [("pull", 900), ("push", 60)], 900, id="an action that is not granted"),
    ],
)
def test_max_lifetime(granted: str, reasons: list[tuple[str, int | None]], expected: int | None) -> None:
    """A token lives as long as its shortest action, and an action as long as its most generous rule."""
    found = decision(granted, *(Reason(action, rule("r", lifetime=seconds)) for action, seconds in reasons))
    assert found.max_lifetime == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(decision(""), "no allow rule applies", id="no rule"),
        pytest.param(
            decision("", Reason("push", rule("p"))), "no allow rule applies", id="a rule about another action"
        ),
        pytest.param(decision("pull", Reason("pull", rule("r"))), "it is allowed by r (a.yaml:3)", id="allowed"),
        pytest.param(
            decision("", Reason("pull", rule("d", Effect.DENY, message="ask ops"))),
            "it is forbidden by d (a.yaml:3: ask ops)",
            id="forbidden, with a message",
        ),
        pytest.param(
            decision("pull", Reason("pull", rule("a")), Reason("pull", rule("b"))),
            "it is allowed by a (a.yaml:3), b (a.yaml:3)",
            id="two rules",
        ),
    ],
)
def test_spell_reasons(found: Decision, expected: str) -> None:
    """The rules that decided about one action, each with its place."""
    assert spell_reasons(found, "pull") == expected


def test_a_reason_is_its_rule_s() -> None:
    """Effect, id, place, message and limit are those of the rule."""
    reason = Reason("pull", rule("d", Effect.DENY, lifetime=60, message="no"))
    assert (reason.effect, reason.rule, reason.file, reason.line) == (Effect.DENY, "d", "a.yaml", 3)
    assert (reason.message, reason.max_lifetime) == ("no", 60)


def test_whether_an_answer_lasts_makes_no_other_decision() -> None:
    """Two decisions that grant the same for the same reasons are equal."""
    found = decision("pull", Reason("pull", rule("r")))
    assert replace(found, is_lasting=False) == found
