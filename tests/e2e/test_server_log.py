"""The log of a server from start to stop: JSON for programs, readable lines at a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from harness import web
from harness.registries import KEEPER
from harness.server import Setup, TokenServer, serving
from harness.waiting import until


@pytest.fixture
def small(setup: Setup) -> Setup:
    """Two workers."""
    return replace(setup, people={KEEPER: setup.people[KEEPER]}, settings={"server": {"workers": 2}})


def test_json_from_the_first_line(small: Setup, tmp_path: Path) -> None:
    """Where it listens, when it is ready, and that it stops; nothing in the log is anything but JSON."""
    with serving(tmp_path, small) as server:
        until(lambda: "ready: " in server.daemon.stderr.read_text())
    messages = [json.loads(line)["message"] for line in server.daemon.stderr.read_text().splitlines()]
    expected = [
        r"realm http://localhost:\d+/token for .*; \d+ rules",
        rf"ready: 2 workers listen on http://127\.0\.0\.1:{server.port}",
        "stopping: requests in progress are completed, for at most 20 seconds",
        "stopped",
    ]
    places = [next((i for i, text in enumerate(messages) if re.fullmatch(one, text)), -1) for one in expected]
    assert -1 not in places, messages
    assert places == sorted(places)


@pytest.mark.parametrize("choice", [{}, {"NO_COLOR": "1"}], ids=["colours", "no-colours"])
def test_at_a_terminal(small: Setup, tmp_path: Path, choice: dict[str, str]) -> None:
    """The log and the audit events are readable lines, coloured unless `NO_COLOR` is set."""
    server = TokenServer(tmp_path, small)
    controller, terminal = pty.openpty()
    command = server.command("serve", "--config", server.config)
    environment = {**server.environment, "TERM": "xterm", **choice}
    process = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=terminal, stderr=terminal)
    os.close(terminal)
    said = ""
    try:
        end, asked = time.monotonic() + 30, False
        while time.monotonic() < end and "secret/x:push" not in said:
            if select.select([controller], [], [], 0.1)[0]:
                said += os.read(controller, 65536).decode()
            if "ready: 2 workers" in said and not asked:
                asked = True
                web.request(server.port, "GET", web.token_target("registry2.test", ["repository:secret/x:push"]))
    finally:
        process.send_signal(signal.SIGTERM)
        while select.select([controller], [], [], 5)[0]:
            try:
                said += os.read(controller, 65536).decode()
            except OSError:  # the other end is closed
                break
        os.close(controller)
        assert process.wait(timeout=30) == 0
    lines = said.replace("\r\n", "\n").splitlines()
    plain = [re.sub(r"\x1b\[\d*m", "", line) for line in lines]
    assert re.fullmatch(r"\d\d:\d\d:\d\d ready: 2 workers listen on http://127.0.0.1:\d+", _with("ready", plain))
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d denied    anonymous from 127.0.0.1 for registry2.test asked secret/x:push",
        _with("denied", plain),
    )
    assert plain[-1].endswith(" stopped")
    assert ("\x1b[" in said) is (not choice)


def _with(text: str, lines: list[str]) -> str:
    return next((line for line in lines if text in line), "")
