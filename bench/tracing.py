"""`python -m bench.tracing`: what a request pays for traces, against a server that traces nothing.

All are whole requests of one user with a cached login, in one process with metrics, from the WSGI application to the
answer, while the exporter sends to a collector that takes everything. Rounds alternate, so that the ratio holds on
a busy machine: 1.00 means no cost. The time is that of the process: that of the exporter's thread is part of it.
"""

from __future__ import annotations

import io
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.frames import Sink
from bench.servers import basic, free_port, write
from tokenserver.config.load import load_settings
from tokenserver.metrics.setup import metrics_board
from tokenserver.server.compose import build
from tokenserver.server.tracing import tracing_of
from tokenserver.web.application import application

ROUNDS = 60
CALLS = 400

TRACED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNTRACED = TRACED[:-1] + "0"

ROWS: tuple[tuple[str, str, str | None], ...] = (
    ("none is traced, no header", "sample: 0", None),
    ("one of a hundred", "sample: 0.01", None),
    ("the client does not trace", "sample: 0", UNTRACED),
    ("all are traced", "sample: 1", None),
    ("the client traces all", "{sample: 0, client_rate: 1000}", TRACED),
)


class _Collector(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Take everything."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def main() -> None:
    """Print the CPU time of a request with and without traces."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        collector = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", free_port()), _Collector))
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{collector.server_address[1]}/v1/traces"
        none = _application(folder / "none", None)
        _compare("nothing configured, again", none, _application(folder / "again", None), None)
        for number, (name, section, header) in enumerate(ROWS):
            keys = section.strip("{}")
            app = _application(folder / str(number), f"tracing: {{endpoint: '{url}', {keys}}}")
            _compare(name, none, app, header)
        collector.shutdown()


def _application(folder: Path, more: str | None) -> Any:
    settings = load_settings(write(folder, workers=1, users=1, cost=4, more=more or ""), {})
    server = build(settings, sink=Sink(), board=metrics_board(settings, workers=1))
    server.watch()
    tracing = tracing_of(settings, server.meter)
    return application(server, None if tracing is None else tracing.tracer)


def _compare(name: str, none: Any, traced: Any, header: str | None) -> None:
    calls = _calls(none, header), _calls(traced, header)
    for call in calls:
        call()
    rounds = [tuple(call() for call in calls) for _ in range(ROUNDS)]
    best = [min(seconds) / CALLS * 1e6 for seconds in zip(*rounds, strict=True)]
    ratio = statistics.median(one / other for one, other in rounds)
    costs = f"without {best[0]:6.1f} us, with {best[1]:6.1f} us at best"
    print(f"{name:26} {costs}, {best[1] - best[0]:+6.1f} us; ratio of all rounds {ratio:.3f}", flush=True)


def _calls(app: Any, header: str | None) -> Callable[[], float]:
    """Calls the application; the CPU seconds of all calls."""
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/token",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "5001",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "QUERY_STRING": "service=bench&scope=repository%3Arepo%2Fapp%3Apull",
        "HTTP_AUTHORIZATION": basic("u0"),
        "wsgi.url_scheme": "http",
        **({} if header is None else {"HTTP_TRACEPARENT": header}),
    }

    def call() -> float:
        start = time.process_time()
        for _ in range(CALLS):
            status: list[str] = []
            body = app.wsgi_app({**environ, "wsgi.input": io.BytesIO()}, lambda text, _, seen=status: seen.append(text))
            assert status == ["200 OK"], (status, body)  # noqa: S101 - a measurement of failures would mean nothing
        return time.process_time() - start

    return call


if __name__ == "__main__":
    main()
