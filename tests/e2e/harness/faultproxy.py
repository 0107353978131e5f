"""A TCP proxy that misbehaves as told, and remembers what clients sent. With `Mode.PASS` it only passes on.

The mode is looked at for every connection and for every piece of data, so it can be changed while clients are there.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

PIECE = 65536


class Mode(Enum):
    """What the proxy does with a connection, or with the server's answers."""

    PASS = "pass"
    REFUSE = "refuse"
    SILENT = "accept, then silent"
    DELAY = "delay each answer"
    DRIP = "drip the answer byte by byte"
    DRIP_FOR_EVER = "drip one message that never ends"
    GARBAGE = "garbage"
    HTTP = "an HTTP answer"
    OVERSIZE = "a message of 2 GB"
    ENDLESS = "a message of unknown length"
    WRONG_NUMBER = "an answer to another request"
    FALSE_SUCCESS = "a success that breaks off"
    RESET = "reset at the answer"
    HALF_CLOSE = "close the sending side at the answer"
    CLOSE = "close at the answer"
    TRUNCATE = "half of the answer, then close"


_INSTEAD = {
    Mode.GARBAGE: bytes(range(256)) * 4,
    Mode.HTTP: b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    Mode.OVERSIZE: b"\x30\x84\x7f\xff\xff\xff\x02\x01\x01",
    Mode.ENDLESS: b"\x30\x80\x02\x01\x01\x61\x80",
    Mode.WRONG_NUMBER: b"\x30\x0d\x02\x02\x7f\x7f\x61\x07\x0a\x01\x00\x04\x00\x04\x00",
    Mode.FALSE_SUCCESS: b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x7f\x04\x00",
    Mode.DRIP_FOR_EVER: b"\x30\x84\x00\xff\xff\xff\x02",
}
"""What the client gets in place of the server's answer."""


@dataclass
class FaultProxy:
    """Listens on `port` of the loopback, in front of `target`. `seconds` is the length of a delay."""

    target: int
    mode: Mode = Mode.PASS
    seconds: float = 0.0
    port: int = 0
    connections: int = 0
    received: bytearray = field(default_factory=bytearray)
    _sockets: list[socket.socket] = field(default_factory=list)
    _is_closed: bool = False

    def start(self) -> None:
        """Begin to listen."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Close everything."""
        self._is_closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for one in [self._listener, *self._sockets]:
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                self._sockets.append(client)
                if self.mode is Mode.REFUSE:
                    _reset(client)
                    continue
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.target)) as server:
            self._sockets.append(server)
            threading.Thread(target=self._answers, args=(server, client), daemon=True).start()
            while piece := client.recv(PIECE):
                self.received += piece
                if self.mode is Mode.REFUSE:
                    _reset(client)
                    return
                instead = _INSTEAD.get(self.mode)
                if instead is not None:
                    self._fake(client, instead)
                elif self.mode is not Mode.SILENT:
                    server.sendall(piece)

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := server.recv(PIECE):
                if self.mode is Mode.DELAY:
                    time.sleep(self.seconds)
                    piece += _waiting(server)
                if self.mode is Mode.DRIP:
                    for byte in piece:
                        client.sendall(bytes([byte]))
                        time.sleep(self.seconds)
                    continue
                if self._broken_off(client, piece):
                    return
                client.sendall(piece)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _broken_off(self, client: socket.socket, piece: bytes) -> bool:
        match self.mode:
            case Mode.RESET:
                _reset(client)
            case Mode.HALF_CLOSE:
                client.shutdown(socket.SHUT_WR)
            case Mode.CLOSE:
                client.shutdown(socket.SHUT_RDWR)
            case Mode.TRUNCATE:
                client.sendall(piece[: len(piece) // 2])
                client.shutdown(socket.SHUT_RDWR)
            case _:
                return False
        return True

    def _fake(self, client: socket.socket, instead: bytes) -> None:
        client.sendall(instead)
        while self.mode is Mode.DRIP_FOR_EVER and not self._is_closed:
            client.sendall(b"\x00")
            time.sleep(0.02)


def _waiting(server: socket.socket) -> bytes:
    """What has come meanwhile."""
    try:
        return server.recv(PIECE, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b""


def _reset(client: socket.socket) -> None:
    """Close with RST instead of FIN."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@contextmanager
def faulty(target: int, mode: Mode = Mode.PASS, *, seconds: float = 0.0) -> Iterator[FaultProxy]:
    """A running proxy in front of a loopback port."""
    proxy = FaultProxy(target, mode, seconds)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()


class Spy:
    """A listener that takes connections and keeps all that comes, in silence."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.received = bytearray()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                client.settimeout(5)
                with client, contextlib.suppress(OSError):
                    while piece := client.recv(PIECE):
                        self.received += piece
