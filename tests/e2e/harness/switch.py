"""A proxy for connections that leads them to another port from one moment on, as an operator's proxy would."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

from harness.waiting import PATIENCE_SECONDS


class Switch:
    """Forwards the connections of one port. `port` is what clients use."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._open = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._listening = threading.Thread(target=self._accept, daemon=True)
        self._listening.start()

    def lead_to(self, target: int, seconds: float = PATIENCE_SECONDS) -> None:
        """Lead all new connections to another port, from the first moment when none is open.

        Raises:
            TimeoutError: there was no such moment.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with self._lock:
                if self._open == 0:
                    self._target = target
                    return
            time.sleep(0.002)
        raise TimeoutError("there was always an open connection")

    def close(self) -> None:
        """Take no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)  # which, other than `close`, wakes the thread that accepts
        self._listening.join()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                with self._lock:
                    self._open += 1
                    target = self._target
                threading.Thread(target=self._forward, args=(client, target), daemon=True).start()

    def _forward(self, client: socket.socket, target: int) -> None:
        try:
            with client, socket.create_connection(("127.0.0.1", target), timeout=30) as server:
                back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                back.start()
                _pump(client, server)
                back.join(30)
        except OSError:
            pass  # the client sees that its connection is closed
        finally:
            with self._lock:
                self._open -= 1


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def switch(target: int) -> Iterator[Switch]:
    """A proxy that leads to this port at first."""
    made = Switch(target)
    try:
        yield made
    finally:
        made.close()
