"""Process hardening and limits: no core files, no debuggers, enough descriptors, and an end with the master."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

MAX_FILES = 65_536
MAX_FILES_TLS = 1_048_576
"""With TLS, a client holds a descriptor but no connection slot until its handshake, for up to ten seconds."""

FILES_KEPT_BACK = 56
"""Descriptors that are not available to connections: about forty that a worker always has open, and some for
policies, users, keys, directories and the log."""

MAX_CONNECTIONS = 4096

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4


def harden_process() -> None:
    """Keep keys and passwords out of core files and away from debuggers of the same user (Linux)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0)


def end_with(master: int) -> None:
    """Get SIGTERM when the parent process `master` ends: an orphaned worker would serve an old configuration, and hold
    the address that the next server needs (Linux; elsewhere the heartbeat thread does this).
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != master:  # it ended before the kernel was asked
        os._exit(1)


def take_files(most: int = MAX_FILES) -> int:
    """Raise the soft limit of descriptors as far as the hard limit allows, up to `most`; returns the new limit.

    The usual soft limit is 1,024, which a few hundred slow clients exhaust.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most if hard == resource.RLIM_INFINITY else min(hard, most)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return most if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def connections_for(files: int) -> int:
    """How many connections one worker may hold without running out of descriptors."""
    return max(1, min(MAX_CONNECTIONS, files - FILES_KEPT_BACK))


def has_descriptor() -> bool:
    """Whether this process can open one more file, socket or connection."""
    try:
        os.close(os.dup(2))
    except OSError:
        return False
    return True
