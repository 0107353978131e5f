"""Process hardening and limits: no core files, no debuggers, enough descriptors, and an end that nothing holds up."""

from __future__ import annotations

import ctypes
import faulthandler
import math
import os
import resource
import signal
import sys
import threading

MAX_FILES = 65_536
"""The most descriptors of one process. With TLS they are what bounds its connections."""

FILES_KEPT_BACK = 56
"""Descriptors that are not available to connections: about forty that a worker always has open, and some for
policies, users, keys, directories and the log."""

FILES_OF_LISTENER = 8
"""Descriptors that each further listener always has open."""

MAX_CONNECTIONS = 4096
"""The most connections of one listener of a worker."""

ALARM_SECONDS = 3
"""How long after its latest end the kernel ends a process that could not write its tracebacks."""

ORPHAN_SIGNAL = signal.SIGVTALRM
"""What a worker gets when its master ends, besides SIGTERM. Its number, 26 on nearly all machines, is a time in
seconds: see `end_orphan_after_master`. Nothing else uses it."""

_STDERR = 2

_has_latest_end = threading.Event()

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
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # if the master inherited it as ignored: see `end_at_the_latest`
    _has_latest_end.clear()  # the master's
    if os.getppid() != master:  # it ended before the kernel was asked
        os._exit(1)


def end_orphan_after_master() -> None:
    """Have the kernel end this process `ORPHAN_SIGNAL` seconds after its parent, even if no thread of Python can run
    then, because one of them holds the GIL and hangs (Linux).

    Each thread has a death signal of its own, so call this in another thread than `end_with`, and one that lasts. The
    handler of the signal is the C library's `alarm`, which gets the number of the signal and takes it for seconds;
    SIGALRM then ends the process.
    """
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        library.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
        library.signal(ORPHAN_SIGNAL, ctypes.cast(library.alarm, ctypes.c_void_p))
        library.prctl(_PR_SET_PDEATHSIG, ORPHAN_SIGNAL)


def end_at_the_latest(seconds: float) -> None:
    """End this process after `seconds` if it has not ended by then. Only the first call counts.

    This needs no thread of Python, since all of them may wait for one that holds the GIL and hangs. A thread of C
    writes "Timeout" and the place of each thread to standard error, and exits with 1. If nobody reads standard error,
    the kernel's SIGALRM ends the process `ALARM_SECONDS` later.
    """
    if not _has_latest_end.is_set():
        _has_latest_end.set()
        signal.alarm(math.ceil(seconds) + ALARM_SECONDS)
        faulthandler.dump_traceback_later(seconds, exit=True, file=_STDERR)


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
