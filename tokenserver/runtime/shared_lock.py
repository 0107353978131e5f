"""A lock shared by the threads of several processes, which is released when the process that holds it is killed.

On Linux it is a robust mutex of the C library (POSIX.1-2008, `pthread_mutexattr_setrobust`) in shared memory: taking
and releasing it costs less than half a microsecond and no system call, and it never gives up Python's own lock, which
would let another thread run for any length of time while this lock is held. Elsewhere, and on systems that turn out not
to release the locks of dead processes, it is a record lock on a file (`lockf`), which is slower and works everywhere.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Protocol

MUTEX_BYTES = 64
"""Room for a mutex: the C libraries of Linux take 24 to 48 bytes."""

_PROCESS_SHARED = 1
_ROBUST = 1
_PROOF_SECONDS = 1.0

SPIN = 64
"""Attempts before a waiter sleeps, about ten microseconds: the lock is usually held for two or three."""

FIRST_PAUSE, LONGEST_PAUSE = 0.00005, 0.002


class SharedLock(Protocol):
    """Mutual exclusion over all threads of all processes. Not reentrant; released by the thread that acquired it."""

    def try_acquire(self) -> bool:
        """Acquire the lock if it is free or its owner is dead."""
        ...

    @property
    def release(self) -> Callable[[], object]:
        """Releases the lock; the return value is meaningless."""
        ...


def acquire(lock: SharedLock, end: float) -> bool:
    """Acquire the lock, or return false at `end` (of `time.monotonic`). Tries at least once."""
    if spin(lock):
        return True
    pause = FIRST_PAUSE
    while time.monotonic() < end:
        time.sleep(pause)
        if lock.try_acquire():
            return True
        pause = min(2 * pause, LONGEST_PAUSE)
    return False


def spin(lock: SharedLock) -> bool:
    """Acquire the lock if it is free, or will be within `SPIN` attempts; return whether it was acquired."""
    return any(lock.try_acquire() for _ in range(SPIN))


def shared_lock(file: int, memory: mmap.mmap, offset: int) -> SharedLock:
    """A new lock. `memory` is the shared mapping of `file`; the `MUTEX_BYTES` at `offset` are reserved for the lock."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            mutex = RobustMutex(memory, offset)
            if _is_robust(mutex):
                return mutex
    return RecordLock(file)


class RobustMutex:
    """A robust mutex in shared memory; see `shared_lock`."""

    def __init__(self, memory: mmap.mmap, offset: int) -> None:
        """Create the mutex at `offset`.

        Raises:
            OSError: the C library cannot create such a mutex.
            AttributeError: the C library has no robust mutexes.
        """
        # Calls through PyDLL keep Python's lock, and nothing here waits.
        libc = ctypes.PyDLL(None)
        self._memory = ctypes.c_char.from_buffer(memory, offset)
        self._mutex = ctypes.c_void_p(ctypes.addressof(self._memory))
        self._try_lock = partial(libc.pthread_mutex_trylock, self._mutex)
        self.release: Callable[[], object] = partial(libc.pthread_mutex_unlock, self._mutex)
        self._make_consistent = libc.pthread_mutex_consistent
        attributes = ctypes.create_string_buffer(MUTEX_BYTES)
        for code in (
            libc.pthread_mutexattr_init(attributes),
            libc.pthread_mutexattr_setpshared(attributes, _PROCESS_SHARED),
            libc.pthread_mutexattr_setrobust(attributes, _ROBUST),
            libc.pthread_mutex_init(self._mutex, attributes),
        ):
            if code:
                raise OSError(code, "no robust mutex")

    def try_acquire(self) -> bool:
        """See `SharedLock`."""
        code: int = self._try_lock()
        if code == errno.EOWNERDEAD:
            code = self._make_consistent(self._mutex)
        return code == 0


class RecordLock:
    """A record lock. It belongs to the process, so `_threads` excludes its other threads. See `shared_lock`."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._threads = threading.Lock()

    def try_acquire(self) -> bool:
        """See `SharedLock`."""
        if not self._threads.acquire(blocking=False):
            return False
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._threads.release()
            return False
        return True

    def release(self) -> None:
        """See `SharedLock`."""
        fcntl.lockf(self._file, fcntl.LOCK_UN)
        self._threads.release()


def _is_robust(mutex: RobustMutex) -> bool:
    """Whether the system releases the mutex of a thread that ends while holding it. Some sandboxes do not."""
    thread = threading.Thread(target=mutex.try_acquire)
    thread.start()
    thread.join()
    if not acquire(mutex, time.monotonic() + _PROOF_SECONDS):
        return False
    mutex.release()
    return True
