"""A registry and its token server in one WSGI application, for faults that real ones do not have."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


@dataclass
class FaultyTokenServer:
    """What it answers: `challenge` to clients of the registry, `offer` to devices, and `polls` one after the other.

    `heard` is what it was sent: methods, paths and forms.
    """

    port: int = 0
    challenge: str = ""
    offer: dict[str, Any] = field(default_factory=dict)
    polls: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    heard: list[tuple[str, str, dict[str, list[str]]]] = field(default_factory=list)

    @property
    def host(self) -> str:
        """The registry's name."""
        return f"localhost:{self.port}"

    @property
    def url(self) -> str:
        """The token server's URL."""
        return f"http://{self.host}"

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        path = environ["PATH_INFO"]
        self.heard.append((environ["REQUEST_METHOD"], path, parse_qs(body.decode())))
        if path == "/v2/":
            start_response("401 Unauthorized", [("WWW-Authenticate", self.challenge)])
            return []
        status, members = (
            (200, self.offer) if path == "/device/code" else self.polls.pop(0) if self.polls else (404, {})
        )
        start_response(f"{status} X", [("Content-Type", "application/json")])
        return [json.dumps(members).encode()]


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


class _Threading(ThreadingMixIn, WSGIServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that tries TLS is no error here."""


@contextmanager
def faulty_token_server() -> Iterator[FaultyTokenServer]:
    """Such a server, which names itself."""
    application = FaultyTokenServer()
    server = make_server("127.0.0.1", 0, application, _Threading, _Quiet)
    application.port = server.server_address[1]
    application.challenge = f'Bearer realm="{application.url}/token",service="{application.host}"'
    application.offer = {
        "device_code": "code-of-the-device",
        "user_code": "WDJB-MJHT",
        "verification_uri": f"{application.url}/device",
        "expires_in": 600,
        "interval": 1,
    }
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield application
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
