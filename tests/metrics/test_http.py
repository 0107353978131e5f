"""The listener of its own: metrics at one path, nothing else, and nobody can hold it up."""

from __future__ import annotations

import multiprocessing
import signal
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest

from tokenserver.errors import LoadError
from tokenserver.metrics import http as module
from tokenserver.metrics.http import Listener


@pytest.fixture(scope="module")  # it takes half a second to close
def listener() -> Iterator[Listener]:
    one = Listener(("127.0.0.1", 0), lambda: b"x 1\n", "text/plain; version=1")
    one.start()
    yield one
    one.close()


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        pytest.param("GET", "/metrics", 200, b"x 1\n", id="metrics"),
        pytest.param("GET", "/metrics?name=x", 200, b"x 1\n", id="query"),
        pytest.param("HEAD", "/metrics", 200, b"", id="head"),
        pytest.param("GET", "/", 404, b"metrics are at /metrics\n", id="root"),
        pytest.param("GET", "/token", 404, b"metrics are at /metrics\n", id="no-tokens-here"),
        pytest.param("POST", "/metrics", 501, None, id="post"),
    ],
)
def test_it_serves_metrics_alone(listener: Listener, method: str, path: str, status: int, body: bytes | None) -> None:
    """One path, to read."""
    connection = HTTPConnection("127.0.0.1", listener.port, timeout=10)
    connection.request(method, path)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    assert response.status == status
    if body is not None:
        assert content == body
    if status == 200:
        assert response.headers["Content-Type"] == "text/plain; version=1"
        assert response.headers["Cache-Control"] == "no-store"


def test_a_client_that_says_nothing_holds_nobody_up(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are answered meanwhile, and its connection is closed after a while."""
    monkeypatch.setattr(module, "CLIENT_SECONDS", 0.2)
    short = Listener(("127.0.0.1", 0), lambda: b"", "text/plain")
    short.start()
    with socket.create_connection(("127.0.0.1", short.port), timeout=10) as silent:
        connection = HTTPConnection("127.0.0.1", short.port, timeout=10)
        connection.request("GET", "/metrics")
        assert connection.getresponse().status == 200
        connection.close()
        assert silent.recv(1) == b""
    short.close()


def test_a_taken_port_is_a_fault_of_the_configuration(listener: Listener) -> None:
    """The start is refused, and says which key."""
    with pytest.raises(LoadError, match=rf"server: metrics: .*127\.0\.0\.1:{listener.port}.*in use"):
        Listener(("127.0.0.1", listener.port), bytes, "")


def test_ipv6() -> None:
    """`metrics: "[::1]:9090"` as well."""
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        one = Listener(("::1", 0), lambda: b"", "text/plain")
    except LoadError:
        pytest.skip("no IPv6 loopback here")
    one.start()
    assert threading.active_count() > 1
    with socket.create_connection(("::1", one.port), timeout=10) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert client.recv(15).startswith(b"HTTP/1.0 200")
    one.close()


def test_workers_do_not_hold_the_address() -> None:
    """A worker that outlives the process above it must not be in the way of the next start."""
    one = Listener(("127.0.0.1", 0), bytes, "text/plain")
    one.start()
    context = multiprocessing.get_context("fork")
    is_there = context.Event()
    worker = context.Process(target=_stay, args=(is_there,))
    worker.start()
    try:
        assert is_there.wait(30)
        one.close()
        Listener(("127.0.0.1", one.port), bytes, "text/plain").start()
    finally:
        worker.kill()
        worker.join(30)


def _stay(is_there: Any) -> None:
    is_there.set()
    signal.pause()
