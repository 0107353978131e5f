"""Observers of the exchange: their order, what they are given, and that no answer leaves if one of them fails."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import Any

import pytest

from tokenserver.credentials import NoCredentials
from tokenserver.errors import AuditUnavailable, InvalidCredentials, InvalidRequest
from tokenserver.exchange.observers import ObservedExchange, UnparsedRequest
from tokenserver.exchange.service import TokenRequest, TokenResult
from tokenserver.scopes import parse_scopes

REQUEST = TokenRequest("request-1", "GET", "reg", parse_scopes(()), NoCredentials(), None, None)
UNPARSED = UnparsedRequest("request-2", "POST", None)
RESULT = TokenResult(None, "a ruling")  # type: ignore[arg-type]  # observers here only pass it on
REFUSED = InvalidCredentials("wrong password")
LOST = AuditUnavailable("the disk is full")


class Service:
    """An exchange with one outcome."""

    def __init__(self, outcome: TokenResult | Exception) -> None:
        self.outcome = outcome
        self.withdrawn: list[TokenResult] = []

    def exchange(self, request: TokenRequest) -> TokenResult:
        assert request is REQUEST
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def withdraw(self, result: TokenResult) -> None:
        self.withdrawn.append(result)


class Notes:
    """An observer that writes to a list that it shares with others, and may fail then."""

    def __init__(self, notes: list[Any], name: str, error: Exception | None = None) -> None:
        self.notes, self.name, self.error = notes, name, error

    def observe(self, request: Any, outcome: Any, seconds: float) -> None:
        self.notes.append((self.name, request, outcome, seconds))
        if self.error is not None:
            raise self.error


def observed(outcome: TokenResult | Exception, *errors: Exception | None) -> tuple[ObservedExchange, list[Any]]:
    """An exchange with an observer for each of `errors`, called a, b, c; its clock ticks once each time it is read."""
    notes: list[Any] = []
    service: Any = Service(outcome)
    ticks = count()
    observers = [Notes(notes, name, error) for name, error in zip("abc", errors, strict=False)]
    return ObservedExchange(service, observers, monotonic=lambda: float(next(ticks))), notes


def test_all_are_given_the_result_in_their_order() -> None:
    """Each with the seconds that the request has taken when it is informed."""
    exchange, notes = observed(RESULT, None, None, None)
    assert exchange.exchange(REQUEST) is RESULT
    assert notes == [("a", REQUEST, RESULT, 1.0), ("b", REQUEST, RESULT, 2.0), ("c", REQUEST, RESULT, 3.0)]


def test_all_are_given_the_error() -> None:
    """And it is raised as it was."""
    exchange, notes = observed(REFUSED, None, None)
    with pytest.raises(InvalidCredentials) as raised:
        exchange.exchange(REQUEST)
    assert raised.value is REFUSED
    assert notes == [("a", REQUEST, REFUSED, 1.0), ("b", REQUEST, REFUSED, 2.0)]


def test_no_result_leaves_if_an_observer_fails() -> None:
    """Its error takes the place of the result, for the caller and for later observers alone.

    See docs/design/threats.md#threat-98.
    """
    exchange, notes = observed(RESULT, None, LOST, None)
    with pytest.raises(AuditUnavailable):
        exchange.exchange(REQUEST)
    assert [(name, outcome) for name, _, outcome, _ in notes] == [("a", RESULT), ("b", RESULT), ("c", LOST)]


@pytest.mark.parametrize(
    ("outcome", "errors", "withdrawn"),
    [
        pytest.param(RESULT, [None, None], [], id="recorded"),
        pytest.param(RESULT, [None, LOST], [RESULT], id="not recorded"),
        pytest.param(RESULT, [LOST, LOST], [RESULT], id="once"),
        pytest.param(REFUSED, [LOST], [], id="nothing to undo"),
    ],
)
def test_what_was_given_is_withdrawn(outcome: Any, errors: list[Exception | None], withdrawn: list[Any]) -> None:
    """If no answer leaves, nobody has it."""
    exchange, _ = observed(outcome, *errors)
    with suppress(AuditUnavailable, InvalidCredentials):
        exchange.exchange(REQUEST)
    service: Any = exchange.service
    assert service.withdrawn == withdrawn


def test_an_error_that_cannot_be_recorded_is_replaced_as_well() -> None:
    """The last failure is the one that the caller sees."""
    exchange, notes = observed(REFUSED, LOST, None)
    with pytest.raises(AuditUnavailable):
        exchange.exchange(REQUEST)
    assert [(name, outcome) for name, _, outcome, _ in notes] == [("a", REFUSED), ("b", LOST)]


def test_each_observer_is_informed_once_however_many_fail() -> None:
    """The second failure meets the third observer alone."""
    bug = RuntimeError()
    exchange, notes = observed(RESULT, LOST, bug, None)
    with pytest.raises(RuntimeError):
        exchange.exchange(REQUEST)
    assert [(name, outcome) for name, _, outcome, _ in notes] == [("a", RESULT), ("b", LOST), ("c", bug)]


def test_a_refused_request_is_no_exchange() -> None:
    """The seconds are those that the web counted, and go on."""
    exchange, notes = observed(RESULT, None, None)
    error = InvalidRequest("service: is given twice")
    exchange.refused(UNPARSED, error, 5.0)
    assert notes == [("a", UNPARSED, error, 6.0), ("b", UNPARSED, error, 7.0)]


def test_a_refusal_that_cannot_be_recorded() -> None:
    """The web answers with that error instead."""
    exchange, notes = observed(RESULT, LOST, None)
    with pytest.raises(AuditUnavailable):
        exchange.refused(UNPARSED, REFUSED, 0.0)
    assert [(name, outcome) for name, _, outcome, _ in notes] == [("a", REFUSED), ("b", LOST)]
