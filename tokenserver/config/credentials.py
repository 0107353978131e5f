"""Settings of stored credentials: personal access keys and refresh tokens. Without its section, there are none."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from tokenserver.config.fields import Seconds, Section
from tokenserver.documents.document import PlacedError

HOUR, DAY = 3600, 86400

MIN_LIFETIME, MAX_LIFETIME = HOUR, 365 * DAY
MAX_IDLE = 180 * DAY
MAX_OVERLAP = 30 * DAY
MAX_PER_USER = 1000

NEEDING_STORAGE = ("access_keys", "refresh_tokens")
"""The sections of the configuration that need `storage`."""

NO_REFRESH_TOKENS = "needs the section refresh_tokens; fix: add refresh_tokens: {} at the top level"


def _lifetime(seconds: int) -> int:
    if not MIN_LIFETIME <= seconds <= MAX_LIFETIME:
        raise ValueError(f"must be from 1h to 365d, not {seconds}s: every credential ends")
    return seconds


def _idle(seconds: int) -> int:
    if not MIN_LIFETIME <= seconds <= MAX_IDLE:
        raise ValueError(f"must be from 1h to 180d, not {seconds}s")
    return seconds


def _overlap(seconds: int) -> int:
    if not 0 <= seconds <= MAX_OVERLAP:
        raise ValueError(f"must be from 0s (the old key ends with the rotation) to 30d, not {seconds}s")
    return seconds


PerUser = Annotated[int, Field(ge=1, le=MAX_PER_USER)]
CredentialLifetime = Annotated[Seconds, AfterValidator(_lifetime)]


class AccessKeySettings(Section):
    """Personal access keys. All but `per_user`, the number of live keys of one person, are in seconds.

    After a rotation, the old key is valid for `rotate_overlap` longer.
    """

    default_lifetime: CredentialLifetime = 90 * DAY
    max_lifetime: CredentialLifetime = MAX_LIFETIME
    per_user: PerUser = 20
    rotate_overlap: Annotated[Seconds, AfterValidator(_overlap)] = DAY

    @model_validator(mode="after")
    def _default_is_allowed(self) -> Self:
        if self.default_lifetime > self.max_lifetime:
            key = "default_lifetime" if "default_lifetime" in self.model_fields_set else "max_lifetime"
            message = (
                f"default_lifetime ({self.default_lifetime}s) is longer than max_lifetime ({self.max_lifetime}s);"
                " fix: make it as short"
            )
            raise PlacedError((key,), message)
        return self


class RefreshTokenSettings(Section):
    """Refresh tokens: they end `lifetime` seconds after the login, or when unused for `idle` seconds.

    A person has `per_user` of them at most; the next login ends the one that is unused for longest.
    """

    idle: Annotated[Seconds, AfterValidator(_idle)] = 30 * DAY
    lifetime: CredentialLifetime = 90 * DAY
    per_user: PerUser = 100
