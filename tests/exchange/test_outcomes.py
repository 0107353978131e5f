"""Outcomes: one word for each ruling and each error, always one of those that metrics know."""

from __future__ import annotations

import pytest

from tokenserver import errors
from tokenserver.exchange.outcomes import OUTCOMES, outcome_of, outcome_of_ruling
from tokenserver.exchange.rulings import Ruling
from tokenserver.identity import Identity, Kind
from tokenserver.policy.decision import Decision
from tokenserver.scopes import RejectedScope, Resource, Scope
from tokenserver.tokens.claims import Compat, Registry

REGISTRY = Registry("reg", "auth.example.com", Compat.UNIVERSAL, 900)


def decided(asked: str, granted: str) -> Decision:
    """The decision about one repository; actions are separated by blanks."""
    scope = Scope(Resource("repository", "a"), frozenset(asked.split()))
    return Decision(scope, frozenset(granted.split()))


REJECTED = RejectedScope("x:y", "unknown type")


def ruled(*decisions: Decision, rejected: tuple[RejectedScope, ...] = ()) -> Ruling:
    access = tuple(decision.access for decision in decisions if decision.access is not None)
    return Ruling(REGISTRY, Identity("ann", Kind.PASSWORD), decisions, rejected, "digest", access, None)


@pytest.mark.parametrize(
    ("ruling", "outcome"),
    [
        pytest.param(ruled(), "login", id="nothing-asked"),
        pytest.param(ruled(decided("pull", "pull")), "granted", id="everything"),
        pytest.param(ruled(decided("pull push", "pull")), "partial", id="some-actions"),
        pytest.param(ruled(decided("pull", "pull"), decided("pull", "")), "partial", id="some-repositories"),
        pytest.param(ruled(decided("pull", "")), "denied", id="nothing"),
        pytest.param(ruled(decided("*", "pull")), "granted", id="star-is-what-there-is"),
        pytest.param(ruled(decided("*", "")), "denied", id="star-of-nothing"),
        pytest.param(ruled(decided("pull", "pull push delete")), "granted", id="held: more than asked"),
        pytest.param(ruled(decided("push", "pull")), "denied", id="held: nothing of what was asked"),
        pytest.param(ruled(decided("pull push", "pull delete")), "partial", id="held: some of what was asked"),
        pytest.param(ruled(decided("pull *", "push"), decided("pull", "")), "partial", id="held: star"),
        pytest.param(ruled(decided("push", "pull"), rejected=(REJECTED,)), "denied", id="held: and malformed"),
        pytest.param(ruled(rejected=(REJECTED,)), "denied", id="malformed-alone"),
        pytest.param(ruled(decided("pull", "pull"), rejected=(REJECTED,)), "partial", id="malformed-besides"),
    ],
)
def test_rulings(ruling: Ruling, outcome: str) -> None:
    """By what was asked and what is granted."""
    assert outcome_of_ruling(ruling) == outcome
    assert outcome in OUTCOMES


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        pytest.param(errors.InvalidCredentials("wrong_password"), "invalid_credentials", id="wrong-password"),
        pytest.param(errors.AuthenticationRequired(), "authentication_required", id="anonymous"),
        pytest.param(errors.InvalidRequest("x"), "invalid_request", id="request"),
        pytest.param(errors.BackendUnavailable("corp", "timeout"), "unavailable", id="directory"),
        pytest.param(ZeroDivisionError(), "error", id="bug"),
        pytest.param(KeyboardInterrupt(), "error", id="interruption"),
    ],
)
def test_errors(error: BaseException, outcome: str) -> None:
    """By the class of the error; one that nobody foresaw is an `error`."""
    assert outcome_of(error) == outcome
    assert outcome in OUTCOMES


def test_every_error_has_a_known_outcome() -> None:
    """Metrics have a series for each outcome from the start, so a new one must be added there."""
    classes = [errors.TokenserverError]
    for one in classes:
        classes.extend(one.__subclasses__())
    assert {one.outcome for one in classes if hasattr(one, "outcome")} <= set(OUTCOMES)
