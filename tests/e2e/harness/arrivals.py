"""Requests that arrive when they arrive, however slow the answers are: an open loop.

A load generator that waits for an answer before it asks again (a closed loop, as wrk is) slows down with the server and
never shows what happens when more is asked than can be answered. Here every request has its moment, and its time counts
from that moment on, so that whatever delays it shows. There are as many connections as it takes.
"""

from __future__ import annotations

import errno
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

PATIENCE = 15.0
"""Seconds after which a client gives up, as real ones do."""

NO_ANSWER = 0
"""The status of a request that was not answered: refused, cut off, or given up."""

_LONGEST_POLL = 0.002


@dataclass(frozen=True, slots=True)
class Answered:
    """One request: when it was due, in seconds since the start, how long its answer took, and what it was.

    `lag` is how late it was sent: the share of the time that is this program's.
    """

    due: float
    seconds: float
    status: int
    retry_after: str | None
    lag: float


@dataclass
class Stream:
    """Requests of one kind: the same `request`, `rate(t)` times a second.

    With `is_new_each_time` each has a connection of its own, as most registry clients do it; else connections are kept.
    """

    request: bytes
    rate: Callable[[float], float]
    is_new_each_time: bool = False
    answers: list[Answered] = field(default_factory=list)
    connections: int = 0
    """How many were open at most."""

    @property
    def statuses(self) -> Counter[int]:
        """How often each status came."""
        return Counter(answer.status for answer in self.answers)

    def of(self, status: int, since: float = 0.0, until: float = float("inf")) -> list[Answered]:
        """The requests that were due in this span and had this status."""
        return [one for one in self.answers if one.status == status and since <= one.due < until]


def within(values: Sequence[float], part: float) -> float:
    """The value that this part of them does not exceed; 0 where there are none."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] if values else 0.0


def get(path: str, *headers: str) -> bytes:
    """A GET as bytes."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def steady(rate: float) -> Callable[[float], float]:
    """The same rate all the time."""
    return lambda _: rate


def arrive(port: int, streams: Sequence[Stream], seconds: float) -> None:
    """Ask as the streams say for so many seconds, and wait for what is then still under way."""
    _Crowd(port).run(streams, seconds)


@dataclass(slots=True, eq=False)
class _Client:
    """One connection. `due` is that of the request under way, None while there is none."""

    stream: Stream
    socket: socket.socket
    due: float | None = None
    lag: float = 0.0
    is_sent: bool = False
    buffer: bytes = b""


class _Crowd:
    """The clients of one run; a loop over epoll, because everything else costs more than the server does."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._epoll = select.epoll()
        self._clients: dict[int, _Client] = {}
        self._idle: dict[int, list[_Client]] = {}
        self._under_way = 0
        self._start = time.monotonic()

    def run(self, streams: Sequence[Stream], seconds: float) -> None:
        self._start = time.monotonic()
        last, owed = 0.0, [0.0] * len(streams)
        looked = 0.0
        while last < seconds or self._under_way:
            now = self._now()
            if last < seconds:
                until = min(now, seconds)
                for place, stream in enumerate(streams):
                    owed[place] += stream.rate(last) * (until - last)
                    count = int(owed[place])
                    owed[place] -= count
                    for number in range(count):
                        self._ask(stream, last + (until - last) * number / count)
                last = until
            for descriptor, _ in self._epoll.poll(_LONGEST_POLL, 512):
                client = self._clients.get(descriptor)
                if client is not None:
                    self._go_on(client)
            if now - looked > 1:
                looked = now
                for client in list(self._clients.values()):
                    if client.due is not None and client.due + PATIENCE < now:
                        self._finish(client, NO_ANSWER, None)
        for client in list(self._clients.values()):
            self._leave(client)
        self._epoll.close()

    def _now(self) -> float:
        return time.monotonic() - self._start

    def _ask(self, stream: Stream, due: float) -> None:
        idle = self._idle.setdefault(id(stream), [])
        client = idle.pop() if idle else self._come(stream)
        client.due, client.lag, client.is_sent, client.buffer = due, self._now() - due, False, b""
        self._under_way += 1
        self._go_on(client)

    def _come(self, stream: Stream) -> _Client:
        client = _Client(stream, socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.socket.connect_ex(("127.0.0.1", self._port))
        self._clients[client.socket.fileno()] = client
        self._epoll.register(client.socket, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
        stream.connections = max(stream.connections, len(self._clients))
        return client

    def _go_on(self, client: _Client) -> None:
        """Send what is to be sent and read what is there."""
        is_over = False
        try:
            if client.due is not None and not client.is_sent:
                client.socket.send(client.stream.request)
                client.is_sent = True
            while data := client.socket.recv(65536):
                client.buffer += data
            is_over = True
        except BlockingIOError:
            pass
        except OSError as error:
            is_over = error.errno != errno.ENOTCONN  # not yet connected
        if client.due is not None and client.buffer:
            self._read(client)
        if not is_over or client.socket.fileno() < 0:
            return
        if client.due is None:
            self._leave(client)
        else:
            self._finish(client, NO_ANSWER, None)

    def _read(self, client: _Client) -> None:
        head, found, body = client.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        fields = head.lower().split(b"\r\n")
        values = {name: value.strip() for name, _, value in (line.partition(b":") for line in fields[1:])}
        if len(body) < int(values.get(b"content-length", b"0")):
            return
        wait = values.get(b"retry-after")
        is_last = client.stream.is_new_each_time or values.get(b"connection") == b"close"
        self._finish(client, int(fields[0].split()[1]), wait.decode() if wait else None, stays=not is_last)

    def _finish(self, client: _Client, status: int, retry_after: str | None, *, stays: bool = False) -> None:
        assert client.due is not None
        taken = self._now() - client.due
        client.stream.answers.append(Answered(client.due, taken, status, retry_after, client.lag))
        client.due, client.buffer = None, b""
        self._under_way -= 1
        if stays:
            self._idle[id(client.stream)].append(client)
        else:
            self._leave(client)

    def _leave(self, client: _Client) -> None:
        self._clients.pop(client.socket.fileno(), None)
        idle = self._idle.get(id(client.stream), [])
        if client in idle:
            idle.remove(client)
        client.socket.close()
