"""The shared counters as configured: when there are any, and what refuses the start."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tokenserver.config.load import load_settings
from tokenserver.counters import shared_counters
from tokenserver.errors import LoadError

CONFIG = """\
issuer: auth.example.com
server: {url: "https://auth.example.com"}
registries: [{service: reg}]
anonymous: true
policies: policies
keys: keys
"""


def counters(folder: Path, throttle: str) -> object:
    """The counters that these settings of the throttle give."""
    path = folder / "tokenserver.yaml"
    path.write_text(CONFIG + throttle)
    settings = load_settings(path, {})
    return shared_counters(settings, workers=2)


@pytest.mark.parametrize(
    "throttle",
    [
        pytest.param("", id="by default"),
        pytest.param("throttle: {enabled: false, redis: 'redis://localhost:1'}\n", id="switched off"),
    ],
)
def test_none(tmp_path: Path, throttle: str) -> None:
    """Each process counts for itself."""
    assert counters(tmp_path, throttle) is None


def test_a_redis_need_not_answer_at_the_start(tmp_path: Path) -> None:
    """A server that could not start while Redis is down would make one outage two."""
    pytest.importorskip("limits", reason="the extra redis is not installed")
    assert counters(tmp_path, "throttle: {redis: 'redis://localhost:1'}\n") is not None


def test_without_the_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said which to install."""
    monkeypatch.delitem(sys.modules, "tokenserver.authn.replicas", raising=False)
    monkeypatch.setitem(sys.modules, "limits", None)
    with pytest.raises(LoadError) as caught:
        counters(tmp_path, "throttle: {redis: 'redis://localhost:1'}\n")
    assert str(caught.value) == (
        "throttle: redis: needs libraries that are not installed: pip install 'tokenserver[redis]'"
    )


@pytest.mark.parametrize(
    ("mode", "content", "told"),
    [
        pytest.param(0o600, "\n", "must hold the password of redis; it is empty", id="empty"),
        pytest.param(0o644, "canary", "can be read by others", id="open to others"),
        pytest.param(None, "", "cannot be read: No such file", id="missing"),
    ],
)
def test_the_password_file(tmp_path: Path, mode: int | None, content: str, told: str) -> None:
    """As every file with a secret: private, and something in it."""
    if mode is not None:
        (tmp_path / "secret").write_text(content)
        (tmp_path / "secret").chmod(mode)
    with pytest.raises(LoadError) as caught:
        counters(tmp_path, "throttle: {redis: 'redis://localhost:1', redis_password_file: secret}\n")
    assert told in str(caught.value)
    assert "canary" not in str(caught.value)
