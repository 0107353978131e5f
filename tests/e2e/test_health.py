"""`tokenserver health` against the real server, over http and over https, as a container's health check calls it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from harness.authority import Authority
from harness.processes import run
from harness.server import Setup, serving


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_healthy_while_it_serves(scheme: str, setup: Setup, tmp_path: Path) -> None:
    """Exit code 0 while it serves, also with a fault in the file that it has not loaded, and 1 afterwards.

    The CA that issued the certificate is known to nobody here, as in a container.
    """
    folder, other = tmp_path / "server", tmp_path / "authority"
    folder.mkdir()
    other.mkdir()
    tls = Authority(other, "authority") if scheme == "https" else None
    with serving(folder, replace(setup, people={"ann": setup.people["ann"]}, tls=tls)) as server:
        command = server.command("health", "--config", server.config)
        healthy = server.run("health", "--config", server.config)
        assert healthy.stdout == f"{scheme}://127.0.0.1:{server.port}/healthz: healthy\n"
        assert server.run("health", "--ready", "--config", server.config).ok
        text = server.config.read_text()
        server.config.write_text(f"{text}\nanonimous: true\n")
        assert server.run("health", "--config", server.config).ok
        server.config.write_text(text)
    stopped = run(command, environment=server.environment, folder=folder)
    assert (stopped.code, "refused" in stopped.stderr) == (1, True)
