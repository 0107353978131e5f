"""Settings of the throttle: limits, windows, and the URL of a Redis without a password in it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tokenserver.config.protection import (
    MAX_FAILURES,
    MAX_SCOPE_BYTES,
    MAX_SCOPES,
    MIN_SCOPE_BYTES,
    LimitSettings,
    RobotSettings,
    ThrottleSettings,
)
from tokenserver.scopes import ScopeLimits, parse_scopes


def refused(**values: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        ThrottleSettings.model_validate(values)
    return str(caught.value)


def test_defaults() -> None:
    """On, and counting for itself."""
    found = ThrottleSettings()
    assert (found.enabled, found.failures_per_user, found.failures_per_address, found.failures_total, found.window) == (
        True,
        5,
        50,
        1000,
        300,
    )
    assert (found.redis, found.redis_password_file, found.secret_file) == (None, None, None)


@pytest.mark.parametrize("name", ["failures_per_user", "failures_per_address", "failures_total"])
@pytest.mark.parametrize(
    ("value", "is_right"), [(1, False), (2, True), (MAX_FAILURES, True), (MAX_FAILURES + 1, False)]
)
def test_numbers_of_failures(name: str, value: int, is_right: bool) -> None:
    """One failure alone never makes anybody wait."""
    if is_right:
        assert getattr(ThrottleSettings.model_validate({name: value}), name) == value
    else:
        assert name in refused(**{name: value})


@pytest.mark.parametrize(
    ("name", "least", "most"), [("scopes", 1, MAX_SCOPES), ("scope_bytes", MIN_SCOPE_BYTES, MAX_SCOPE_BYTES)]
)
def test_limits_of_requests(name: str, least: int, most: int) -> None:
    """Both bounds are allowed, and named where a value is beyond them."""
    for value in (least, most):
        assert getattr(LimitSettings.model_validate({name: value}), name) == value
    for value, bound in ((least - 1, least), (most + 1, most)):
        with pytest.raises(ValidationError, match=rf"{name}\n.*must be from .*{bound}.*, not {value}"):
            LimitSettings.model_validate({name: value})


def test_the_smallest_limits_fit_every_single_scope() -> None:
    """Otherwise there would be repositories that nobody could ask for."""
    scope = f"repository:{'a' * 255}:pull,push,delete,*"
    assert len(parse_scopes([scope], ScopeLimits(1, MIN_SCOPE_BYTES)).scopes) == 1


@pytest.mark.parametrize(("window", "seconds"), [("10s", 10), ("5m", 300), ("1h", 3600), (60, 60)])
def test_windows(window: Any, seconds: int) -> None:
    """From ten seconds to an hour."""
    assert ThrottleSettings.model_validate({"window": window}).window == seconds


@pytest.mark.parametrize("window", ["9s", "3601s", "2h", 0, -10])
def test_wrong_windows(window: Any) -> None:
    """With the bounds in the message."""
    assert "must be from 10s to 1h" in refused(window=window)


@pytest.mark.parametrize(
    "url",
    [
        "redis://redis.example.com:6379/0",
        "rediss://redis.example.com",
        "redis://user@host",
        "redis://[::1]:6379",
        "redis+unix:///run/redis.sock",
    ],
)
def test_urls(url: str) -> None:
    """Plain, with TLS, and over a socket."""
    assert ThrottleSettings(redis=url).redis == url


@pytest.mark.parametrize(
    ("url", "told"),
    [
        pytest.param("redis://:canary@host", "must not contain a password", id="password"),
        pytest.param("redis://host?password=canary", "must not contain a password", id="password-in-query"),
        pytest.param("http://host", "must be a URL such as redis://", id="scheme"),
        pytest.param("redis://", "must be a URL such as redis://", id="no-host"),
        pytest.param("redis://host:0", "must be a URL such as redis://", id="port-0"),
        pytest.param("redis://host:99999", "must be a URL such as redis://", id="no-port"),
        pytest.param("redis://[::1", "must be a URL such as redis://", id="broken-ipv6"),
        pytest.param("redis+unix:///", "must be a URL such as redis://", id="no-socket"),
        pytest.param("redis://a b", "must be a URL such as redis://", id="blank"),
    ],
)
def test_wrong_urls(url: str, told: str) -> None:
    """With an example of a right one, or the setting that holds a password."""
    assert told in refused(redis=url)


@pytest.mark.parametrize("name", ["redis_password_file", "secret_file"])
def test_files_need_a_redis(name: str) -> None:
    """Without one they would do nothing."""
    assert "needs redis" in refused(**{name: "/x"})
    assert getattr(ThrottleSettings.model_validate({name: "/x", "redis": "redis://h"}), name).name == "x"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("1h", 3600), ("365d", 31_536_000), ("59m", None), ("366d", None), ("never", None), (0, None)],
)
def test_lifetimes_of_secrets(value: Any, seconds: int | None) -> None:
    """An hour to a year, and never without an end."""
    assert RobotSettings().max_lifetime == 31_536_000
    if seconds is None:
        with pytest.raises(ValidationError, match="max_lifetime"):
            RobotSettings.model_validate({"max_lifetime": value})
    else:
        assert RobotSettings.model_validate({"max_lifetime": value}).max_lifetime == seconds
