"""A server that gives every token request the same refusal, with the body and headers of the real one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tokenserver.web.problems import Problem, problem_for


@contextmanager
def refusing(error: Exception) -> Iterator[tuple[int, Problem]]:
    """Its loopback port, and the refusal that the server under test has for this error."""
    problem = problem_for(error, challenge='Basic realm="registries", charset="UTF-8"')

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._refuse(is_post=False)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._refuse(is_post=True)

        def _refuse(self, *, is_post: bool) -> None:
            body = problem.body(oauth=is_post)
            self.send_response_only(problem.status)
            for name, value in (*problem.headers, ("Content-Type", "application/json")):
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1], problem
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
