"""Process limits: descriptors, connections, core files, and the end of a worker with its master."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Callable

import pytest

from tokenserver.process.process_limits import (
    FILES_KEPT_BACK,
    FILES_OF_LISTENER,
    MAX_CONNECTIONS,
    MAX_FILES,
    connections_for,
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


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux sends the signal")
def test_a_worker_ends_with_its_master() -> None:
    """SIGTERM arrives although the master was killed."""
    reader, writer = os.pipe()
    master = os.fork()
    if not master:
        me = os.getpid()
        if not os.fork():
            signal.signal(signal.SIGTERM, lambda *_: os.write(writer, b"ended") and os._exit(0))
            end_with(me)
            os.write(writer, b"ready ")
            time.sleep(30)
            os._exit(1)
        time.sleep(30)
        os._exit(1)
    os.close(writer)
    try:
        assert os.read(reader, 100) == b"ready "
        os.kill(master, signal.SIGKILL)
        os.waitpid(master, 0)
        assert os.read(reader, 100) == b"ended"
    finally:
        os.close(reader)
