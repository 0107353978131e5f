"""What the server process asks of the kernel for itself: no core files, no debuggers, and enough descriptors."""

from __future__ import annotations

import ctypes
import resource
import sys

MAX_FILES = 65_536
FILES_KEPT_BACK = 32
"""Descriptors that connections never take: for policies, users, keys, directories and the log."""

MAX_CONNECTIONS = 4096

_PR_SET_DUMPABLE = 4


def harden_process() -> None:
    """Keep keys and passwords out of core files and away from debuggers of the same user (Linux)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0)


def take_files() -> int:
    """Take as many descriptors as may be had without asking anybody, and tell how many one process now has.

    The usual limit is 1,024, which a few hundred slow clients use up; the limit that matters is the hard one.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return MAX_FILES if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def connections_for(files: int) -> int:
    """How many connections one worker process may hold, so that it never runs out of descriptors."""
    return max(1, min(MAX_CONNECTIONS, files - FILES_KEPT_BACK))
