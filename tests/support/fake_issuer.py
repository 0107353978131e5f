"""An issuer's HTTP server on a loopback port, which answers as a test says, and the clock of a test."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from harness.misfits import Reply


class SetClock:
    """A clock that advances only when it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time in seconds."""
        return self.now


@dataclass
class FakeIssuer:
    """What it answers to each path, and what it was asked: paths, and the headers `Authorization` and `Accept`."""

    url: str = ""
    replies: dict[str, Reply] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    accepts: list[str | None] = field(default_factory=list)

    def serve(self, keys: bytes, *, headers: Mapping[str, str] | None = None, **discovery: Any) -> None:
        """Answer discovery and keys as an issuer does; `discovery` has other members of its document."""
        document = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **discovery}
        self.replies["/.well-known/openid-configuration"] = Reply(200, (), json.dumps(document).encode())
        self.replies["/keys"] = Reply(200, tuple((headers or {}).items()), keys)


@contextmanager
def fake_issuer(context: ssl.SSLContext | None = None) -> Iterator[FakeIssuer]:
    """Such a server; with a context over TLS. A path without a reply is 404."""
    issuer = FakeIssuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.paths.append(self.path)
            issuer.authorizations.append(self.headers.get("authorization"))
            issuer.accepts.append(self.headers.get("accept"))
            reply = issuer.replies.get(self.path, Reply(404))
            self.send_response_only(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Stay silent."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that goes away is no error here."""

    server = Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    issuer.url = f"{'http' if context is None else 'https'}://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def now_and_here(run: Callable[[], None]) -> None:
    """In place of a thread."""
    run()
