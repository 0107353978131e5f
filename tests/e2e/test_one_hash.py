"""One user logs in from many places at once, and all workers of the server hash the password once between them.

See docs/design/threats.md#fault-29.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from bcrypt import gensalt, hashpw  # to make a line of cost 12, as `htpasswd -C 12` does
from harness.crowd import POLICY, SERVICE, Tally, log_in, storm
from harness.server import Setup, TokenServer, password, started

pytestmark = pytest.mark.alone

WORKERS = 3
CLIENTS = 60

COUNTING = """\
import os
from tokenserver.authn.htpasswd import verify as decoy
from tokenserver.cli import main

real = decoy.verify

def verify(password, hashed):
    with open({file!r}, "ab", buffering=0) as file:
        file.write(b"%d\\n" % os.getpid())
    return real(password, hashed)

decoy.verify = verify
main()
"""
"""The server as it is, which in every worker writes down that it hashes."""


class CountingServer(TokenServer):
    """A server that counts its hashes."""

    def command(self, *arguments: str | Path) -> list[str]:
        """As its own, through the script."""
        script = self.folder / "counting.py"
        script.write_text(COUNTING.format(file=str(self.folder / "hashes")))
        return [sys.executable, str(script), *map(str, arguments)]

    @property
    def hashed(self) -> list[int]:
        """The process of each hash so far."""
        file = self.folder / "hashes"
        return [int(line) for line in file.read_text().split()] if file.exists() else []


@contextmanager
def counting(folder: Path, secret: str, cache: int) -> Iterator[CountingServer]:
    """Such a server, with ann in its file."""
    sources = [{"htpasswd": {"file": "users.htpasswd", "cache": cache}}]
    settings = {"server": {"workers": WORKERS}, "authentication": sources, "throttle": {"enabled": True}}
    server = CountingServer(folder, Setup({}, POLICY, {SERVICE: "universal"}, settings))
    users = folder / "users.htpasswd"
    users.write_text(f"ann:{hashpw(secret.encode(), gensalt(12)).decode()}\n")
    users.chmod(0o600)
    with started(server):
        yield server


def test_one_hash_in_all(tmp_path: Path) -> None:
    """All get in, and one worker has hashed, once; as long as that is remembered, nobody hashes again."""
    secret = password()
    with counting(tmp_path, secret, cache=60) as server:
        for _ in range(2):
            done, logins, _ = storm(server.port, ["ann"] * CLIENTS, secret, 30)
            assert all(done)
            assert set(logins.statuses) <= {200, 503}
            assert len(server.hashed) == 1


def test_a_worker_that_is_killed_while_it_hashes(tmp_path: Path) -> None:
    """Those who wait at the others get in all the same, after one more hash."""
    secret = password()
    with counting(tmp_path, secret, cache=60) as server:

        async def killed() -> list[bool]:
            clients = [asyncio.create_task(_patient(server.port, secret)) for _ in range(CLIENTS)]
            while not server.hashed and not all(client.done() for client in clients):
                await asyncio.sleep(0.005)
            os.kill(server.hashed[0], signal.SIGKILL)
            return await asyncio.gather(*clients)

        assert all(asyncio.run(killed()))
        assert 2 <= len(server.hashed) <= 1 + WORKERS


async def _patient(port: int, secret: str) -> bool:
    """A client that comes again where its connection breaks."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(OSError, IndexError):  # refused or reset; or nothing was answered
            return await log_in(port, "ann", secret, Tally(), deadline)
        await asyncio.sleep(0.1)
    return False


def test_nothing_is_shared_with_cache_0(tmp_path: Path) -> None:
    """Whoever wants every login hashed gets that: as many as there are logins one after the other."""
    secret = password()
    with counting(tmp_path, secret, cache=0) as server:
        for _ in range(4):
            done, _, _ = storm(server.port, ["ann"], secret, 30)
            assert all(done)
        assert len(server.hashed) == 4
