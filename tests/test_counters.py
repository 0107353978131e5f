"""The shared counters as configured: when there are any, and what refuses the start."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tokenserver.config.load import load_settings
from tokenserver.counters import Shared, shared_counters, workers_share
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


def shared(folder: Path, more: str, workers: int = 2) -> Shared:
    """What the workers of a server with these settings share."""
    path = folder / "tokenserver.yaml"
    path.write_text(CONFIG + more)
    return workers_share(load_settings(path, {}), workers=workers)


OFF = "throttle: {enabled: false}\n"


@pytest.mark.parametrize(
    ("more", "workers", "is_counted", "is_checked"),
    [
        pytest.param("authentication: [{htpasswd: {file: u}}]\n", 2, True, True, id="a file"),
        pytest.param("authentication: [{htpasswd: {file: u}}]\n", 1, False, False, id="a single worker"),
        pytest.param(f"authentication: [{{htpasswd: {{file: u}}}}]\n{OFF}", 2, False, True, id="no throttle"),
        pytest.param("authentication: [{htpasswd: {file: u, cache: 0s}}]\n", 2, True, False, id="cache: 0"),
        pytest.param(
            "authentication: [{htpasswd: {name: a, file: u, cache: 0s}}, {htpasswd: {name: b, file: v}}]\n",
            2,
            True,
            True,
            id="one of two remembered",
        ),
        pytest.param("", 2, True, False, id="nobody to check"),
    ],
)
def test_what_workers_share(tmp_path: Path, more: str, workers: int, *, is_counted: bool, is_checked: bool) -> None:
    """Counters where failures count, checks where a login is remembered, nothing where a worker is alone."""
    found = shared(tmp_path, more, workers)
    assert (found.counters is not None, found.checks is not None) == (is_counted, is_checked)


def test_without_memory_to_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The server starts; each worker has its own, and it is said."""

    def refuse(size: int) -> int:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("tokenserver.authn.memory._file_of", refuse)
    assert shared(tmp_path, "authentication: [{htpasswd: {file: u}}]\n") == (None, None)
    assert [message.partition(" (")[0] for message in caplog.messages] == [
        "throttle: workers cannot share memory",
        "logins: workers cannot share memory",
    ]


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
