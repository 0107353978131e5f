"""Overload: a process without descriptors closes the connections that wait to be accepted."""

from __future__ import annotations

import gc
import logging
import os
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tokenserver.process.overload import (
    EXHAUSTED_SECONDS,
    Overload,
    accept_arrivals,
    close_queued,
    connections_at,
    find_listener,
    spare_descriptor,
)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    gc.collect()  # what tests before left open has low numbers, among which a listener is looked for
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listening:
        yield listening


Connect = Callable[[int], list[socket.socket]]


@pytest.fixture
def connect(listener: socket.socket) -> Iterator[Connect]:
    """Makes clients, which wait in the queue of the listener."""
    with ExitStack() as stack:

        def some(count: int) -> list[socket.socket]:
            return [
                stack.enter_context(socket.create_connection(listener.getsockname(), timeout=5)) for _ in range(count)
            ]

        yield some


def ends(client: socket.socket) -> bool:
    """Whether the server has closed the client's connection."""
    client.settimeout(0.2)
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def without_descriptors(check: Callable[[], bool]) -> bool:
    """What a check says in a child process that can open nothing more; what is open already stays within its limit."""
    files = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir()) + 8
    child = os.fork()
    if not child:
        code = 2
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
            try:
                while True:
                    os.dup(2)
            except OSError:
                code = 0 if check() else 1
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, 1}
    return code == 0


def test_find_listener(listener: socket.socket, connect: Connect) -> None:
    """The socket that listens on the port: not a connection of it, and not a socket that listens elsewhere."""
    port = listener.getsockname()[1]
    clients = connect(2)
    accepted, _ = listener.accept()
    with accepted, socket.create_server(("127.0.0.1", 0)) as other:
        assert find_listener(port) == listener.fileno()
        assert find_listener(other.getsockname()[1]) == other.fileno()
    assert find_listener(clients[0].getsockname()[1]) is None


def test_find_listener_without_descriptors(listener: socket.socket) -> None:
    """It opens nothing."""
    port, descriptor = listener.getsockname()[1], listener.fileno()
    assert without_descriptors(lambda: find_listener(port) == descriptor)


def test_close_queued(listener: socket.socket, connect: Connect) -> None:
    """All clients in the queue are closed; those accepted before stay, and later ones are accepted as usual."""
    first = connect(1)
    accepted, _ = listener.accept()
    with accepted:
        queued = connect(5)
        close_queued(listener.fileno())
        assert [ends(client) for client in queued] == [True] * 5
        assert not ends(first[0])
        connect(1)[0].sendall(b"x")
        listener.setblocking(True)
        later, _ = listener.accept()
        assert later.recv(1) == b"x"
        later.close()


def test_without_descriptors(listener: socket.socket, connect: Connect) -> None:
    """A process that has none left closes the queue by its own check."""
    queued = connect(3)
    overload = Overload((listener.getsockname()[1],))
    assert without_descriptors(lambda: overload.is_relieved(100.0) and overload.is_exhausted)
    assert [ends(client) for client in queued] == [True] * 3


def test_with_descriptors(listener: socket.socket, connect: Connect) -> None:
    """Nothing is closed."""
    queued = connect(1)
    overload = Overload((listener.getsockname()[1],))
    assert (overload.is_relieved(100.0), overload.is_exhausted) == (True, False)
    assert not ends(queued[0])


def test_how_long(listener: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The time counts from the first check without descriptors, and anew after one with some; each time logs once."""
    caplog.set_level(logging.ERROR)
    has_some = iter([False, False, True, False, False, False])
    monkeypatch.setattr("tokenserver.process.overload.has_descriptor", lambda: next(has_some))
    overload = Overload((listener.getsockname()[1],))
    moments = [0.0, EXHAUSTED_SECONDS - 1.0, EXHAUSTED_SECONDS + 1.0, 20.0, 20.0 + EXHAUSTED_SECONDS - 0.1, 35.0]
    assert [overload.is_relieved(moment) for moment in moments] == [True, True, True, True, True, False]
    assert [record.message.partition(";")[0] for record in caplog.records] == [
        "a worker is out of descriptors, and closes new connections"
    ] * 2


def test_a_worker_whose_connections_end_goes_on(
    listener: socket.socket, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of descriptors for long, since connections come as fast as others end: that is no reason to end them all."""
    monkeypatch.setattr("tokenserver.process.overload.has_descriptor", lambda: False)
    overload = Overload((listener.getsockname()[1],))
    connect(2)
    first, second = listener.accept()[0], listener.accept()[0]
    with second:
        with first:
            assert overload.is_relieved(0.0)
        assert overload.is_relieved(EXHAUSTED_SECONDS)
        assert overload.is_relieved(2 * EXHAUSTED_SECONDS - 1.0)
        assert not overload.is_relieved(2 * EXHAUSTED_SECONDS)


def test_connections_at(listener: socket.socket, connect: Connect) -> None:
    """The listener and what it accepted: no connection to the port, nothing at another port, and no other socket."""
    port = listener.getsockname()[1]
    connect(2)
    accepted, _ = listener.accept()
    with accepted, socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX):
        expected = {os.fstat(one.fileno()).st_ino for one in (listener, accepted)}
        assert connections_at({port}) == expected
        assert without_descriptors(lambda: connections_at({port}) == expected)


def test_drop_arrivals(listener: socket.socket, connect: Connect) -> None:
    """Nobody gets into the queue until arrivals are accepted again; who was accepted before does not notice."""
    first = connect(1)[0]
    accepted, _ = listener.accept()
    with accepted:
        queued = connect(2)
        close_queued(listener.fileno(), drop_arrivals=True)
        assert [ends(client) for client in queued] == [True] * 2
        first.sendall(b"x")
        assert accepted.recv(1) == b"x"
        with pytest.raises(TimeoutError):
            socket.create_connection(listener.getsockname(), timeout=0.2)
        accept_arrivals(listener.fileno())
        connect(1)
        listener.accept()[0].close()
    accept_arrivals(listener.fileno())  # nothing to undo


def test_the_listener_sees_the_empty_queue(listener: socket.socket, connect: Connect) -> None:
    """A thread that tries to accept without descriptors learns that nothing is queued, and takes no connection. The
    spare descriptor is there again for the next time.
    """
    listener.setblocking(False)
    overload = Overload((listener.getsockname()[1],))
    assert overload.is_relieved(0.0)
    connect(2)

    def sees_it() -> bool:
        for now in (100.0, 101.0):
            tries = threading.Thread(target=try_to_accept, args=(listener,), daemon=True)
            tries.start()
            assert overload.is_relieved(now)
            tries.join(5)
            if tries.is_alive():
                return False
        return spare_descriptor() is None

    assert without_descriptors(sees_it)


def try_to_accept(listener: socket.socket) -> None:
    """Ends when nothing is queued, and not if only descriptors are missing."""
    while True:
        try:
            listener.accept()
        except BlockingIOError:
            return
        except OSError:
            continue
        raise AssertionError("accepted")


def test_no_process_either(listener: socket.socket, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no child can be started, the queue stays for the next call."""

    def refused() -> int:
        raise BlockingIOError

    queued = connect(1)
    monkeypatch.setattr(os, "fork", refused)
    close_queued(listener.fileno())
    assert not ends(queued[0])
