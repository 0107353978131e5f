"""docs/logs.md: its rotations with the real logrotate, under a server that writes, and its other settings."""

from __future__ import annotations

import getpass
import grp
import gzip
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from harness.programs import ROOT, need, refuse
from harness.registries import KEEPER
from harness.server import Setup, TokenServer, serving

from tokenserver.cli import main

PAGE = (ROOT / "docs" / "logs.md").read_text("utf-8")
BLOCKS: dict[str, str] = dict(re.findall(r"^<!-- test: (\w+) -->\n```\w*\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
JOURNALD = Path("/usr/lib/systemd/systemd-journald")
SECONDS = 20


@pytest.fixture
def server(setup: Setup, tmp_path: Path) -> Iterator[TokenServer]:
    """A server whose events are appended to a file."""
    small = replace(setup, people={KEEPER: setup.people[KEEPER]}, settings={"server": {"workers": 1}})
    (tmp_path / "site").mkdir()
    with serving(tmp_path / "site", small) as running:
        yield running


def ask(server: TokenServer, times: int) -> None:
    """Requests, each of which leaves an event."""
    for _ in range(times):
        server.token("registry2.test", ["repository:public/x:pull"])


def exchanges(data: bytes) -> int:
    """The events of exchanges; each line has to be whole."""
    return sum(json.loads(line)["event"] == "exchange" for line in data.splitlines())


def rotating(example: str, changes: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    """Logrotate with an example of the page, at another place."""
    text = BLOCKS[example]
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    config = folder / "logrotate.conf"
    config.write_text(text)
    config.chmod(0o600)
    command: list[str | Path] = [need("logrotate"), "--force", "--state", folder / "state", config]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(program: subprocess.Popen[bytes]) -> None:
    """Wait for its end, and see that it succeeds."""
    output, _ = program.communicate(timeout=SECONDS)
    assert (program.returncode, output) == (0, b"")


def test_a_rotation_with_a_restart_loses_nothing(
    server: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events between the rotation and the restart are in the moved file, which is compressed when it is complete."""
    trail = server.daemon.stdout
    ask(server, 3)
    user = f"create 0600 {getpass.getuser()} {grp.getgrgid(os.getgid()).gr_name}"
    restart = f"touch {tmp_path}/moved; while [ ! -e {tmp_path}/restarted ]; do sleep 0.05; done"
    changes = {
        "/var/log/tokenserver/audit.jsonl": str(trail),
        "create 0600 tokenserver tokenserver": user,
        "systemctl restart tokenserver": restart,
    }
    program = rotating("restart", changes, tmp_path)
    deadline = time.monotonic() + SECONDS
    while not (tmp_path / "moved").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    ask(server, 2)
    server.daemon.stop()
    server.daemon.start(server.is_ready)
    (tmp_path / "restarted").touch()
    finish(program)
    ask(server, 4)
    (moved,) = trail.parent.glob(f"{trail.name}-*.gz")
    assert (exchanges(gzip.decompress(moved.read_bytes())), exchanges(trail.read_bytes())) == (5, 4)
    monkeypatch.chdir(trail.parent)
    found = CliRunner().invoke(main, ["audit", "search", "--json", "--event", "exchange", moved.name, trail.name])
    assert (found.exit_code, found.output.count("\n")) == (0, 9)


def test_copytruncate_leaves_no_hole(server: TokenServer, tmp_path: Path) -> None:
    """The server appends, so that it goes on at the new end of the file; here nothing is written in between."""
    trail = server.daemon.stdout
    ask(server, 3)
    finish(rotating("copytruncate", {"/var/log/tokenserver/server.log": str(trail)}, tmp_path))
    ask(server, 4)
    copy = trail.with_name(f"{trail.name}.1.gz")
    assert (exchanges(gzip.decompress(copy.read_bytes())), exchanges(trail.read_bytes())) == (3, 4)


def test_journald_has_the_settings() -> None:
    """Each key is one that the journald of this machine reads; it ignores others."""
    if not JOURNALD.exists():
        refuse("systemd-journald is not installed")
    program = JOURNALD.read_bytes()
    section, *settings = BLOCKS["journald"].split()
    assert section == "[Journal]"
    keys = [setting.partition("=")[0] for setting in settings]
    assert len(keys) == 4
    assert [key for key in keys if f"Journal.{key}\0".encode() not in program] == []


def test_vector() -> None:
    """What flows is connected, and lines may be as long as events."""
    config: dict[str, Any] = yaml.safe_load(BLOCKS["vector"])
    parts = {**config["sources"], **config["transforms"]}
    later = [*config["transforms"].values(), *config["sinks"].values()]
    assert {name for part in later for name in part["inputs"]} == set(parts)
    assert config["sources"]["tokenserver"]["max_line_bytes"] > 64 * 1024


def test_promtail() -> None:
    """The unit is ours."""
    (job,) = yaml.safe_load(BLOCKS["promtail"])["scrape_configs"]
    assert job["journal"]["matches"] == "_SYSTEMD_UNIT=tokenserver.service"
    assert (ROOT / "deploy" / "tokenserver.service").exists()
