"""Many clients at once: they log in again and again as their Retry-After says, and a health check runs beside them."""

from __future__ import annotations

import asyncio
import base64
import os
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import uniform

from harness.server import Setup, TokenServer

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
    try:
        server.daemon.start(server.is_ready)
        yield server
    finally:
        server.daemon.stop()
        server.wire.close()


async def ask(port: int, target: str, basic: str | None, tally: Tally) -> tuple[int, float]:
    """One request on a connection of its own: the status, and what Retry-After says."""
    start = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    header = f"Authorization: Basic {basic}\r\n" if basic else ""
    writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{header}Connection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    tally.seconds.append(time.monotonic() - start)
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


async def storm(port: int, users: list[str], secret: str, seconds: float) -> tuple[list[bool], Tally, Tally]:
    """All users at once, with a health check ten times a second beside them."""
    logins, health, over = Tally(), Tally(), asyncio.Event()

    async def watch() -> None:
        while not over.is_set():
            await ask(port, "/healthz", None, health)
            await asyncio.sleep(0.1)

    watcher = asyncio.create_task(watch())
    deadline = time.monotonic() + seconds
    done = await asyncio.gather(*(log_in(port, user, secret, logins, deadline) for user in users))
    over.set()
    await watcher
    return done, logins, health


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
