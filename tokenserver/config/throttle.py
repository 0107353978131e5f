"""The settings of the throttle and of what is remembered about logins."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from tokenserver.config.fields import Seconds, Section

MAX_CACHE = 60
"""Seconds for which a password that was right is believed, although it may have been changed since."""

MAX_GRACE = 3600

MAX_FAILURES = 100_000
MIN_WINDOW, MAX_WINDOW = 10, 3600


def _cache(seconds: int) -> int:
    if not 0 <= seconds <= MAX_CACHE:
        raise ValueError(
            f"must be from 0s (never) to {MAX_CACHE}s, not {seconds}s: so long a changed password still works"
        )
    return seconds


def _grace(seconds: int) -> int:
    if not 0 <= seconds <= MAX_GRACE:
        raise ValueError(
            f"must be from 0s (never) to 1h, not {seconds}s: so long somebody who was removed could still log in"
        )
    return seconds


def _window(seconds: int) -> int:
    if not MIN_WINDOW <= seconds <= MAX_WINDOW:
        raise ValueError(f"must be from {MIN_WINDOW}s to 1h, not {seconds}s")
    return seconds


Cache = Annotated[Seconds, AfterValidator(_cache)]
Grace = Annotated[Seconds, AfterValidator(_grace)]
Failures = Annotated[int, Field(ge=2, le=MAX_FAILURES)]


class Throttle(Section):
    """How many failed logins within `window` make the next one wait. Successful ones never count."""

    enabled: bool = True
    failures_per_user: Failures = 5
    failures_per_address: Failures = 50
    failures_total: Failures = 1000
    window: Annotated[Seconds, AfterValidator(_window)] = 300
