"""A server whose audit events go to a file that the real logrotate rotates, as docs/logs.md says."""

from __future__ import annotations

import getpass
import grp
import gzip
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.log_collectors import example
from harness.programs import need
from harness.registries import KEEPER
from harness.server import Audit, Setup, TokenServer, started
from harness.waiting import PATIENCE_SECONDS, until


@contextmanager
def trailing(folder: Path, setup: Setup, settings: dict[str, Any]) -> Iterator[TokenServer]:
    """A running server that appends its events to `folder/log/audit.jsonl`."""
    small = replace(setup, people={KEEPER: setup.people[KEEPER]}, settings=settings)
    (folder / "site").mkdir()
    (folder / "log").mkdir()
    server = TokenServer(folder / "site", small)
    server.daemon.stdout = folder / "log" / "audit.jsonl"
    server.audit = Audit(server.daemon.stdout)
    with started(server):
        yield server


def rotating(text: str, folder: Path) -> subprocess.Popen[bytes]:
    """A running logrotate with this configuration, whose state is kept in `folder`."""
    config = folder / "logrotate.conf"
    config.write_text(text)
    config.chmod(0o600)
    command: list[str | Path] = [need("logrotate"), "--force", "--state", folder / "state", config]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(program: subprocess.Popen[bytes]) -> None:
    """Wait for its end, and see that it succeeds."""
    output, _ = program.communicate(timeout=PATIENCE_SECONDS)
    assert (program.returncode, output) == (0, b"")


class Rotation:
    """A rotation by the example with a restart, while it waits for that: the file is moved, and events go there."""

    def __init__(self, server: TokenServer, folder: Path) -> None:
        moved, self._restarted = folder / "moved", folder / "restarted"
        for sign in (moved, self._restarted):
            sign.unlink(missing_ok=True)
        changes: dict[str, str | Path] = {
            "/var/log/tokenserver/audit.jsonl": server.daemon.stdout,
            # Rotations of one day would have the same name.
            "dateext\n": "dateext\n    dateformat -%Y%m%d-%s\n",
            "create 0600 tokenserver tokenserver": f"create 0600 {getpass.getuser()} {_group()}",
            "systemctl restart tokenserver": f"touch {moved}; while [ ! -e {self._restarted} ]; do sleep 0.05; done",
        }
        self._server = server
        self._program = rotating(example("restart", changes), folder)
        until(moved.exists)

    def restart(self) -> None:
        """Restart the server, and let logrotate finish."""
        self._server.daemon.stop()
        self._server.daemon.start(self._server.is_ready)
        self._restarted.touch()
        finish(self._program)


def written(server: TokenServer) -> list[bytes]:
    """All lines of the server without their newline, in the order of time, out of rotated files and the last one."""
    lines = []
    for file in sorted(server.daemon.stdout.parent.iterdir()):
        data = file.read_bytes()
        lines += (gzip.decompress(data) if file.suffix == ".gz" else data).splitlines()
    return lines


def _group() -> str:
    return grp.getgrgid(os.getgid()).gr_name
