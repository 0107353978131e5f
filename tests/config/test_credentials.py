"""Settings of stored credentials: both sections are off by default, and every bound is held."""

from __future__ import annotations

from pathlib import Path

import pytest
from configuration import MINIMAL, faults_of, load, with_registry
from pydantic import ValidationError

from tokenserver.config.credentials import AccessKeySettings, RefreshTokenSettings
from tokenserver.config.fields import Section

DAY = 86400
STORAGE = "storage: state/tokenserver.db\n"
STORED = MINIMAL + STORAGE


def test_there_are_none_by_default(folder: Path) -> None:
    """No section, no key and no refresh token."""
    found = load(folder, MINIMAL)
    assert (found.access_keys, found.refresh_tokens) == (None, None)
    assert not found.gives_refresh_tokens(found.registries[0])


def test_defaults() -> None:
    """An empty section is on, with these values."""
    keys, tokens = AccessKeySettings(), RefreshTokenSettings()
    assert (keys.default_lifetime, keys.max_lifetime) == (90 * DAY, 365 * DAY)
    assert (keys.per_user, keys.rotate_overlap) == (20, DAY)
    assert (tokens.idle, tokens.lifetime, tokens.per_user) == (30 * DAY, 90 * DAY, 100)


@pytest.mark.parametrize(
    ("section", "name", "least", "most", "message"),
    [
        pytest.param(AccessKeySettings, "max_lifetime", 90 * DAY, 365 * DAY, "must be from 1h to 365d", id="max"),
        pytest.param(AccessKeySettings, "default_lifetime", 3600, 365 * DAY, "must be from 1h to 365d", id="default"),
        pytest.param(AccessKeySettings, "per_user", 1, 1000, "", id="keys of a person"),
        pytest.param(AccessKeySettings, "rotate_overlap", 0, 30 * DAY, "must be from 0s .* to 30d", id="overlap"),
        pytest.param(RefreshTokenSettings, "idle", 3600, 180 * DAY, "must be from 1h to 180d", id="idle"),
        pytest.param(RefreshTokenSettings, "lifetime", 3600, 365 * DAY, "must be from 1h to 365d", id="lifetime"),
        pytest.param(RefreshTokenSettings, "per_user", 1, 1000, "", id="refresh tokens of a person"),
    ],
)
def test_bounds(section: type[Section], name: str, least: int, most: int, message: str) -> None:
    """Both bounds are allowed, and what is beyond them is not."""
    for value in (least, most):
        assert getattr(section.model_validate({name: value}), name) == value
    beyond = 3599 if name == "max_lifetime" else least - 1
    for value in (beyond, most + 1):
        with pytest.raises(ValidationError, match=rf"{name}\n.*{message}"):
            section.model_validate({name: value})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("{max_lifetime: 30d}", "access_keys.max_lifetime: default_lifetime (7776000s) is", id="max alone"),
        pytest.param(
            "{default_lifetime: 31d, max_lifetime: 30d}", "access_keys.default_lifetime: default_lifetime", id="both"
        ),
    ],
)
def test_the_default_lifetime_is_allowed(folder: Path, text: str, expected: str) -> None:
    """A default above the maximum is a fault where it is written, or at the key that made it one."""
    (fault,) = faults_of(folder, f"{STORED}access_keys: {text}\n")
    assert expected in fault


@pytest.mark.parametrize(
    ("registry", "gives"),
    [
        pytest.param("url: https://registry.example.com", True, id="as the section"),
        pytest.param("refresh_tokens: true", True, id="on"),
        pytest.param("refresh_tokens: false", False, id="off"),
    ],
)
def test_registries_without_refresh_tokens(folder: Path, registry: str, gives: bool) -> None:
    """With the section, all registries have them but those that say no."""
    found = load(folder, with_registry(registry) + STORAGE + "refresh_tokens: {}\n")
    assert found.gives_refresh_tokens(found.registries[0]) is gives


def test_a_registry_alone_turns_nothing_on(folder: Path) -> None:
    """Half a configuration refuses the start, and says what is missing."""
    (fault,) = faults_of(folder, with_registry("refresh_tokens: true"))
    assert fault.endswith(
        "registries[0].refresh_tokens: needs the section refresh_tokens; fix: add refresh_tokens: {} at the top level"
    )


@pytest.mark.parametrize("section", ["access_keys", "refresh_tokens"])
def test_they_need_a_storage(folder: Path, section: str) -> None:
    """Credentials that cannot be stored refuse the start, with the line that is missing."""
    (fault,) = faults_of(folder, f"{MINIMAL}{section}: {{}}\n")
    assert fault.endswith(f"{section}: needs a storage; fix: add storage: state/tokenserver.db")
    assert getattr(load(folder, f"{STORED}{section}: {{}}\n"), section) is not None
