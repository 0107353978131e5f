"""Many clients at once: they log in again and again as their Retry-After says, and a health check runs beside them."""

from __future__ import annotations

import asyncio
import base64
import heapq
import os
import resource
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import uniform

from harness.server import Setup, TokenServer, started

SERVICE = "load.test"
POLICY = {"root.yaml": 'version: 1\nallow:\n  - {id: x, to: [everyone], repositories: ["x"], actions: [pull]}\n'}


@dataclass
class Tally:
    """What came back: statuses, and how long each answer took; of those that were sent away also by themselves."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    shed: list[float] = field(default_factory=list)
    retry_after: set[str] = field(default_factory=set)

    def percentile(self, part: float) -> float:
        """The time within which this part of the answers came."""
        return percentile(self.seconds, part)


def percentile(values: Sequence[float], part: float) -> float:
    """The value that this part of them does not exceed; 0 where there are none."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] if values else 0.0


@contextmanager
def many_files() -> Iterator[None]:
    """A thousand connections need a thousand descriptors, here and in the server, which inherits the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def serving_users(folder: Path, lines: str, workers: int) -> Iterator[TokenServer]:
    """A server with this htpasswd file."""
    setup = Setup({}, POLICY, {SERVICE: "universal"}, {"server": {"workers": workers}})
    server = TokenServer(folder, setup)
    users = folder / "users.htpasswd"
    users.write_text(lines)
    users.chmod(0o600)
    with started(server):
        yield server


async def ask(port: int, target: str, basic: str | None, tally: Tally) -> tuple[int, float]:
    """One request on a connection of its own: the status, and what Retry-After says."""
    start = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    header = f"Authorization: Basic {basic}\r\n" if basic else ""
    writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{header}Connection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return read_head(answer, time.monotonic() - start, tally)


def read_head(answer: bytes, seconds: float, tally: Tally) -> tuple[int, float]:
    """Count an answer: the status, and what Retry-After says."""
    tally.seconds.append(seconds)
    head = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    status = int(head[0].split()[1])
    tally.statuses[status] += 1
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    if status == 503:
        tally.shed.append(tally.seconds[-1])
        tally.retry_after.add(fields.get("retry-after", "none"))
    return status, float(fields.get("retry-after", 1))


async def log_in(port: int, user: str, secret: str, tally: Tally, deadline: float) -> bool:
    """Try until it works, as a client that heeds Retry-After; False where it did not until the deadline.

    `port` is a server's for `SERVICE`.
    """
    basic = base64.b64encode(f"{user}:{secret}".encode()).decode()
    while time.monotonic() < deadline:
        status, wait = await ask(port, f"/token?service={SERVICE}", basic, tally)
        if status != 503:
            return status == 200
        await asyncio.sleep(wait * uniform(1, 1.5))  # noqa: S311 - clients do not march in step
    return False


def storm(port: int, users: list[str], secret: str, seconds: float) -> tuple[list[bool], Tally, Tally]:
    """All users at once, with a health check ten times a second beside them: who is in, and what came back.

    Each user tries until it works, as a client that heeds Retry-After, for `seconds` at most.
    """
    crowd = _Crowd(port, time.monotonic() + seconds)
    for user in users:
        basic = base64.b64encode(f"{user}:{secret}".encode()).decode()
        crowd.add(f"/token?service={SERVICE}", f"Authorization: Basic {basic}\r\n")
    return crowd.run()


def rush(port: int, target: str, clients: int, seconds: float) -> Tally:
    """So many who want the same at once, each on a new connection, and come again after a 503: what came back."""
    crowd = _Crowd(port, time.monotonic() + seconds)
    for _ in range(clients):
        crowd.add(target, "")
    return crowd.run()[1]


@dataclass(eq=False)
class _Client:
    """Somebody who asks for one thing, on a new connection each time."""

    request: bytes
    tally: Tally
    start: float = 0.0
    answer: bytes = b""
    done: bool | None = None


class _Crowd:
    """Many clients in one thread, with as little work for each as can be: what is measured is not their own."""

    def __init__(self, port: int, deadline: float) -> None:
        self._port = port
        self._deadline = deadline
        self._open = selectors.DefaultSelector()
        self._logins, self._checks = Tally(), Tally()
        self._clients: list[_Client] = []
        self._health = self._client("/healthz", "", self._checks)
        self._due: list[tuple[float, int, _Client]] = []

    def add(self, target: str, headers: str) -> None:
        """One more who logs in."""
        self._clients.append(self._client(target, headers, self._logins))

    def run(self) -> tuple[list[bool], Tally, Tally]:
        """All at once. Whoever is on the way at the deadline is not in."""
        self._due = [(0.0, number, client) for number, client in enumerate([*self._clients, self._health])]
        waiting = len(self._clients)
        while waiting and time.monotonic() < self._deadline:
            while self._due and self._due[0][0] <= time.monotonic():
                self._ask(heapq.heappop(self._due)[2])
            next_due = self._due[0][0] if self._due else self._deadline
            for key, _ in self._open.select(max(0.0, next_due - time.monotonic())):
                waiting -= self._go_on(key.fileobj, key.data)  # type: ignore[arg-type]  # only sockets are registered
        for key in list(self._open.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]  # see above
        self._open.close()
        return [client.done is True for client in self._clients], self._logins, self._checks

    def _client(self, target: str, headers: str, tally: Tally) -> _Client:
        head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n"
        return _Client(head.encode(), tally)

    def _ask(self, client: _Client) -> None:
        client.start, client.answer = time.monotonic(), b""
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(("127.0.0.1", self._port))
        self._open.register(connection, selectors.EVENT_WRITE, client)

    def _go_on(self, connection: socket.socket, client: _Client) -> bool:
        """Whether this client has its last answer now."""
        if not client.answer and self._open.get_key(connection).events == selectors.EVENT_WRITE:
            connection.sendall(client.request)  # it fits into the buffer of a new connection
            self._open.modify(connection, selectors.EVENT_READ, client)
            return False
        part = connection.recv(65536)
        client.answer += part
        if part:
            return False
        self._open.unregister(connection)
        connection.close()
        return self._ended(client)

    def _ended(self, client: _Client) -> bool:
        now = time.monotonic()
        status, wait = read_head(client.answer, now - client.start, client.tally)
        if client is self._health:
            again = now + 0.1
        elif status == 503:
            again = now + wait * uniform(1, 1.5)  # noqa: S311 - clients do not march in step
        else:
            client.done = status == 200
            return True
        heapq.heappush(self._due, (again, id(client), client))
        return False


def rate_of(work: Callable[[], object], seconds: float = 2.0) -> float:
    """How often a second this machine does that work with all of its cores, as busy as it is now."""
    begin = time.monotonic()

    def again() -> int:
        count = 0
        while time.monotonic() - begin < seconds:
            work()
            count += 1
        return count

    cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(cores) as pool:
        count = sum(future.result() for future in [pool.submit(again) for _ in range(cores)])
    return count / (time.monotonic() - begin)
