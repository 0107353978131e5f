"""A second server over the same files, as a replica behind a load balancer is."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness import web
from harness.processes import Daemon, answers, free_port
from harness.server import TokenServer


class Replica:
    """One more `tokenserver serve` with the configuration of `server`, on a port of its own, after `prefix`."""

    def __init__(self, server: TokenServer, folder: Path, prefix: Sequence[str] = ()) -> None:
        self.port = free_port()
        environment = {**server.environment, "TOKENSERVER_SERVER_LISTEN": f"127.0.0.1:{self.port}"}
        command = [*prefix, *server.command("serve", "--config", server.config)]
        self.daemon = Daemon("replica", command, environment=environment, folder=folder)

    def is_ready(self) -> bool:
        """Whether `/readyz` says so."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return answers(self.port) and web.request(self.port, "GET", "/readyz").status == 200
        return False


@contextmanager
def replica(server: TokenServer, folder: Path) -> Iterator[Replica]:
    """A running one."""
    one = Replica(server, folder)
    one.daemon.start(one.is_ready)
    try:
        yield one
    finally:
        one.daemon.stop()


@contextmanager
def asking(port: int, target: str, clients: int = 4, tries: int = 1) -> Iterator[list[int | str]]:
    """Clients that ask all the time, with a connection for each request; what came back, at the end all of it.

    With more than one of `tries`, a request that got no answer is made again after a moment, as clients do it.
    """
    found: list[int | str] = []
    over = threading.Event()

    def ask() -> int | str:
        for number in range(tries):
            try:
                return web.request(port, "GET", target, headers={"Connection": "close"}).status
            except (OSError, http.client.HTTPException) as error:
                failure = repr(error)
            time.sleep(0.1 * 2**number)
        return failure

    def client() -> None:
        while not over.is_set():
            found.append(ask())
            time.sleep(0.01)

    threads = [threading.Thread(target=client, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        over.set()
        for thread in threads:
            thread.join(30)
