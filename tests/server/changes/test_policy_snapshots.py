"""Kept policies: each version that goes live is kept by a running server, and a full disk stops nothing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests_web_server import make_server, server_folder

from tokenserver.config.audit import AuditSettings
from tokenserver.config.load import load_settings
from tokenserver.policy.history.kept_snapshots import kept_digests
from tokenserver.policy.loading.loader import compile_texts
from tokenserver.policy.model import PolicySet
from tokenserver.server.changes import policy_snapshots
from tokenserver.server.changes.policy_snapshots import watch_policies
from tokenserver.server.compose import build

__all__ = ["server_folder"]

SECONDS = 10


def policies(user: str) -> PolicySet:
    """Policies with one rule for this user."""
    text = f'version: 1\nallow:\n  - {{id: a, to: ["user:{user}"], repositories: ["web/**"], role: writer}}\n'
    return compile_texts({"a.yaml": text})[0]


@contextmanager
def watched(folder: Path, live: list[PolicySet]) -> Iterator[None]:
    """A thread that keeps the last of `live`; it ends in time."""
    stop = threading.Event()
    thread = threading.Thread(target=watch_policies, args=(folder, lambda: live[-1], stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(SECONDS)
    assert not thread.is_alive()


def wait_for(digests: set[str], folder: Path) -> None:
    """Until exactly these are kept."""
    end = time.monotonic() + SECONDS
    while set(kept_digests(folder)) != digests:
        assert time.monotonic() < end, kept_digests(folder)
        time.sleep(0.01)


def test_each_version_is_kept(tmp_path: Path) -> None:
    """At the start, and whenever it changes."""
    live = [policies("ann")]
    with watched(tmp_path, live):
        wait_for({live[0].digest}, tmp_path)
        live.append(policies("bob"))
        wait_for({one.digest for one in live}, tmp_path)


def test_a_folder_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning, a new attempt later, and a line when it works again."""
    monkeypatch.setattr(policy_snapshots, "RETRY_SECONDS", 0.05)
    folder = tmp_path / "kept"
    folder.write_text("in the way")
    with caplog.at_level(logging.WARNING), watched(folder, [policies("ann")]):
        end = time.monotonic() + SECONDS
        while not caplog.messages:
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(0.2)
        folder.unlink()
        wait_for({policies("ann").digest}, folder)
    assert caplog.messages == [
        f"audit.policy_snapshots: the live policies cannot be kept in {folder}: File exists",
        f"audit.policy_snapshots: the live policies are kept again in {folder}",
    ]


def test_an_unexpected_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Its type alone is logged, and the thread goes on."""

    def broken(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(policy_snapshots, "keep", broken)
    with caplog.at_level(logging.WARNING), watched(tmp_path, [policies("ann")]):
        end = time.monotonic() + SECONDS
        while not caplog.messages:
            assert time.monotonic() < end
            time.sleep(0.01)
    assert caplog.messages[0].endswith("unexpected RuntimeError")
    assert "secret" not in caplog.text


@pytest.mark.parametrize("configured", [True, False])
def test_a_server_keeps_them_if_it_is_configured(configured: bool, server_folder: Path, tmp_path: Path) -> None:
    """Without the key there is no thread."""
    make_server(server_folder)
    settings = load_settings(server_folder / "tokenserver-True-1.yaml")
    kept = tmp_path / "kept"
    if configured:
        settings = settings.model_copy(update={"audit": AuditSettings(policy_snapshots=kept)})
    parts = build(settings)
    stop = threading.Event()
    threads = parts.tend(stop)
    try:
        assert [thread.name for thread in threads if thread.name == "policy-snapshots"] == (
            ["policy-snapshots"] if configured else []
        )
        if configured:
            wait_for({parts.live.policy()}, kept)
    finally:
        stop.set()
        for thread in threads:
            thread.join(SECONDS)
    assert kept.exists() is configured
