"""Process limits: descriptors, connections, core files, and the end of a worker with its master."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tokenserver.process import process_limits
from tokenserver.process.process_limits import (
    FILES_KEPT_BACK,
    FILES_OF_LISTENER,
    MAX_CONNECTIONS,
    MAX_FILES,
    connections_for,
    end_at_the_latest,
    end_orphan_after_master,
    end_with,
    harden_process,
    has_descriptor,
    take_files,
)

NO_LIMIT = resource.RLIM_INFINITY


def exit_code_of(run: Callable[[], int]) -> int:
    """The exit code of a child process that runs this; a signal is negative."""
    child = os.fork()
    if not child:
        try:
            code = run()
        except BaseException:
            code = 99
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [
        pytest.param(1024, 4096, 4096, id="up-to-the-hard-limit"),
        pytest.param(1024, 1_000_000, MAX_FILES, id="no-more-than-needed"),
        pytest.param(1024, NO_LIMIT, MAX_FILES, id="no-hard-limit"),
        pytest.param(4096, 4096, 4096, id="already-there"),
        pytest.param(100_000, 200_000, MAX_FILES, id="more-already"),
        pytest.param(NO_LIMIT, NO_LIMIT, MAX_FILES, id="no-limit"),
    ],
)
def test_take_files(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, expected: int) -> None:
    """The soft limit is what is needed, as far as the hard limit allows, which is never changed."""
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: set_to.append(limits))
    assert take_files() == expected
    assert set_to == ([] if soft == expected else [(expected, hard)])


@pytest.mark.parametrize(
    ("files", "is_tls", "connections"),
    [
        pytest.param(FILES_KEPT_BACK + 10, False, 10, id="the-rest"),
        pytest.param(MAX_FILES, False, MAX_CONNECTIONS, id="at-most"),
        pytest.param(FILES_KEPT_BACK, False, 1, id="none-left"),
        pytest.param(0, False, 1, id="nothing"),
        pytest.param(FILES_KEPT_BACK + 10, True, FILES_KEPT_BACK + 10, id="tls"),
        pytest.param(MAX_FILES, True, MAX_FILES, id="tls-at-most"),
    ],
)
def test_connections(files: int, is_tls: bool, connections: int) -> None:
    """Some descriptors are kept back, and one connection is always possible. With TLS, descriptors run out first."""
    assert connections_for(files, is_tls=is_tls) == connections


def test_two_listeners_share_the_descriptors() -> None:
    """Each has half of those that are left; with TLS as many as there are descriptors."""
    each = connections_for(1024, is_tls=False, listeners=2)
    assert 2 * each + FILES_KEPT_BACK + FILES_OF_LISTENER == 1024
    assert connections_for(1024, is_tls=True, listeners=2) == 1024


def test_has_descriptor() -> None:
    """False once the process may open no more, and true again when one is closed."""

    def run() -> int:
        os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])  # what tests before this one have open
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        before, opened = has_descriptor(), []
        try:
            while True:
                opened.append(os.dup(2))
        except OSError:
            full = has_descriptor()
        os.close(opened.pop())
        return 0 if (before, full, has_descriptor()) == (True, False, True) else 1

    assert exit_code_of(run) == 0


def test_no_core_files() -> None:
    """Neither the soft nor the hard limit allows one."""

    def run() -> int:
        harden_process()
        return 0 if resource.getrlimit(resource.RLIMIT_CORE) == (0, 0) else 1

    assert exit_code_of(run) == 0


@pytest.mark.parametrize(("is_there", "code"), [pytest.param(True, 0, id="there"), pytest.param(False, 1, id="gone")])
def test_a_worker_whose_master_is_gone_ends(is_there: bool, code: int) -> None:
    """Before the kernel could be asked: the parent is another process already."""
    master = os.getpid() if is_there else 0

    def run() -> int:
        end_with(master)
        return 0

    assert exit_code_of(run) == code


@contextmanager
def orphan_of(work: Callable[[int, int], object]) -> Iterator[tuple[int, float]]:
    """A process whose master is killed once it has written "ready ": where what it writes after that can be read, and
    when the master was killed, in monotonic seconds.

    It does `work`, given the process id of its master and where to write.
    """
    reader, writer = os.pipe()
    master = os.fork()
    if not master:
        me = os.getpid()
        if not os.fork():
            work(me, writer)
            os._exit(1)
        time.sleep(60)
        os._exit(1)
    os.close(writer)
    try:
        assert os.read(reader, 100) == b"ready "
        killed = time.monotonic()
        os.kill(master, signal.SIGKILL)
        os.waitpid(master, 0)
        yield reader, killed
    finally:
        os.close(reader)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux sends the signal")
def test_a_worker_ends_with_its_master() -> None:
    """SIGTERM arrives although the master was killed."""

    def work(master: int, writer: int) -> None:
        signal.signal(signal.SIGTERM, lambda *_: os.write(writer, b"ended") and os._exit(0))
        end_with(master)
        os.write(writer, b"ready ")
        time.sleep(30)

    with orphan_of(work) as (reader, _):
        assert os.read(reader, 100) == b"ended"


def hang() -> int:
    """A minute in which no other thread of Python can run, since this one keeps the GIL. Only SIGALRM ends it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - {signal.SIGALRM})  # they would wake it
    return int(ctypes.PyDLL(None).sleep(60))


def test_a_process_that_hangs_ends_at_the_latest(capfd: pytest.CaptureFixture[str]) -> None:
    """With the place of each thread, though none of them can do anything. See docs/design/threats.md#threat-242."""

    def run() -> int:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        end_at_the_latest(0.5)
        end_at_the_latest(60)  # does not put it off
        return hang()

    begin = time.monotonic()
    assert exit_code_of(run) == 1
    assert 0.4 < time.monotonic() - begin < 10
    written = capfd.readouterr().err
    assert written.startswith("Timeout (0:00:00.5")
    assert written.count("Thread 0x") == 2
    assert written.count(" in hang\n") == 1


def test_a_process_that_hangs_and_cannot_write_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reads its standard error, a pipe that is full; and SIGALRM was ignored by the parent."""
    monkeypatch.setattr(process_limits, "ALARM_SECONDS", 1)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    while True:
        try:
            os.write(writer, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(writer, True)
    master = os.getpid()

    def run() -> int:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        os.dup2(writer, 2)
        end_with(master)
        end_at_the_latest(0.2)
        return hang()

    try:
        assert exit_code_of(run) == -signal.SIGALRM
    finally:
        os.close(reader)
        os.close(writer)


def test_a_process_that_ends_in_time_writes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """Nor does it wait."""
    begin = time.monotonic()

    def run() -> int:
        end_at_the_latest(20)
        return 7

    assert exit_code_of(run) == 7
    assert time.monotonic() - begin < 10
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux sends the signal")
@pytest.mark.parametrize("hangs", [pytest.param(True, id="hangs"), pytest.param(False, id="does not stop")])
def test_an_orphan_that_hangs_already_ends(monkeypatch: pytest.MonkeyPatch, hangs: bool) -> None:
    """No thread of Python learns of SIGTERM, or none obeys. See docs/design/threats.md#threat-242."""
    monkeypatch.setattr(process_limits, "ORPHAN_SIGNAL", signal.SIGHUP)  # its number is 1

    def work(master: int, writer: int) -> None:
        signal.signal(signal.SIGTERM, lambda *_: None)
        end_with(master)
        is_set = threading.Event()

        def wait() -> None:
            end_orphan_after_master()
            is_set.set()
            time.sleep(60)

        threading.Thread(target=wait, daemon=True).start()
        is_set.wait()
        os.write(writer, b"ready ")
        hang() if hangs else time.sleep(60)

    with orphan_of(work) as (reader, killed):
        assert os.read(reader, 100) == b""
        assert 0.9 < time.monotonic() - killed < 15


def test_the_signal_of_orphans_leaves_the_grace() -> None:
    """Its number is the seconds after which an orphan ends: later than one that still can write where it hangs."""
    from tokenserver.process.supervisor import HANG_AT_STOP_SECONDS

    assert HANG_AT_STOP_SECONDS + 1 < process_limits.ORPHAN_SIGNAL < HANG_AT_STOP_SECONDS + 10
