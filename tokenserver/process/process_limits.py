"""Process hardening and limits: no core files, no debuggers, enough descriptors, and an end with the master."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

MAX_FILES = 65_536
"""The most descriptors of one process. With TLS they are what bounds its connections."""

FILES_KEPT_BACK = 56
"""Descriptors that are not available to connections: about forty that a worker always has open, and some for
policies, users, keys, directories and the log."""

FILES_OF_LISTENER = 8
"""Descriptors that each further listener always has open."""

MAX_CONNECTIONS = 4096
"""The most connections of one listener of a worker."""

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


def take_files() -> int:
    """Set the soft limit of descriptors to `MAX_FILES`, or to the hard limit if that is lower; returns the new limit.

    The usual soft limits are 1,024, which a few hundred slow clients exhaust, and about a million in a container, which
    would not bound the memory of connections.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def connections_for(files: int, *, is_tls: bool, listeners: int = 1) -> int:
    """The number of connection slots of one worker: without TLS, few enough that it never runs out of descriptors.
    Each of its `listeners` has as many.

    With TLS, there are as many as descriptors, so that it never runs out of slots. Without a free slot, granian's
    listener neither accepts connections nor ends handshakes that take too long, so a client that is silent in its
    handshake could stay for the time of a slot and the time of a handshake together.
    """
    kept_back = FILES_KEPT_BACK + (listeners - 1) * FILES_OF_LISTENER
    return files if is_tls else max(1, min(MAX_CONNECTIONS, (files - kept_back) // listeners))


def has_descriptor() -> bool:
    """Whether this process can open one more file, socket or connection."""
    try:
        os.close(os.dup(2))
    except OSError:
        return False
    return True
