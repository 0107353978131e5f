"""The times of a JWT, one wrong at a time. The verifier's tests go through all of them with a signature."""

from __future__ import annotations

from typing import Any

import pytest

from tokenserver.authn.workload.jwt_reader import RefusedJwt
from tokenserver.authn.workload.jwt_times import checked_times, moment

CLAIMS = {"iat": 100, "exp": 200}


def test_accepted_times() -> None:
    """The moment from which it is refused; the leeway counts in both directions."""
    for now in (90, 100, 209):
        assert checked_times(CLAIMS, leeway=10, max_age=100, now=now) == 210


@pytest.mark.parametrize(
    ("claims", "now", "problem"),
    [
        ({}, 210, "has expired"),
        ({}, 89, "iat in the future"),
        ({"nbf": 161}, 150, "nbf is in the future"),
        ({"exp": 201}, 150, "has not 1 to 100 s"),
        ({"exp": 100}, 100, "has not 1 to 100 s"),
        ({"iat": True}, 150, "no iat that is an integer"),
        ({"exp": 200.0}, 150, "no exp that is an integer"),
    ],
)
def test_refused_times(claims: dict[str, Any], now: float, problem: str) -> None:
    """Each with its reason."""
    with pytest.raises(RefusedJwt) as caught:
        checked_times(CLAIMS | claims, leeway=10, max_age=100, now=now)
    assert problem in caught.value.reason


def test_a_moment() -> None:
    """An integer."""
    assert moment({"a": 5}, "a") == 5
