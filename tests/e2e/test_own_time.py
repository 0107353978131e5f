"""The clock by which tests beside others hold the server to its promises: waiting for a core does not count."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from harness.own_time import OwnTime
from harness.processes import children_of

BUSY = "import os, time\nos.sched_setaffinity(0, {%d})\nwhile time.process_time() < %f: pass\n"
CORE = min(os.sched_getaffinity(0))


@contextmanager
def busy(seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """A program that needs so many seconds of one core, which it shares with all others here."""
    with subprocess.Popen([sys.executable, "-c", BUSY % (CORE, seconds)]) as program:
        try:
            yield program
        finally:
            program.kill()


def test_waiting_for_a_core_does_not_count() -> None:
    """Of four programs on one core each waits for the others."""
    with busy(0.5) as one, busy(60), busy(60), busy(60):
        own, begin = OwnTime(one.pid), time.monotonic()
        while one.poll() is None and time.monotonic() < begin + 1.5:
            time.sleep(0.05)
        seconds, elapsed = own.seconds, time.monotonic() - begin
    assert elapsed >= 1
    assert seconds < 0.75 * elapsed


def test_what_a_started_program_waits_does_not_count_either() -> None:
    """A server's workers are its children."""
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY % (CORE, 60.0)!r}])"
    with subprocess.Popen([sys.executable, "-c", script]) as parent, busy(60), busy(60), busy(60):
        until_started(parent)
        own, begin = OwnTime(parent.pid), time.monotonic()
        time.sleep(1.5)
        seconds, elapsed = own.seconds, time.monotonic() - begin
        for child in children_of(parent.pid):
            os.kill(child, 9)
    assert seconds < 0.75 * elapsed


def until_started(parent: subprocess.Popen[bytes]) -> None:
    """Wait until it has a child."""
    while not children_of(parent.pid):
        time.sleep(0.05)


@pytest.mark.parametrize("seconds", [0.2, 0.5])
def test_everything_else_counts(seconds: float) -> None:
    """A program that sleeps, or waits for a disk or for another one, takes its time."""
    with subprocess.Popen(["sleep", "60"]) as program:
        own = OwnTime(program.pid)
        time.sleep(seconds)
        found = own.seconds
        program.kill()
    assert found >= 0.95 * seconds
