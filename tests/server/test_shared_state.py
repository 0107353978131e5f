"""The shared counters as configured: when there are any, and what refuses the start."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tokenserver.authn.protection.redis_counters import SharedFailures
from tokenserver.config.load import load_settings
from tokenserver.errors import LoadError
from tokenserver.server.shared_state import (
    NOTHING_SHARED,
    SharedState,
    shared_counters,
    sharing_warnings,
    workers_share,
)

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


def shared(folder: Path, more: str, workers: int = 2) -> SharedState:
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

    def refuse(name: str, owner: object) -> int:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("tokenserver.runtime.shared_memory.anonymous_file", refuse)
    monkeypatch.setattr("tokenserver.runtime.bulletin.anonymous_file", refuse)
    assert shared(tmp_path, "authentication: [{htpasswd: {file: u}}]\n") == NOTHING_SHARED
    assert [message.partition(" (")[0] for message in caplog.messages] == [
        "throttle: workers cannot share memory",
        "logins: workers cannot share memory",
        "configuration: processes cannot share memory",
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
    monkeypatch.delitem(sys.modules, "tokenserver.authn.protection.redis_counters", raising=False)
    monkeypatch.setitem(sys.modules, "limits", None)
    with pytest.raises(LoadError) as caught:
        counters(tmp_path, "throttle: {redis: 'redis://localhost:1'}\n")
    assert str(caught.value) == ("throttle: redis: needs libraries that are not installed: pip install 'limits[redis]'")


@pytest.mark.parametrize(
    ("mode", "content", "told"),
    [
        pytest.param(0o600, "\n", "must contain the password of redis, but is empty", id="empty"),
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


@pytest.mark.parametrize(
    ("mode", "content", "told"),
    [
        pytest.param(0o600, "canary" * 5, "must contain a secret of at least 32 characters", id="short"),
        pytest.param(0o644, "canary" * 6, "can be read by others", id="open to others"),
        pytest.param(None, "", "cannot be read: No such file", id="missing"),
    ],
)
def test_the_secret_file(tmp_path: Path, mode: int | None, content: str, told: str) -> None:
    """The shared secret must be long and private; its fault is reported even along with one of the password."""
    if mode is not None:
        (tmp_path / "secret").write_text(content)
        (tmp_path / "secret").chmod(mode)
    with pytest.raises(LoadError) as caught:
        counters(tmp_path, "throttle: {redis: 'redis://localhost:1', redis_password_file: none, secret_file: secret}\n")
    assert told in str(caught.value)
    assert "none: cannot be read" in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        pytest.param("redis://localhost:1/0?colour=blue", "colour", id="an unknown option"),
        pytest.param("redis://localhost:1/0?socket_timeout=soon", "socket_timeout", id="no number"),
        pytest.param("rediss://localhost:1/0?ssl_cert_reqs=maybe", "maybe", id="no way to verify"),
        pytest.param("rediss://localhost:1/0?ssl_ca_certs=/none/ca.pem", "/none/ca.pem", id="no authority"),
    ],
)
def test_what_the_client_does_not_take(tmp_path: Path, url: str, told: str) -> None:
    """It would refuse each connection, and so each login would find out for itself: the start finds out."""
    pytest.importorskip("limits", reason="the extra redis is not installed")
    with pytest.raises(LoadError) as caught:
        counters(tmp_path, f"throttle: {{redis: '{url}'}}\n")
    (fault,) = caught.value.faults
    assert (fault.file, fault.path) == ("throttle", "redis")
    assert told in fault.message


def test_whose_key_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret file goes before the password; the line end is no part of either; without both, a server has its own."""
    pytest.importorskip("limits", reason="the extra redis is not installed")
    for name, text in {"a": "a" * 40 + "\n", "b": "a" * 40, "c": "c" * 40}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)

    def key(more: str) -> bytes:
        found = counters(tmp_path, f"throttle: {{redis: 'redis://localhost:1'{more}}}\n")
        assert isinstance(found, SharedFailures)
        assert len(found._key) >= 16
        return found._key

    assert key(", secret_file: a") == key(", redis_password_file: b") == key(", secret_file: b, redis_password_file: c")
    assert key(", secret_file: a") != key(", secret_file: c")
    assert b"a" * 8 not in key(", secret_file: a")
    own = key("")
    assert own == key("")
    monkeypatch.setattr("tokenserver.server.shared_state._OWN_SECRET", b"o" * 32)  # as in another server
    assert key("") != own


@pytest.mark.parametrize(
    ("throttle", "is_told"),
    [
        pytest.param("redis: 'redis://localhost:1'", True, id="neither"),
        pytest.param("redis: 'redis://localhost:1', secret_file: s", False, id="a secret"),
        pytest.param("redis: 'redis://localhost:1', redis_password_file: s", False, id="a password"),
        pytest.param("redis: 'redis://localhost:1', enabled: false", False, id="switched off"),
        pytest.param("", False, id="no redis"),
    ],
)
def test_replicas_without_a_secret(tmp_path: Path, throttle: str, is_told: bool) -> None:
    """It works, and counts more than it need: that is worth a warning."""
    path = tmp_path / "tokenserver.yaml"
    path.write_text(f"{CONFIG}throttle: {{{throttle}}}\n")
    found = sharing_warnings(load_settings(path, {}))
    assert [warning.partition(":")[0] for warning in found] == (
        ["throttle.redis has no password, and there is no throttle.secret_file"] if is_told else []
    )
