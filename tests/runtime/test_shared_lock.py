"""The shared lock excludes threads and processes, and a dead process does not keep it."""

from __future__ import annotations

import errno
import mmap
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tokenserver.runtime import shared_lock as module
from tokenserver.runtime.shared_lock import MUTEX_BYTES, RecordLock, RobustMutex, SharedLock, acquire, shared_lock

FORK = multiprocessing.get_context("fork")
SIZE = 4096
ROUNDS = 3000


@pytest.fixture
def memory() -> Iterator[tuple[int, mmap.mmap]]:
    """Shared memory and its file, mapped for as long as a lock in it exists."""
    file = os.memfd_create("lock")
    os.ftruncate(file, SIZE)
    yield file, mmap.mmap(file, SIZE)
    os.close(file)


@pytest.fixture(params=[RobustMutex, RecordLock])
def lock(request: pytest.FixtureRequest, memory: tuple[int, mmap.mmap], monkeypatch: pytest.MonkeyPatch) -> SharedLock:
    """A lock of either kind."""
    if request.param is RecordLock:
        monkeypatch.setattr("tokenserver.runtime.shared_lock.sys.platform", "elsewhere")
    made = shared_lock(*memory, 64)
    assert type(made) is request.param
    return made


def _count(lock: SharedLock, memory: mmap.mmap) -> None:
    numbers = memoryview(memory).cast("Q")

    def count() -> None:
        for _ in range(ROUNDS):
            assert acquire(lock, time.monotonic() + 30)
            found = numbers[0]
            if found % 1000 == 0:
                time.sleep(0.0001)  # for others to come between, if they can
            numbers[0] = found + 1
            lock.release()

    threads = [threading.Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_it_excludes_threads_and_processes(lock: SharedLock, memory: tuple[int, mmap.mmap]) -> None:
    """No increment under the lock is lost."""
    processes = [FORK.Process(target=_count, args=(lock, memory[1])) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert memoryview(memory[1]).cast("Q")[0] == 6 * ROUNDS


def _take_and_stop(lock: SharedLock, ready: Callable[[], None]) -> None:
    assert lock.try_acquire()
    ready()
    time.sleep(60)


def test_a_process_that_is_killed_does_not_keep_it(lock: SharedLock) -> None:
    """While it lives, others time out; they get the lock as soon as it is dead, and more than once."""
    ready = FORK.Event()
    process = FORK.Process(target=_take_and_stop, args=(lock, ready.set))
    process.start()
    assert ready.wait(20)
    begun = time.monotonic()
    assert not acquire(lock, begun + 0.1)
    assert 0.1 <= time.monotonic() - begun < 2
    process.kill()
    process.join()
    for _ in range(2):
        assert acquire(lock, time.monotonic() + 5)
        assert not lock.try_acquire()
        lock.release()


def test_another_thread_does_not_get_it(lock: SharedLock) -> None:
    """Record locks belong to processes, so the lock itself has to exclude threads."""
    assert lock.try_acquire()
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(lock.try_acquire()))
    thread.start()
    thread.join()
    lock.release()
    assert found == [False]


@pytest.mark.parametrize("trouble", ["not robust", "none of that kind", "no such function"])
def test_a_system_without_robust_mutexes(
    trouble: str, memory: tuple[int, mmap.mmap], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record lock is used there; nothing but the mutex's own bytes of memory was written."""

    def refused(*_: object) -> RobustMutex:
        raise OSError(errno.ENOTSUP, "no robust mutex") if trouble == "none of that kind" else AttributeError(trouble)

    if trouble == "not robust":
        monkeypatch.setattr(module, "_ROBUST", 0)
        monkeypatch.setattr(module, "_PROOF_SECONDS", 0.05)
    else:
        monkeypatch.setattr(module, "RobustMutex", refused)
    assert type(shared_lock(*memory, 64)) is RecordLock
    assert bytes(memory[1][:64]) + bytes(memory[1][64 + MUTEX_BYTES :]) == bytes(SIZE - MUTEX_BYTES)


def test_attributes_that_the_system_refuses(memory: tuple[int, mmap.mmap], monkeypatch: pytest.MonkeyPatch) -> None:
    """An error code of the C library raises an OSError."""
    monkeypatch.setattr(module, "_PROCESS_SHARED", 99)
    with pytest.raises(OSError, match="no robust mutex"):
        RobustMutex(memory[1], 64)
