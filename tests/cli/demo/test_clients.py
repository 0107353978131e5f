"""Clients of a demo: which one is chosen, and what its commands are; tests/e2e/test_demo.py runs them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tokenserver.cli.demo.clients import CLIENTS, Target, find_client

TARGET = Target("localhost:5000", "admin", Path("my demo"))


def _install(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("installed", "chosen"),
    [
        pytest.param(("docker", "podman", "skopeo", "crane"), "skopeo", id="all"),
        pytest.param(("docker", "podman", "crane"), "crane", id="one-without-an-engine-first"),
        pytest.param(("docker",), "docker", id="docker"),
        pytest.param((), None, id="none"),
    ],
)
def test_the_client_that_needs_least(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: tuple[str, ...], chosen: str | None
) -> None:
    """Those without an engine come first: they work wherever they are installed."""
    _install(tmp_path, *installed)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_client() == chosen


@pytest.mark.parametrize("name", CLIENTS)
def test_commands_are_quoted_and_keep_the_password_out(name: str) -> None:
    """The folder's name has a blank; no command has a password among its words."""
    commands = CLIENTS[name](TARGET)
    for command in (commands.login, commands.push, commands.denied):
        assert shlex.split(command)[0] == name
        assert "my demo" not in command.replace("'my demo/", "")
    assert TARGET.host in shlex.split(commands.login)
    assert commands.push.endswith("localhost:5000/users/admin/hello:1")
    assert commands.denied.endswith("localhost:5000/web/prod/hello:1")
    assert "admin" in shlex.split(commands.login)
