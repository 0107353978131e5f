"""Clients that are slow on purpose, and the good ones beside them."""

from __future__ import annotations

import array
import contextlib
import fcntl
import socket
import ssl
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from harness import web
from harness.own_time import OwnTime
from harness.waiting import PATIENCE_SECONDS

SLOW_CLIENTS = 500
PAUSE = 0.05
CALM = 0.25
"""The servers' own seconds without a byte for anybody, after which the slow clients are taken to be answered."""
PROMPT = 1.0
"""Seconds within which a good client wants its answer."""

_FORM = (
    "POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 900\r\n\r\n"
)


def slow_kinds(target: str) -> dict[str, bytes]:
    """How each kind of slow client begins. Those that read slowly have asked for much before, and read nothing."""
    return {
        "headers": b"GET /token HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        "body": _FORM.encode(),
        "reading": f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 40,
        "idle": b"",
    }


SLOW_TLS = {"silent": b"", "handshake": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"}
"""Clients that have not yet come as far as HTTP: silent ones, and such as stop in the middle of the handshake."""


@contextmanager
def slow_clients(
    port: int, beginning: bytes, count: int = SLOW_CLIENTS, *, servers: Sequence[int] = ()
) -> Iterator[None]:
    """Clients of these processes that send a byte a second and never read; who is thrown out comes again."""
    stop = threading.Event()
    with ExitStack() as stack:

        def come() -> socket.socket:
            client = socket.create_connection(("127.0.0.1", port), timeout=5)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(beginning)
            return client

        clients = [come() for _ in range(count)]
        _wait_for_calm(clients, servers)

        def leave() -> None:
            for client in clients:
                client.close()

        def drip() -> None:
            while not stop.wait(1.0):
                for place, client in enumerate(clients):
                    try:
                        if beginning and not beginning.endswith(b"\r\n\r\n" * 2):
                            client.send(b"a", socket.MSG_DONTWAIT)
                    except BlockingIOError:
                        continue
                    except OSError:
                        client.close()
                        with contextlib.suppress(OSError):
                            clients[place] = come()

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        stack.callback(leave)
        stack.callback(thread.join)
        stack.callback(stop.set)
        yield


def _wait_for_calm(clients: list[socket.socket], servers: Sequence[int]) -> None:
    """Wait until nothing more arrives for these clients, which read nothing.

    What 500 of them ask for when they arrive, 20,000 requests in the same instant, is load, not slowness: good clients
    share two cores with it for as long as it takes.

    A server that gets no core sends nothing either, so its own time counts.

    Raises `AssertionError` if something arrives for longer than anything takes.
    """
    end = time.monotonic() + PATIENCE_SECONDS
    before = -1
    while (now := sum(_unread(client) for client in clients)) != before:
        assert time.monotonic() < end, f"slow clients are still being answered after {PATIENCE_SECONDS} s"
        before = now
        OwnTime(*servers).wait(CALM)


def _unread(client: socket.socket) -> int:
    """How many bytes have arrived that nobody has read; 0 if the server has closed the connection."""
    found = array.array("i", [0])
    with contextlib.suppress(OSError):
        fcntl.ioctl(client, termios.FIONREAD, found)
    return found[0]


def good_traffic(
    port: int,
    target: str,
    context: ssl.SSLContext | None = None,
    *,
    seconds: float,
    requests: int = 0,
    servers: Sequence[int] = (),
) -> list[tuple[int, float]]:
    """The statuses of requests with a connection each, one after the other, so many at least, and their seconds.

    Where these processes waited for a core does not count.
    """
    found: list[tuple[int, float]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(found) < requests:
        own = OwnTime(*servers)
        try:
            status = web.request(port, "GET", target, context=context).status
        except OSError:
            status = 0
        found.append((status, own.seconds))
        time.sleep(PAUSE)
    return found
