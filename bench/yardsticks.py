"""The yardsticks: a bare WSGI function and a no-op Flask route, served in the same way."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask, Response

BODY = b'{"token":"' + b"x" * 980 + b'"}\n'
HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))]

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def bare(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:  # noqa: ARG001 - WSGI's signature
    """A ready JSON body of about one kilobyte."""
    start_response("200 OK", HEADERS)
    return [BODY]


def flask_route() -> Wsgi:
    """A Flask route that only returns the same body."""
    app = Flask("yardstick", static_folder=None)

    @app.route("/token", methods=["GET", "POST"])
    def token() -> Response:
        return Response(BODY, content_type="application/json")

    return app


def load(name: str) -> Wsgi:
    """The yardstick of that name, in the worker."""
    return bare if name == "bare" else flask_route()


def serve(name: str, port: int, workers: int, tls: Path | None = None) -> None:
    """Serve a yardstick on loopback until stopped."""
    from granian.constants import Interfaces  # noqa: PLC0415 - only in the yardstick's own process
    from granian.server.mp import MPServer  # noqa: PLC0415

    server = MPServer(
        "yardstick",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=1,
        websockets=False,
        log_enabled=False,
        ssl_cert=tls / "tls.pem" if tls else None,
        ssl_key=tls / "tls.key" if tls else None,
    )
    server.serve(target_loader=partial(load, name), wrap_loader=False)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]) if len(sys.argv) > 4 else None)
