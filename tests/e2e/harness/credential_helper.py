"""docker-credential-tokenserver on a client's machine, as its zipapp, and what it answers there."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shlex
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from typing import Any

from script_modules import load_script

from harness.machine import Machine
from harness.processes import Output
from harness.waiting import PATIENCE_SECONDS

NAME = "docker-credential-tokenserver"


class TerminalOutput:
    """A program with a terminal of its own, which shows its standard error."""

    def __init__(self, command: list[str], machine: Machine, stdin: str) -> None:
        self._controller, terminal = pty.openpty()
        self._process = subprocess.Popen(
            command,
            env=machine.environment,
            cwd=machine.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=terminal,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(2, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - a system call, no lock
        )
        os.close(terminal)
        self.shown = ""
        assert self._process.stdin is not None
        self._process.stdin.write(stdin.encode())
        self._process.stdin.close()

    def wait_for(self, pattern: str, seconds: float = PATIENCE_SECONDS) -> str:
        """The first group of the pattern, once it is shown."""
        end = time.monotonic() + seconds
        while (found := re.search(pattern, self.shown)) is None:
            assert time.monotonic() < end, self.shown
            assert self._read(), self.shown
        return found[1]

    def end(self) -> tuple[int, str]:
        """The exit code and standard output, once it has ended."""
        while self._read():
            pass
        assert self._process.stdout is not None
        output = self._process.stdout.read().decode()
        self._process.stdout.close()
        os.close(self._controller)
        return self._process.wait(timeout=PATIENCE_SECONDS), output

    def _read(self) -> bool:
        try:
            piece = os.read(self._controller, 4096)
        except OSError:  # the other end is closed
            return False
        self.shown += piece.decode(errors="replace")
        return bool(piece)


class HelperOnMachine:
    """The program on the PATH of the machine, with a folder of its own; clients are configured for `host`."""

    def __init__(self, machine: Machine, host: str, **settings: Any) -> None:
        self.machine = machine
        self.host = host
        programs = machine.folder / "programs"
        programs.mkdir(exist_ok=True)
        (programs / "helper.pyz").write_bytes(load_script("credential-helper-zipapp").archive())
        # By the interpreter of the tests, since the zipapp's own line takes the first python3 of the PATH.
        script = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {programs / "helper.pyz"} "$@"\n'
        (programs / NAME).write_text(script)
        (programs / NAME).chmod(0o755)
        machine.environment["PATH"] = f"{programs}:{machine.environment['PATH']}"
        self.file = programs / NAME
        self.folder = machine.folder / ".config" / "tokenserver"
        if settings:
            self.folder.mkdir(mode=0o700)
            (self.folder / "helper.json").write_text(json.dumps(settings))
        text = json.dumps({"credHelpers": {host: "tokenserver"}})
        for path in (machine.docker_config, machine.auth_file):
            path.write_text(text)

    def run(self, *arguments: str, stdin: str = "", environment: Mapping[str, str] | None = None) -> Output:
        """Run it as a person or a client does."""
        return self.machine.run(self.file, *arguments, stdin=stdin, environment=environment)

    def at_a_terminal(self, *arguments: str, stdin: str = "") -> TerminalOutput:
        """Run it as a client does that a person has started: only standard error is the terminal."""
        return TerminalOutput([str(self.file), *arguments], self.machine, stdin)

    def get(self, environment: Mapping[str, str] | None = None) -> tuple[str, str] | None:
        """What it answers for the registry: user name and secret."""
        output = self.run("get", stdin=self.host, environment=environment)
        if not output.ok:
            assert output.stdout == "credentials not found in native keychain", str(output)
            return None
        members = json.loads(output.stdout)
        return members["Username"], members["Secret"]

    def stored(self) -> dict[str, Any]:
        """Its file."""
        file = self.folder / "credentials.json"
        found: dict[str, Any] = json.loads(file.read_text())["registries"] if file.exists() else {}
        return found

    def age(self, seconds: int) -> None:
        """Let the last looks at all logins be so much longer ago."""
        file = self.folder / "credentials.json"
        content = json.loads(file.read_text())
        for login in content["registries"].values():
            for name in ("checked", "probed"):
                login[name] -= seconds
        file.write_text(json.dumps(content))
