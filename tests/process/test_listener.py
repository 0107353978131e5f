"""The listener: metrics only where they are configured. The server itself is tested with real workers (e2e)."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.request import urlopen

import pytest
from harness.processes import free_port

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.errors import LoadError
from tokenserver.process.listener import start_metrics


def settings(folder: Path, more: str = "") -> Settings:
    (folder / "c.yaml").write_text(
        f"issuer: a\nserver: {{url: 'http://localhost:5001'{more}}}\nregistries: [{{service: r}}]\n"
        "anonymous: true\npolicies: p\nkeys: k\n"
    )
    return load_settings(folder / "c.yaml", {})


def test_no_metrics(tmp_path: Path) -> None:
    """Nothing is started, and nothing is shared."""
    assert start_metrics(settings(tmp_path)) is None


def test_metrics_are_served_at_their_address(tmp_path: Path) -> None:
    """From the moment that the call returns, before any worker runs."""
    port = free_port()
    board = start_metrics(settings(tmp_path, f", workers: 2, metrics: '127.0.0.1:{port}'"))
    assert board is not None
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert b"tokenserver_workers 0.0" in answer.read()


def test_an_address_in_use(tmp_path: Path) -> None:
    """It is a fault of the configuration."""
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(LoadError, match="Address already in use"):
        start_metrics(settings(tmp_path, f", metrics: '127.0.0.1:{other.getsockname()[1]}'"))
