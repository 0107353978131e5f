"""CPU time of processes, as the kernel counts it (proc(5))."""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def seconds(processes: Sequence[int]) -> float:
    """The CPU time of these processes so far, including all threads."""
    return sum(_of(process) for process in processes)


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
