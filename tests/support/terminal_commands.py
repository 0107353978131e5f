"""Commands of tokenserver at a terminal, whose whole output is read."""

from __future__ import annotations

import os
import pty
from pathlib import Path

from prepared_commands import ended, start_command


def at_terminal(*arguments: str | Path, before: str = "", **environment: str) -> tuple[int, str]:
    """Run a command whose outputs are a terminal, which knows no colours; gives its exit code and what it said.

    `before` is code that its process runs first, and `environment` is added to this process's.
    """
    controller, terminal = pty.openpty()
    variables = {**os.environ, "TERM": "dumb", **environment}
    process = start_command(*arguments, stdout=terminal, stderr=terminal, before=before, environment=variables)
    os.close(terminal)
    said = b""
    try:
        while piece := os.read(controller, 65536):
            said += piece
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(controller)
    return ended(process), said.decode().replace("\r\n", "\n")
