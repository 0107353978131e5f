"""Clients that are slow on purpose: five hundred of them take nothing away from the others (threats F27)."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from harness import web
from harness.authority import Authority
from harness.proxy import shipped_nginx
from harness.registries import KEEPER
from harness.server import Setup, TokenServer, serving

SLOW_CLIENTS = 500
SECONDS = 6.0
REQUESTS = 100
PAUSE = 0.05
PROMPT = 1.0
TARGET = web.token_target("registry2.test", ["repository:public/x:pull"])

_FORM = (
    "POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 900\r\n\r\n"
)
SLOW = {
    "headers": b"GET /token HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    "body": _FORM.encode(),
    "reading": f"GET {TARGET} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 40,
    "idle": b"",
}


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server of its own, with two workers."""
    small = replace(setup, people={KEEPER: setup.people[KEEPER]}, settings={"server": {"workers": 2}})
    with serving(tmp_path_factory.mktemp("slow"), small) as server:
        yield server


@contextmanager
def slow_clients(port: int, beginning: bytes) -> Iterator[None]:
    """Clients that send a byte a second and never read; who is thrown out comes again."""
    stop = threading.Event()
    with ExitStack() as stack:

        def come() -> socket.socket:
            client = socket.create_connection(("127.0.0.1", port), timeout=5)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(beginning)
            return client

        clients = [come() for _ in range(SLOW_CLIENTS)]

        def leave() -> None:
            for client in clients:
                client.close()

        def drip() -> None:
            while not stop.wait(1.0):
                for place, client in enumerate(clients):
                    try:
                        if beginning and not beginning.endswith(b"\r\n\r\n" * 2):
                            client.send(b"a", socket.MSG_DONTWAIT)
                    except BlockingIOError:
                        continue
                    except OSError:
                        client.close()
                        with contextlib.suppress(OSError):
                            clients[place] = come()

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        stack.callback(leave)
        stack.callback(thread.join)
        stack.callback(stop.set)
        yield


def good_traffic(port: int, context: ssl.SSLContext | None = None) -> list[tuple[int, float]]:
    """The statuses and times of requests with a connection each, one after the other: a hundred at least."""
    found: list[tuple[int, float]] = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end or len(found) < REQUESTS:
        start = time.monotonic()
        try:
            status = web.request(port, "GET", TARGET, context=context).status
        except OSError:
            status = 0
        found.append((status, time.monotonic() - start))
        time.sleep(PAUSE)
    return found


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind) for kind in SLOW])
def test_standalone(server: TokenServer, kind: str) -> None:
    """With nothing in front of the server."""
    with slow_clients(server.port, SLOW[kind]):
        found = good_traffic(server.port)
        assert server.request("GET", "/healthz").status == 200
    assert [(status, taken) for status, taken in found if status != 200 or taken > PROMPT] == []


# Clients that have not yet come as far as HTTP: silent ones, and such as stop in the middle of the handshake.
SLOW_TLS = {"silent": b"", "handshake": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"}


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind) for kind in SLOW_TLS])
def test_standalone_with_tls(setup: Setup, tmp_path: Path, kind: str) -> None:
    """With nothing in front of the server, which speaks TLS itself."""
    authority = Authority(tmp_path, "the company")
    people = {KEEPER: setup.people[KEEPER]}
    secure = replace(setup, people=people, tls=authority, settings={"server": {"workers": 2}})
    with serving(tmp_path, secure) as server, slow_clients(server.port, SLOW_TLS[kind]):
        found = good_traffic(server.port, authority.context())
        assert server.request("GET", "/healthz").status == 200
    assert [(status, taken) for status, taken in found if status != 200 or taken > PROMPT] == []


@pytest.mark.real("nginx")
@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind) for kind in SLOW])
def test_behind_a_proxy(server: TokenServer, tmp_path: Path, kind: str) -> None:
    """Behind nginx as deploy/nginx.conf has it."""
    with shipped_nginx(tmp_path, [server.port]) as proxy, slow_clients(proxy.port, SLOW[kind]):
        found = good_traffic(proxy.port)
        assert server.request("GET", "/healthz").status == 200
    assert [(status, taken) for status, taken in found if status != 200 or taken > PROMPT] == []


def test_bodies_beyond_the_bound_are_turned_away(server: TokenServer) -> None:
    """Who sends a form while too many are on their way is told at once to come again, and GET works as ever."""
    with slow_clients(server.port, SLOW["body"]):
        answer = server.request(
            "POST",
            "/token",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=b"grant_type=password&username=x&password=y&service=registry2.test",
        )
        assert (answer.status, answer.headers["retry-after"]) == (503, ["1"])
        assert server.request("GET", TARGET).status == 200
