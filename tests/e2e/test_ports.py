"""Ports that tests are given: several runs and several workers of a run never get the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from harness import processes
from harness.processes import free_port

FEW = range(31_700, 31_900)
"""So few that two processes would meet."""

OTHER = f"""
from harness import processes
processes.PORTS = {FEW}
print(*(processes.free_port() for _ in range(20)), flush=True)
input()
"""


def test_no_other_process_gets_a_port_that_one_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although nothing listens there; and when a process has ended, its ports are free again."""
    monkeypatch.setattr(processes, "PORTS", FEW)
    ours = {free_port() for _ in range(40)}
    command = [sys.executable, "-c", OTHER]
    folder = Path(__file__).parent
    for _ in range(3):
        with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            theirs = {int(word) for word in other.stdout.readline().split()}
            other.communicate("\n")
        assert (len(ours), len(theirs), ours & theirs) == (40, 20, set())
