"""The gateway: requests as granian hands them over, from their headers and bodies to the answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from flask import Flask
from granian_requests import Exchange, GranianPromise, Headers, Scope, Watcher
from tests_web_server import PASSWORDS, Server, server, server_folder

from tokenserver.process import body_reader, gateway
from tokenserver.process.body_reader import WorkerLoop
from tokenserver.process.gateway import Gateway
from tokenserver.web.routes import TokenFront

__all__ = ["server", "server_folder"]

FORM = urlencode({"grant_type": "password", "service": "reg", "username": "ann", "password": PASSWORDS["ann"]}).encode()


@pytest.fixture
def loop() -> Iterator[WorkerLoop]:
    """A loop that does not run: nothing here may need it."""
    loop = WorkerLoop()
    yield loop
    loop.close()


@pytest.fixture
def front(server: Server) -> TokenFront:
    application = server.client.application
    assert isinstance(application, Flask)
    front = application.wsgi_app
    assert isinstance(front, TokenFront)
    return front


@pytest.fixture
def gate(front: TokenFront, loop: WorkerLoop) -> Gateway:
    return Gateway(front, loop, threads=1)


def post(*lines: tuple[str, str], length: int = len(FORM)) -> Scope:
    """The headers of a POST with a form."""
    form = ("content-type", "application/x-www-form-urlencoded")
    headers = Headers([("host", "x"), form, ("content-length", str(length)), *lines])
    return Scope(headers, method="POST", query_string="", client="127.0.0.1:4711")


def test_a_get(gate: Gateway) -> None:
    """It has no body to wait for."""
    exchange = Exchange()
    gate(Watcher(Scope(query_string="service=reg", client="127.0.0.1:4711"), exchange))
    assert [status for status, _, _ in exchange.answers] == [200]


def test_another_page(gate: Gateway) -> None:
    """It is Flask's."""
    exchange = Exchange()
    gate(Watcher(Scope(path="/healthz"), exchange))
    assert [(status, json.loads(body)) for status, _, body in exchange.answers] == [(200, {"status": "ok"})]


def test_a_form_is_answered_by_the_thread_that_completes_it(gate: Gateway, front: TokenFront, loop: WorkerLoop) -> None:
    """No thread waits before, and its place is free afterwards."""
    body = GranianPromise(loop)
    exchange = Exchange(body)
    gate(Watcher(post(), exchange))
    assert (exchange.answers, front.endpoint.places.taken) == ([], 1)
    body.complete(lambda: FORM)
    assert front.endpoint.places.taken == 0
    status, _, content = exchange.answers[0]
    assert (len(exchange.answers), status, sorted(json.loads(content))) == (
        1,
        200,
        ["access_token", "expires_in", "issued_at", "scope", "token"],
    )


def test_a_late_form(gate: Gateway, loop: WorkerLoop, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """408, the end of the connection, and an event; nothing of it is tried."""
    monkeypatch.setattr(gateway, "BODY_SECONDS", 0.05)
    monkeypatch.setattr(body_reader, "LATE_SECONDS", 0.05)
    exchange = Exchange(GranianPromise(loop))
    gate(Watcher(post(), exchange))
    deadline = time.monotonic() + 10
    loop.call_later(0.01, loop.stop)
    while not exchange.answers and time.monotonic() < deadline:
        loop.call_later(0.01, loop.stop)
        loop.run_forever()
    status, headers, _ = exchange.answers[0]
    assert (status, headers["connection"]) == (408, "close")
    assert [event["outcome"] for event in server.audit.events] == ["invalid_request"]


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        pytest.param(post(length=10_000_000), 413, id="too large"),
        pytest.param(post(("transfer-encoding", "gzip")), 400, id="a coding that is ambiguous"),
    ],
)
def test_a_refusal_reads_no_body(gate: Gateway, front: TokenFront, scope: Scope, status: int) -> None:
    """Its headers are enough, and it holds no place."""
    exchange = Exchange()
    gate(Watcher(scope, exchange))
    assert [(found, headers["connection"]) for found, headers, _ in exchange.answers] == [(status, "close")]
    assert front.endpoint.places.taken == 0


@pytest.mark.parametrize("is_late", [False, True], ids=["before the body", "after the body"])
def test_an_unexpected_error(
    gate: Gateway,
    front: TokenFront,
    loop: WorkerLoop,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    is_late: bool,
) -> None:
    """500 instead of a client that waits forever, a log line without the error's text, and no place is lost."""

    def fail(*_: object) -> None:
        raise LookupError("a secret")

    monkeypatch.setattr(front, "token", fail)
    body = GranianPromise(loop)
    if is_late:
        exchange = Exchange(body)
        gate(Watcher(post(), exchange))
        body.complete(lambda: FORM)
    else:
        exchange = Exchange()  # has no body to give
        gate(Watcher(post(), exchange))
    assert [status for status, _, _ in exchange.answers] == [500]
    assert front.endpoint.places.taken == 0
    kind = "LookupError" if is_late else "AssertionError"
    assert [record.getMessage() for record in caplog.records] == [f"unexpected {kind} while answering a request"]


def test_a_form_of_an_unknown_path_is_not_read(gate: Gateway) -> None:
    """Without pages nobody takes forms there; the answer comes without the body."""
    exchange = Exchange()
    scope = Scope(post().headers, method="POST", path="/login", client="127.0.0.1:4711")
    gate(Watcher(scope, exchange))
    assert [status for status, _, _ in exchange.answers] == [404]
