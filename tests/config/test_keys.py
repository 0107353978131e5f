"""`keys:` in the settings: a folder, or a section that says how keys rotate."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.errors import LoadError

START = """\
issuer: auth.example.com
server: {url: "https://auth.example.com"}
anonymous: true
policies: policies
"""
UNIVERSAL = "registries: [{service: one}, {service: two}]\n"
PINNED = "registries: [{service: one}, {service: two, compat: jwks}]\n"


def load(folder: Path, keys: str, variables: dict[str, str] | None = None, registries: str = UNIVERSAL) -> Settings:
    path = folder / "tokenserver.yaml"
    path.write_text(START + registries + keys + "\n")
    return load_settings(path, variables or {})


HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("keys", "folder", "rotate_every", "publish_ahead"),
    [
        pytest.param("keys: my/keys", "my/keys", None, HOUR, id="a folder"),
        pytest.param("keys: {rotate_every: 30d}", "keys", 30 * DAY, HOUR, id="rotation alone"),
        pytest.param("keys: {folder: /k, rotate_every: 2h}", "/k", 2 * HOUR, HOUR, id="folder and rotation"),
        pytest.param(
            "keys: {rotate_every: 9s, publish_ahead: 2s}",
            "keys",
            timedelta(seconds=9),
            timedelta(seconds=2),
            id="seconds",
        ),
        pytest.param("keys: {}", "keys", None, HOUR, id="an empty section"),
    ],
)
def test_both_forms(
    tmp_path: Path, keys: str, folder: str, rotate_every: timedelta | None, publish_ahead: timedelta
) -> None:
    """A plain text is the folder; a section may leave everything out."""
    settings = load(tmp_path, keys)
    schedule = settings.key_sets()[0].schedule
    assert settings.keys.folder == tmp_path / folder
    assert (schedule.rotate_every, schedule.publish_ahead, schedule.pinned) == (rotate_every, publish_ahead, False)
    assert schedule.longest_token == HOUR


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        pytest.param("keys: keys", DAY, id="people need a day"),
        pytest.param("keys: {publish_ahead: 5m}", timedelta(minutes=5), id="unless they say otherwise"),
    ],
)
def test_registries_that_pin_keys(tmp_path: Path, keys: str, expected: timedelta) -> None:
    """One registry that trusts single keys is enough: only people say when a new key signs."""
    schedule = load(tmp_path, keys, registries=PINNED).key_sets()[0].schedule
    assert (schedule.pinned, schedule.publish_ahead) == (True, expected)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        pytest.param(
            "keys: {rotat_every: 30d}", "keys.rotat_every: unknown key; did you mean 'rotate_every'?", id="typo"
        ),
        pytest.param("keys: 7", "keys: must be a mapping (key: value), not a number", id="a number"),
        pytest.param("keys: ''", "keys: must be a path", id="no path"),
        pytest.param("keys: {folder: ''}", "keys.folder: must be a path", id="no path in the section"),
        pytest.param(
            "keys: {rotate_every: often}",
            "keys.rotate_every: must be a duration such as 90s, 15m or 1h, not 'often'",
            id="no duration",
        ),
        pytest.param(
            "keys: {rotate_every: 0s}",
            "keys.rotate_every: must be above 0s and at most 730d, not 0s: a signing certificate ends after 825d",
            id="never",
        ),
        pytest.param(
            "keys: {rotate_every: 731d}",
            "keys.rotate_every: must be above 0s and at most 730d, not 63158400s: a signing certificate ends"
            " after 825d",
            id="longer than a certificate",
        ),
        pytest.param(
            "keys: {publish_ahead: 1s}",
            "keys.publish_ahead: must be from 2s to 30d, not 1s: replicas read of a new key within 2s",
            id="before replicas know",
        ),
        pytest.param(
            "keys: {rotate_every: 1h}",
            "keys.rotate_every: must be longer than publish_ahead (1h, unless it is set): each key is known before it"
            " signs",
            id="not known before it signs",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, keys: str, line: str) -> None:
    """Each fault is reported with its line, and what would be right."""
    with pytest.raises(LoadError) as error:
        load(tmp_path, keys)
    assert [str(fault) for fault in error.value.faults] == [f"{tmp_path}/tokenserver.yaml:6: {line}"]


@pytest.mark.parametrize(
    ("keys", "variables", "folder", "rotate_every"),
    [
        pytest.param("", {"TOKENSERVER_KEYS": "/k"}, "/k", None, id="a folder alone"),
        pytest.param("", {"TOKENSERVER_KEYS": "2027"}, "2027", None, id="a folder that YAML reads as a number"),
        pytest.param("keys: {rotate_every: 2h}", {"TOKENSERVER_KEYS": "/k"}, "/k", None, id="a folder over a section"),
        pytest.param(
            "", {"TOKENSERVER_KEYS": "{folder: k, rotate_every: 2h}"}, "k", timedelta(hours=2), id="a whole section"
        ),
        pytest.param(
            "keys: /k",
            {"TOKENSERVER_KEYS_ROTATE_EVERY": "3h"},
            "/k",
            timedelta(hours=3),
            id="rotation over a folder in the file",
        ),
    ],
)
def test_the_environment(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    keys: str,
    variables: dict[str, str],
    folder: str,
    rotate_every: timedelta | None,
) -> None:
    """Variables take both forms as well; their paths are relative to the working folder."""
    monkeypatch.chdir(tmp_path)
    settings = load(tmp_path, keys, variables)
    assert settings.keys.folder == tmp_path / folder
    assert settings.key_sets()[0].schedule.rotate_every == rotate_every
