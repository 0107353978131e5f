"""A command at a terminal: answers are typed when it asks for them."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from harness.waiting import PATIENCE_SECONDS


def typing(
    command: Sequence[str],
    answers: Sequence[tuple[str, str]],
    *,
    environment: Mapping[str, str],
    folder: Path,
    seconds: float = PATIENCE_SECONDS,
) -> str:
    """Run the command at a terminal and see that it succeeds; gives what it said.

    `answers` are pairs in order: a part of the question, and what is typed then. An empty part does not wait.
    """
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        command,
        env=dict(environment),
        cwd=folder,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    said = ""
    left = [*answers]
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if select.select([controller], [], [], 0.1)[0]:
            try:
                said += os.read(controller, 4096).decode(errors="replace")
            except OSError:  # the other end is closed
                break
        if left and left[0][0] in said:
            os.write(controller, left.pop(0)[1].encode())
    os.close(controller)
    assert process.wait(timeout=PATIENCE_SECONDS) == 0, said
    return said


def commands_in(said: str) -> list[str]:
    """The commands that a closing block tells to try, in order."""
    lines = said.partition("Try in a second terminal:")[2].splitlines()
    return [after.strip() for before, after in pairwise(lines) if before.startswith("  # ")]
