"""Output ports: the kind of each descriptor, writes that never wait for a reader, and flags that stay as they are."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tokenserver.runtime.output_ports import FilePort, PolledPort, SocketPort, StreamPort, open_port


def test_what_a_descriptor_is(tmp_path: Path) -> None:
    """Each kind is written to in its own way; nothing that is not open is taken."""
    pipe = os.pipe()
    with socket.socket() as unconnected, (tmp_path / "out").open("wb") as file:
        kinds = [type(open_port(one)) for one in (pipe[1], unconnected.fileno(), file.fileno())]
    assert kinds == [StreamPort, SocketPort, FilePort]
    os.close(pipe[1])
    with pytest.raises(OSError, match="Bad file descriptor"):
        open_port(pipe[1])
    os.close(pipe[0])


@pytest.fixture(params=["pipe", "socket", "polled pipe"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """The reading and the writing end of each kind of descriptor that has a reader."""
    if request.param == "socket":
        sockets = socket.socketpair()
        yield sockets[0].detach(), sockets[1].detach()
        return
    yield os.pipe()


def port_of(request: pytest.FixtureRequest, writing: int) -> StreamPort | SocketPort | PolledPort:
    if "polled" in request.node.name:
        return PolledPort(writing)
    port = open_port(writing)
    assert isinstance(port, (StreamPort, SocketPort))
    return port


def fill(port: StreamPort | SocketPort | PolledPort) -> int:
    """Write until there is no room; the number of bytes."""
    sent = 0
    with suppress(BlockingIOError):
        while True:
            sent += port.send(b"x" * 4096)
    return sent


def test_a_reader_that_does_not_read(request: pytest.FixtureRequest, ends: tuple[int, int]) -> None:
    """Writes end with `BlockingIOError` once there is no room, which a reader makes again; no flag was changed."""
    reading, writing = ends
    flags = fcntl.fcntl(writing, fcntl.F_GETFL)
    port = port_of(request, writing)
    assert (port.has_room(), port.is_gone()) == (True, False)
    sent = fill(port)
    with pytest.raises(BlockingIOError):
        port.send(b"x" * 4096)
    assert (port.try_write(b"x", 1) < 1, port.has_room()) == (True, False)
    while sent:
        sent -= len(os.read(reading, sent))
    assert (port.has_room(), port.send(b"y")) == (True, 1)
    assert fcntl.fcntl(writing, fcntl.F_GETFL) == flags
    os.close(reading)
    os.close(writing)


def test_a_reader_that_is_gone(request: pytest.FixtureRequest, ends: tuple[int, int]) -> None:
    """It is known without writing, and the write says so."""
    reading, writing = ends
    port = port_of(request, writing)
    os.close(reading)
    assert (port.is_gone(), port.has_room()) == (True, True)
    with pytest.raises(BrokenPipeError):
        port.send(b"x")
    os.close(writing)


def test_a_file(tmp_path: Path) -> None:
    """It always has room, and no reader to lose."""
    with (tmp_path / "out").open("wb") as file:
        port = open_port(file.fileno())
        assert (port.try_write(b"one", 3), port.send(b"two")) == (3, 3)
        assert (port.has_room(), port.is_gone()) == (True, False)
    assert (tmp_path / "out").read_bytes() == b"onetwo"


def test_a_slow_disk_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a slow write the next ones go through `send`, which lets other threads run."""
    with (tmp_path / "out").open("wb") as file:
        port = FilePort(file.fileno())
        monkeypatch.setattr("tokenserver.runtime.output_ports.SLOW_SECONDS", -1.0)
        assert [port.try_write(b"x", 1) for _ in range(2)] == [1, 0]
