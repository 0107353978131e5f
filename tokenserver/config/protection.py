"""Settings of the throttle, of the login cache, of what one request may ask for, and of the secrets of robots."""

from __future__ import annotations

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic.fields import FieldInfo

from tokenserver.config.fields import FilePath, Seconds, Section
from tokenserver.documents.document import PlacedError
from tokenserver.scopes import DEFAULT_LIMITS

MAX_CACHE = 60
"""Seconds for which a verified password is accepted from the cache, although it may have been changed since."""

MAX_GRACE = 3600

MAX_FAILURES = 100_000
MAX_SCOPES = 10_000
MIN_SCOPE_BYTES, MAX_SCOPE_BYTES = 512, 256 * 1024
MIN_WINDOW, MAX_WINDOW = 10, 3600

MIN_SECRET_LIFETIME, MAX_SECRET_LIFETIME = 3600, 365 * 24 * 3600
"""Seconds for which a robot's secret may be valid."""


def _cache(seconds: int) -> int:
    if not 0 <= seconds <= MAX_CACHE:
        raise ValueError(
            f"must be from 0s (never) to {MAX_CACHE}s, not {seconds}s: a changed password still works that long"
        )
    return seconds


def _grace(seconds: int) -> int:
    if not 0 <= seconds <= MAX_GRACE:
        raise ValueError(
            f"must be from 0s (never) to 1h, not {seconds}s: a user who was removed could still log in that long"
        )
    return seconds


def _window(seconds: int) -> int:
    if not MIN_WINDOW <= seconds <= MAX_WINDOW:
        raise ValueError(f"must be from {MIN_WINDOW}s to 1h, not {seconds}s")
    return seconds


def _redis(value: str) -> str:
    """A URL for the Redis client, without a password, which belongs in a separate file."""
    example = "redis://redis.example.com:6379/0"
    try:
        parts = urlsplit(value)
        is_host = bool(parts.hostname) and parts.port != 0
        has_password = parts.password is not None or "password" in parts.query
    except ValueError as error:
        raise ValueError(f"must be a URL such as {example}") from error
    if has_password:
        raise ValueError("must not contain a password; name a file with it: redis_password_file")
    is_known = is_host if parts.scheme in ("redis", "rediss") else parts.scheme == "redis+unix" and len(parts.path) > 1
    if not is_known or re.fullmatch(r"[!-~]+", value) is None:
        raise ValueError(f"must be a URL such as {example} (rediss:// with TLS, redis+unix:///run/redis.sock)")
    return value


Cache = Annotated[Seconds, AfterValidator(_cache)]
Grace = Annotated[Seconds, AfterValidator(_grace)]
Failures = Annotated[int, Field(ge=2, le=MAX_FAILURES)]


class ThrottleSettings(Section):
    """The number of failed logins within `window` after which the next one has to wait. Successful logins never count.

    With `redis`, all replicas share their counters in the Redis at that URL. `secret_file` contains the secret by which
    they recognise a wrong login that another replica has rejected; by default it is derived from the Redis password.
    """

    enabled: bool = True
    failures_per_user: Failures = 5
    failures_per_address: Failures = 50
    failures_total: Failures = 1000
    window: Annotated[Seconds, AfterValidator(_window)] = 300
    redis: Annotated[str, AfterValidator(_redis)] | None = None
    redis_password_file: FilePath | None = None
    secret_file: FilePath | None = None

    @model_validator(mode="after")
    def _password_has_a_redis(self) -> Self:
        if self.redis_password_file is not None and self.redis is None:
            raise PlacedError(("redis_password_file",), "needs redis, the URL of the Redis with this password")
        return self

    @model_validator(mode="after")
    def _secret_has_a_redis(self) -> Self:
        if self.secret_file is not None and self.redis is None:
            raise PlacedError(("secret_file",), "needs redis; the workers of one server share a generated secret")
        return self


def _scopes(count: int) -> int:
    if not 1 <= count <= MAX_SCOPES:
        raise ValueError(
            f"must be from 1 to {MAX_SCOPES}, not {count}: a token and its audit event grow with each of them"
        )
    return count


def _scope_bytes(count: int) -> int:
    if not MIN_SCOPE_BYTES <= count <= MAX_SCOPE_BYTES:
        raise ValueError(
            f"must be from {MIN_SCOPE_BYTES} (the longest scope) to {MAX_SCOPE_BYTES} (256 KiB), not {count}"
        )
    return count


def _bounds(least: int, most: int) -> FieldInfo:
    """For the JSON Schema, where a function is no bound."""
    found: FieldInfo = Field(json_schema_extra={"minimum": least, "maximum": most})
    return found


class LimitSettings(Section):
    """How much one token request may ask for: distinct resources, and bytes of scope text.

    The smallest `scope_bytes` fits every single scope. Both multiply what one request costs: decisions, the size of the
    token and of its audit event.
    """

    scopes: Annotated[int, AfterValidator(_scopes), _bounds(1, MAX_SCOPES)] = DEFAULT_LIMITS.scopes
    scope_bytes: Annotated[int, AfterValidator(_scope_bytes), _bounds(MIN_SCOPE_BYTES, MAX_SCOPE_BYTES)] = (
        DEFAULT_LIMITS.scope_bytes
    )


def _secret_lifetime(seconds: int) -> int:
    if not MIN_SECRET_LIFETIME <= seconds <= MAX_SECRET_LIFETIME:
        raise ValueError(f"must be from 1h to 365d, not {seconds}s: a secret that never ends is found some day")
    return seconds


class RobotSettings(Section):
    """How long secrets of robots may live, in seconds: new ones, and declared ones from now."""

    max_lifetime: Annotated[Seconds, AfterValidator(_secret_lifetime)] = MAX_SECRET_LIFETIME
