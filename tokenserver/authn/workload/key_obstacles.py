"""What keeps the keys of an issuer from being fetched, for those who say what to do about it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tokenserver.runtime.http.response import FailureReason


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One obstacle. If only `url` is set, or nothing, what was fetched cannot be used.

    `url` gave no answer because of `failure`, or one with another `status` than 200, which may name a `location`.
    `issuer` is what the discovery document names instead of the configured one. `file` cannot be used.
    """

    url: str = ""
    failure: FailureReason | None = None
    status: int | None = None
    location: str | None = None
    issuer: str | None = None
    file: str | None = None
