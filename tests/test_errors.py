"""The error tree: families, faults in order, and texts that hold nothing they must not."""

from __future__ import annotations

import dataclasses

import pytest

from tokenserver import errors
from tokenserver.errors import (
    AuthenticationRequired,
    BackendUnavailable,
    Fault,
    InvalidCredentials,
    InvalidRequest,
    LoadError,
    RequestError,
    ServiceError,
    SigningFailed,
    Throttled,
    TokenMismatch,
    TokenserverError,
    TooManyScopes,
    UnsupportedGrantType,
)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param(Fault("a.yaml", 3, "x[0].y", "is wrong"), "a.yaml:3: x[0].y: is wrong", id="all"),
        pytest.param(Fault("a.yaml", 3, "", "is wrong"), "a.yaml:3: is wrong", id="no-path"),
        pytest.param(Fault("a.yaml", 0, "x", "is wrong"), "a.yaml: x: is wrong", id="no-line"),
        pytest.param(Fault("a.yaml", 0, "", "is wrong"), "a.yaml: is wrong", id="file-only"),
    ],
)
def test_a_fault_tells_its_place(fault: Fault, expected: str) -> None:
    """file:line: path: what is wrong; what is not known is left out."""
    assert str(fault) == expected


def test_a_load_error_holds_every_fault_once_and_in_order() -> None:
    """By file, then by line as a number; one that was found twice stands once."""
    late, early, other = Fault("a", 10, "", "x"), Fault("a", 9, "", "x"), Fault("b", 1, "", "x")
    error = LoadError(iter([other, late, early, late]))
    assert error.faults == (early, late, other)
    assert str(error) == "a:9: x\na:10: x\nb:1: x"


def test_a_fault_is_frozen() -> None:
    """A fault does not change after it was found."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Fault("a", 1, "", "x").line = 2  # type: ignore[misc]  # that is the test


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        pytest.param(LoadError, TokenserverError, id="load"),
        pytest.param(InvalidRequest, RequestError, id="invalid-request"),
        pytest.param(TooManyScopes, InvalidRequest, id="too-many-scopes"),
        pytest.param(UnsupportedGrantType, RequestError, id="grant-type"),
        pytest.param(InvalidCredentials, RequestError, id="credentials"),
        pytest.param(AuthenticationRequired, RequestError, id="authentication-required"),
        pytest.param(Throttled, RequestError, id="throttled"),
        pytest.param(BackendUnavailable, ServiceError, id="backend"),
        pytest.param(SigningFailed, ServiceError, id="signing"),
        pytest.param(TokenMismatch, ServiceError, id="mismatch"),
    ],
)
def test_families(kind: type[Exception], family: type[Exception]) -> None:
    """The family says who can mend it: the operator, the client, or nobody now."""
    assert issubclass(kind, family)
    families = (LoadError, RequestError, ServiceError)
    assert sum(issubclass(kind, one) for one in families) == 1


def test_every_error_is_in_the_tree() -> None:
    """Nothing here stands beside the root."""
    kinds = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, BaseException)]
    assert [kind for kind in kinds if not issubclass(kind, TokenserverError)] == []


def test_wrong_credentials_have_one_text() -> None:
    """Unknown, wrong and disabled read the same; the reason is for the audit event alone."""
    unknown, wrong = InvalidCredentials("unknown user"), InvalidCredentials("wrong password")
    assert str(unknown) == str(wrong) == "wrong user name or password"
    assert (unknown.reason, wrong.reason) == ("unknown user", "wrong password")


def test_authentication_required_names_nothing() -> None:
    """Its text is fixed."""
    assert str(AuthenticationRequired()) == "authentication required"


def test_throttled_says_when() -> None:
    """The seconds stand beside the text, not in it."""
    error = Throttled(30)
    assert (error.retry_after, str(error)) == (30, "too many attempts, try again later")


def test_an_unavailable_backend_says_which_and_when() -> None:
    """Name, reason and seconds; 5 where nothing else is said."""
    error = BackendUnavailable("corp", "timeout")
    assert (error.backend, error.reason, error.retry_after, str(error)) == ("corp", "timeout", 5, "corp: timeout")
    assert BackendUnavailable("corp", "timeout", 60).retry_after == 60
