"""An old token server on a loopback port, which answers as a test says, and what it was asked."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


def encoded(value: object) -> str:
    """A part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def jwt(access: object, **claims: Any) -> str:
    """A token with this `access`, whose signature nobody looks at."""
    return f"{encoded({'alg': 'RS256', 'typ': 'JWT'})}.{encoded({'sub': 'x', 'access': access, **claims})}.c2ln"


def body(access: object) -> bytes:
    """The body of an answer with such a token."""
    return json.dumps({"token": jwt(access), "access_token": jwt(access)}).encode()


def entry(name: str, *actions: str, kind: str = "repository") -> dict[str, Any]:
    """An entry of `access`."""
    return {"type": kind, "name": name, "actions": [*actions]}


@dataclass(frozen=True)
class Asked:
    """One request, as the peer has read it."""

    path: str
    parameters: Mapping[str, Sequence[str]]
    login: tuple[str, str] | None
    headers: Mapping[str, str]


Answer = tuple[int, bytes]


@dataclass
class FakePeer:
    """What it answers, and what it was asked. `raw` writes to the socket in place of an answer."""

    port: int = 0
    reply: Callable[[Asked], Answer] = lambda _: (200, body([]))
    raw: Callable[[socket.socket], None] | None = None
    asked: list[Asked] = field(default_factory=list)
    came: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    @property
    def url(self) -> str:
        """Its realm."""
        return f"http://localhost:{self.port}/auth"

    def grant(self, *entries: dict[str, Any]) -> None:
        """Answer with this access from now on."""
        self.reply = lambda _: (200, body([*entries]))

    def refuse(self) -> None:
        """Refuse every login from now on."""
        self.reply = lambda _: (401, b"Auth failed.")

    def wait(self, requests: int = 1) -> None:
        """Wait for that many requests."""
        for _ in range(requests):
            assert self.came.acquire(timeout=10), "the peer was not asked"


@contextmanager
def fake_peer(context: ssl.SSLContext | None = None) -> Iterator[FakePeer]:
    """Such a server; with a context over TLS."""
    peer = FakePeer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            header = self.headers.get("authorization")
            login = None
            if header is not None:
                name, _, password = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
                login = (name, password)
            asked = Asked(parts.path, parse_qs(parts.query), login, {k.lower(): v for k, v in self.headers.items()})
            peer.asked.append(asked)
            try:
                if peer.raw is not None:
                    peer.raw(self.connection)
                    self.close_connection = True
                    return
                status, content = peer.reply(asked)
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                if 300 <= status < 400:
                    self.send_header("Location", f"{peer.url}/elsewhere")
                self.end_headers()
                self.wfile.write(content)
            finally:
                peer.came.release()

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            """A client that went away is no error."""

    server = Quiet(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    peer.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield peer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
