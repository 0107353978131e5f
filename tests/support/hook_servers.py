"""HTTP servers that are hooks, on a loopback port: a good one, which verifies signatures, and bad ones."""

from __future__ import annotations

import contextlib
import hmac
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from authenticator_contract import GOOD

SECRET = "a secret of at least thirty-two characters"

Respond = Callable[["HookRequest"], None]


class HookRequest(BaseHTTPRequestHandler):
    """One request; `question` is its JSON object."""

    protocol_version = "HTTP/1.1"
    server: _HookServer

    def do_POST(self) -> None:
        """Answer as the test says."""
        self.content = self.rfile.read(int(self.headers["Content-Length"]))
        self.question: dict[str, Any] = json.loads(self.content)
        self.server.requests.append(self)
        with contextlib.suppress(OSError):
            self.server.respond(self)

    def say(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send an answer."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the output of tests clean."""


class _HookServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, respond: Respond) -> None:
        super().__init__(("127.0.0.1", 0), HookRequest)
        self.respond = respond
        self.requests: list[HookRequest] = []

    def handle_error(self, *_: object) -> None:
        """A client that closes its connection is what some tests are about."""


def check(request: HookRequest) -> None:
    """What a good hook answers: alice has the password `GOOD`."""
    fields = dict(part.split("=", 1) for part in request.headers["Tokenserver-Signature"].split(","))
    expected = hmac.digest(SECRET.encode(), fields["t"].encode() + b"." + request.content, "sha256").hex()
    if not hmac.compare_digest(expected, fields["v1"]) or abs(time.time() - int(fields["t"])) > 60:
        request.say(403)
    elif request.question["user"] != "alice":
        request.say(404)
    elif not request.question.get("find") and request.question["password"] != GOOD:
        request.say(401)
    else:
        request.say(200, json.dumps({"subject": "alice", "groups": ["web", "reg-ops"], "proof": "1"}).encode())


def body(content: bytes | str, status: int = 200) -> Respond:
    """Answers everything with this body."""
    return lambda request: request.say(status, content if isinstance(content, bytes) else content.encode())


def redirect(request: HookRequest) -> None:
    """Answers with a redirect to a path that would answer."""
    request.say(307, b"", Location="/elsewhere")


def slow(request: HookRequest) -> None:
    """Answers after a minute."""
    time.sleep(60)
    check(request)


def drip(request: HookRequest) -> None:
    """Sends a byte of a header now and then."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        request.wfile.write(b"x")
        time.sleep(0.05)


def endless(request: HookRequest) -> None:
    """Sends a gigabyte."""
    request.send_response(200)
    request.send_header("Content-Length", str(1 << 30))
    request.end_headers()
    for _ in range(1 << 14):
        request.wfile.write(b" " * (1 << 16))


def hang_up(request: HookRequest) -> None:
    """Closes the connection in the middle of the answer."""
    request.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"subject":')
    request.wfile.flush()
    request.connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def hook_server(respond: Respond = check, context: ssl.SSLContext | None = None) -> Iterator[_HookServer]:
    """Such a server; with a context over TLS."""
    server = _HookServer(respond)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def url_of(server: _HookServer, scheme: str = "http") -> str:
    """The URL of a server's check."""
    return f"{scheme}://localhost:{server.server_address[1]}/check"
