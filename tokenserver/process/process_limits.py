"""What the server process asks of the kernel for itself: no core files, no debuggers, and enough descriptors."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

MAX_FILES = 65_536
MAX_FILES_TLS = 1_048_576
"""With TLS, a client holds a descriptor but none of the places before its handshake, for up to ten seconds."""

FILES_KEPT_BACK = 56
"""Descriptors that connections never take: about forty that a worker always has, and some for policies, users, keys,
directories and the log."""

MAX_CONNECTIONS = 4096

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4


def harden_process() -> None:
    """Keep keys and passwords out of core files and away from debuggers of the same user (Linux)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0)


def end_with(master: int) -> None:
    """Get SIGTERM when the process `master`, whose child this is, ends: a worker alone serves an old configuration, and
    holds the address that the next server wants (Linux; elsewhere the sign of life sees to it).
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != master:  # it ended before the kernel was asked
        os._exit(1)


def take_files(most: int = MAX_FILES) -> int:
    """Take as many descriptors as may be had without asking anybody, and tell how many one process now has.

    The usual limit is 1,024, which a few hundred slow clients use up; the limit that matters is the hard one.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most if hard == resource.RLIM_INFINITY else min(hard, most)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return most if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def connections_for(files: int) -> int:
    """How many connections one worker process may hold, so that it never runs out of descriptors."""
    return max(1, min(MAX_CONNECTIONS, files - FILES_KEPT_BACK))


def has_descriptor() -> bool:
    """Whether this process can open one more file, socket or connection."""
    try:
        os.close(os.dup(2))
    except OSError:
        return False
    return True
