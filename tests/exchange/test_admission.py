"""Admission control: what clients get under overload, and which requests hold no slot."""

from __future__ import annotations

import base64
import io
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
from harness.own_time import OwnTime
from harness.waiting import until
from tests_web_server import PASSWORDS, Server, server, server_folder
from werkzeug.test import TestResponse

from tokenserver.authn.htpasswd import verify as decoy
from tokenserver.exchange import admission

__all__ = ["server", "server_folder"]

FORM = {"grant_type": "password", "service": "reg", "username": "ann", "password": PASSWORDS["ann"]}
SECONDS = 10.0


@contextmanager
def crowded(server: Server) -> Iterator[None]:
    """All slots are taken, and the queue is closed."""
    room = server.parts.admission
    room.queue = 0
    with ExitStack() as stack:
        for _ in range(room.workers):
            stack.enter_context(room)
        yield


def ask(server: Server, user: str = "") -> TestResponse:
    """One GET by a client of its own, anonymous or with this user's password."""
    basic = base64.b64encode(f"{user}:{PASSWORDS[user]}".encode()).decode() if user else ""
    answer: TestResponse = server.client.application.test_client().get(
        "/token", headers={"Authorization": f"Basic {basic}"} if user else {}
    )
    return answer


def test_a_request_beyond_the_queue_is_rejected_immediately(server: Server) -> None:
    """503 with Retry-After and a body for every kind of client, and no event: nothing was exchanged."""
    with crowded(server):
        own = OwnTime(os.getpid())
        answers = [server.client.get("/token"), server.client.post("/token", data=FORM)]
        took = own.seconds
    assert [(one.status_code, one.headers["Retry-After"]) for one in answers] == [(503, "1")] * 2
    assert [one.get_json()["errors"][0]["code"] for one in answers] == ["UNAVAILABLE"] * 2
    assert [one.get_json().get("error") for one in answers] == [None, "temporarily_unavailable"]
    assert all(one.headers["Cache-Control"] == "no-store" and one.headers["X-Request-Id"] for one in answers)
    assert server.audit.events == []
    assert took < 0.5
    assert server.client.get("/token").status_code == 200


@pytest.mark.parametrize("page", ["/healthz", "/readyz", "/ca.pem", "/.well-known/jwks.json"])
def test_other_pages_are_not_admission_controlled(server: Server, page: str) -> None:
    """A health check is answered however many requests are queued."""
    with crowded(server):
        assert server.client.get(page).status_code == 200


def test_a_burst_is_queued(server: Server) -> None:
    """A request that arrives while all slots are taken gets its token as soon as one is free."""
    room = server.parts.admission
    with ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        for _ in range(room.workers):
            stack.enter_context(room)
        waiting = pool.submit(ask, server)
        until(lambda: room.load == (admission.CONCURRENCY, 1), seconds=SECONDS)
        stack.close()
        assert waiting.result(SECONDS).status_code == 200
    assert room.load == (0, 0)


def test_a_login_in_verification_holds_no_slot(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing and directories have limits of their own; waiting for them blocks no other request."""
    checking, may_end = threading.Event(), threading.Event()

    def verify(password: str, kept: str) -> bool:
        checking.set()
        return may_end.wait(SECONDS)

    monkeypatch.setattr(decoy, "verify", verify)
    room = server.parts.admission
    with ThreadPoolExecutor(1) as pool:
        login = pool.submit(ask, server, "ann")
        assert checking.wait(SECONDS)
        assert room.load == (0, 0)
        may_end.set()
        assert login.result(SECONDS).status_code == 200
    assert room.load == (0, 0)


def test_a_body_in_transit_holds_no_slot(server: Server) -> None:
    """A slow form holds one of the places for bodies, and none of the slots for requests."""
    room = server.parts.admission
    loads = []

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            loads.append(room.load)
            return super().read(size)

    body = b"grant_type=password&service=reg&username=ann&password=" + PASSWORDS["ann"].encode()
    answer = server.client.post(
        "/token",
        input_stream=Slow(body),
        content_type="application/x-www-form-urlencoded",
        headers={"Content-Length": str(len(body))},
    )
    assert (answer.status_code, set(loads), room.load) == (200, {(0, 0)}, (0, 0))
