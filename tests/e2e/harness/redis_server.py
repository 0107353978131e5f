"""A real Redis for one test: free port, a password, nothing written to disk."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

from harness.authority import Authority
from harness.processes import Daemon, answers, free_port, plain_environment
from harness.programs import need


class RedisServer:
    """One server. `client` asks it directly; `start` and `stop` may be called again and again. `tls_port` 0: no TLS."""

    def __init__(self, folder: Path, authority: Authority | None = None) -> None:
        self.program = need("redis-server")
        self.folder = folder
        self.port = free_port()
        self.password = secrets.token_urlsafe(12)
        # Not on the command line: that stands in the list of processes.
        self.config = folder / "redis.conf"
        self.config.touch(mode=0o600)
        self.socket = folder / "redis.sock"
        self.config.write_text(
            f'bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\nsave ""\nappendonly no\ndir {folder}\n'
            f"unixsocket {self.socket}\n"
        )
        self.tls_port = 0
        if authority is not None:
            certificate, key = authority.issue(folder)
            self.tls_port = free_port()
            with self.config.open("a") as config:
                config.write(f"tls-port {self.tls_port}\ntls-auth-clients no\ntls-ca-cert-file {authority.file}\n")
                config.write(f"tls-cert-file {certificate}\ntls-key-file {key}\n")
        self.daemon = self._new_daemon()

    @property
    def url(self) -> str:
        return f"redis://localhost:{self.port}"

    @property
    def client(self) -> Redis:
        """A client of the tests' own."""
        return Redis(port=self.port, password=self.password, decode_responses=True)

    def start(self) -> None:
        """Start it, empty, and wait until it answers at all of its addresses."""
        ports = [port for port in (self.port, self.tls_port) if port]
        self.daemon.start(lambda: all(answers(port) for port in ports) and self.socket.exists())

    def stop(self) -> None:
        """End it."""
        self.daemon.stop()
        self.daemon = self._new_daemon()

    def _new_daemon(self) -> Daemon:
        command = [self.program, self.config]
        return Daemon("redis", command, environment=plain_environment(self.folder), folder=self.folder)


@contextmanager
def redis_server(folder: Path, authority: Authority | None = None) -> Iterator[RedisServer]:
    """A running server, with an authority on a port with TLS as well."""
    server = RedisServer(folder, authority)
    try:
        server.start()
        yield server
    finally:
        server.daemon.stop()
