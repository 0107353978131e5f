"""CPU time of processes, as the kernel counts it (proc(5))."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Sequence
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_SCHEDULED = 2
"""The kind of clock in the id of a process's clock: time on a processor (CPUCLOCK_SCHED of Linux)."""


def seconds(processes: Sequence[int]) -> float:
    """The CPU time of these processes so far, including all threads."""
    return sum(_of(process) for process in processes)


def exact_seconds(processes: Sequence[int]) -> float:
    """As `seconds`, in nanoseconds instead of ticks: by the CPU clock of each process (clock_getcpuclockid(3))."""
    return sum(time.clock_gettime(~process << 3 | _SCHEDULED) for process in processes)


def _of(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def of_children() -> float:
    """The CPU time of finished child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def busy() -> float:
    """The CPU time of all cores since boot, whatever used it."""
    fields = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    user, nice, system, _, _, interrupts, soft = (int(field) for field in fields[:7])
    return (user + nice + system + interrupts + soft) / _TICKS


def children(process: int) -> list[int]:
    """The child processes."""
    return [int(number) for number in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
