"""The HTTP listener for metrics: `GET /metrics`, and nothing else."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tokenserver.errors import Fault, LoadError

PATH = "/metrics"

CLIENT_SECONDS = 10.0
"""How long one client may take to send its request, or to read the response."""


class Listener:
    """Serves `page` at `address` in its own threads, from `start` until the process ends.

    Raises:
        LoadError: it cannot listen on the address.
    """

    def __init__(self, address: tuple[str, int], page: Callable[[], bytes], content_type: str) -> None:
        try:
            self._server = _server(address, _handler(page, content_type))
        except OSError as error:
            place = f"{address[0]}:{address[1]}"
            problem = f"metrics cannot be served at {place}: {error.strerror or error}"
            raise LoadError([Fault("server", 0, "metrics", problem)]) from error

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Start serving. Processes that are forked later do not inherit the socket, so the address is free as soon as
        this process ends."""
        os.register_at_fork(after_in_child=self._server.socket.close)
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def _server(address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    class Server(ThreadingHTTPServer):
        daemon_threads = True
        address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET

        def handle_error(self, *_: object) -> None:
            """A client that disconnected is not worth a line in the log."""

    return Server(address, handler)


def _handler(page: Callable[[], bytes], content_type: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = CLIENT_SECONDS
        server_version = "tokenserver"
        sys_version = ""

        def do_GET(self) -> None:
            """Answer one request."""
            if self.path.partition("?")[0] != PATH:
                self.answer(HTTPStatus.NOT_FOUND, f"metrics are at {PATH}\n".encode(), "text/plain; charset=utf-8")
                return
            self.answer(HTTPStatus.OK, page(), content_type)

        do_HEAD = do_GET  # noqa: N815 - how http.server finds it

        def answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
            """Send the headers, and unless the method is HEAD, the body."""
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """A scrape every few seconds is not worth a line in the log."""

    return Handler
