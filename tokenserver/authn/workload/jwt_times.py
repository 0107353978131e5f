"""The times of a JWT (RFC 7519, section 4.1), checked with a leeway in both directions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenserver.authn.workload.jwt_reader import RefusedJwt


def checked_times(claims: Mapping[str, Any], *, leeway: int, max_age: int, now: float) -> int:
    """The moment from which the JWT is refused, in seconds since the epoch, as `now` is.

    `max_age` is the longest time from `iat` to `exp`.

    Raises:
        RefusedJwt: `exp` or `iat` is missing, or it has expired, or is not valid yet, or is valid for too long.
    """
    until, since = moment(claims, "exp"), moment(claims, "iat")
    if now >= until + leeway:
        raise RefusedJwt("has expired")
    if since > now + leeway:
        raise RefusedJwt("has an iat in the future")
    if "nbf" in claims and moment(claims, "nbf") > now + leeway:
        raise RefusedJwt("is not valid yet: its nbf is in the future")
    if not 0 < until - since <= max_age:
        raise RefusedJwt(f"has not 1 to {max_age} s from iat to exp (max_age)")
    return until + leeway


def moment(claims: Mapping[str, Any], name: str) -> int:
    """A claim that is a moment.

    Raises:
        RefusedJwt: it is missing, or no integer.
    """
    found = claims.get(name)
    if type(found) is not int:  # a bool is one for isinstance
        raise RefusedJwt(f"has no {name} that is an integer")
    return found
