"""A TCP proxy that misbehaves as told, and remembers what clients sent. With `Mode.PASS` it only passes on.

The mode is looked at for every connection and for every piece of data, so it can be changed while clients are there.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

PIECE = 65536
_LOOK_SECONDS = 0.05


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
    """Listens on `port` of the loopback, in front of `target`. `seconds` is the length of a delay.

    `turns` is how often clients got an answer after they had spoken: for a single client, the number of times that it
    waited. An answer in several pieces is one, and so are two answers that are on their way at the same time, which is
    certain only where answers are delayed.
    """

    target: int
    mode: Mode = Mode.PASS
    seconds: float = 0.0
    port: int = 0
    connections: int = 0
    turns: int = 0
    received: bytearray = field(default_factory=bytearray)
    _lost: tuple[int, Mode] = (0, Mode.PASS)
    _is_asked: bool = False
    _threads: list[threading.Thread] = field(default_factory=list)
    _is_closed: bool = False

    def start(self) -> None:
        """Begin to listen."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._listening = threading.Thread(target=self._accept, daemon=True)
        self._listening.start()

    def stop(self) -> None:
        """Close everything."""
        self._is_closed = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listening.join()
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def lose(self, mode: Mode) -> None:
        """Forget the connections that are open, as a firewall does: what clients send on them reaches nobody, and ends
        them by RST (`Mode.RESET`) or FIN (`Mode.CLOSE`). New ones work.
        """
        self._lost = self.connections, mode

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.mode is Mode.REFUSE:
                _reset(client)
                continue
            thread = threading.Thread(target=self._serve, args=(client, self.connections), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket, number: int) -> None:
        # One thread does all with both sockets: closing one that another thread reads from would not reach the peer.
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.target)) as server:
            for end in (client, server):  # else a second small piece waits 40 ms for the first to be acknowledged
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            due: deque[tuple[float, bytes]] = deque()
            while not self._is_closed:
                patience = min(_LOOK_SECONDS, max(0.0, due[0][0] - time.monotonic())) if due else _LOOK_SECONDS
                readable, _, _ = select.select([client, server], [], [], patience)
                while due and due[0][0] <= time.monotonic():
                    self._deliver(client, due.popleft()[1])
                    if not due and self.mode is Mode.DRIP_FOR_EVER:
                        due.append((time.monotonic() + 0.02, b"\x00"))
                if client in readable and number <= self._lost[0]:
                    if self._lost[1] is Mode.RESET:
                        _reset(client)
                    return
                if client in readable and not self._asked(client, server, due):
                    return
                if server in readable and not self._answered(client, server, due):
                    return

    def _asked(self, client: socket.socket, server: socket.socket, due: deque[tuple[float, bytes]]) -> bool:
        """Pass on what the client sends; False where that ends the connection."""
        piece = client.recv(PIECE)
        self.received += piece
        self._is_asked = self._is_asked or bool(piece)
        if self.mode is Mode.REFUSE:
            _reset(client)
            return False
        if piece and self.mode in _INSTEAD:
            due.append((time.monotonic(), _INSTEAD[self.mode]))
        elif piece and self.mode is not Mode.SILENT:
            server.sendall(piece)
        return bool(piece)

    def _answered(self, client: socket.socket, server: socket.socket, due: deque[tuple[float, bytes]]) -> bool:
        """Pass on what the server sends, or not; False where that ends the connection."""
        piece = server.recv(PIECE)
        if not piece:
            return False
        now = time.monotonic()
        match self.mode:
            case Mode.DELAY:
                due.append((now + self.seconds, piece))
            case Mode.DRIP:
                due.extend((now + place * self.seconds, bytes([byte])) for place, byte in enumerate(piece))
            case Mode.RESET:
                _reset(client)
                return False
            case Mode.HALF_CLOSE:
                client.shutdown(socket.SHUT_WR)
            case Mode.CLOSE:
                return False
            case Mode.TRUNCATE:
                self._deliver(client, piece[: len(piece) // 2])
                return False
            case _:
                self._deliver(client, piece)
        return True

    def _deliver(self, client: socket.socket, piece: bytes) -> None:
        self.turns += self._is_asked
        self._is_asked = False  # before the client gets it and speaks again
        client.sendall(piece)


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
        self._listening = threading.Thread(target=self._accept, daemon=True)
        self._listening.start()

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listening.join(timeout=6)
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
