"""Commands of tokenserver at a terminal, whose whole output is read."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

MODULE = ("-m", "tokenserver")


def at_terminal(*arguments: str | Path, program: Sequence[str] = MODULE, **environment: str) -> tuple[int, str]:
    """Run a command whose outputs are a terminal, which knows no colours; gives its exit code and what it said.

    `program` is what Python runs, and `environment` is added to this process's.
    """
    controller, terminal = pty.openpty()
    command = [sys.executable, *program, *map(str, arguments)]
    variables = {**os.environ, "TERM": "dumb", **environment}
    process = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal)
    os.close(terminal)
    said = b""
    try:
        while piece := os.read(controller, 65536):
            said += piece
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(controller)
    return process.wait(timeout=60), said.decode().replace("\r\n", "\n")
