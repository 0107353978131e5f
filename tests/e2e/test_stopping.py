"""SIGTERM under load: what was asked before is answered, what comes after is turned away, nothing in between."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from harness import web
from harness.registries import KEEPER
from harness.server import Setup, TokenServer, serving

pytestmark = pytest.mark.alone

SERVICE = "registry2.test"
TARGET = web.token_target(SERVICE, ["repository:public/x:pull"])
WORKERS = 2
CLIENTS = 12
PROMPT_SECONDS = 5
LOAD_SECONDS = 1.0
TURNED_AWAY = "turned away"


@pytest.fixture
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server of its own, since this one ends."""
    # Each token is signed anew, or in a rush several answers would share a token and its id.
    settings = {"server": {"workers": WORKERS}, "token_reuse": 0}
    small = replace(setup, people={KEEPER: setup.people[KEEPER]}, settings=settings)
    with serving(tmp_path_factory.mktemp("stopping"), small) as server:
        yield server


@dataclass(frozen=True)
class Try:
    """One request: when it was sent, on which use of its connection, and the status or what went wrong.

    `jti` is the id of the token that it brought.
    """

    sent: float
    is_first: bool
    result: int | str
    jti: str | None = None


def connect_each_time(port: int, stop: threading.Event) -> Iterator[Try]:
    """A new connection for each request, as most registry clients have it."""
    while not stop.is_set():
        sent = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.connect()
        except ConnectionRefusedError:
            yield Try(sent, True, TURNED_AWAY)
            return
        except OSError as error:
            yield Try(sent, True, f"at connect: {error!r}")
            continue
        try:
            connection.request("GET", TARGET, headers={"Connection": "close"})
            response = connection.getresponse()
            yield Try(sent, True, response.status, _jti(response))
        except (OSError, http.client.HTTPException) as error:
            yield Try(sent, True, repr(error))
        finally:
            connection.close()


def keep_alive(port: int, stop: threading.Event) -> Iterator[Try]:
    """One connection for all requests, as daemons have it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.connect()
    is_first = True
    try:
        while not stop.is_set():
            sent = time.monotonic()
            connection.request("GET", TARGET)
            response = connection.getresponse()
            yield Try(sent, is_first, response.status, _jti(response))
            is_first = False
            if response.will_close:
                return
    except (OSError, http.client.HTTPException) as error:
        yield Try(sent, is_first, repr(error))
    finally:
        connection.close()


def _jti(response: http.client.HTTPResponse) -> str | None:
    body = response.read()
    return str(web.claims(json.loads(body)["token"])["jti"]) if response.status == 200 else None


Load = Callable[[int, threading.Event], Iterator[Try]]


def stopped_under(load: Load, server: TokenServer) -> tuple[list[Try], float, int]:
    """All tries of a load, the moment of SIGTERM in the middle of it, and the server's exit code."""
    tries: list[Try] = []
    stop = threading.Event()
    clients = [
        threading.Thread(target=lambda: tries.extend(load(server.port, stop)), daemon=True) for _ in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    time.sleep(LOAD_SECONDS)
    stopped = time.monotonic()
    server.daemon.signal(signal.SIGTERM)
    code = server.daemon.wait(25)
    assert "refused to gracefully stop" not in server.daemon.log
    stop.set()
    for client in clients:
        client.join(25)
        assert not client.is_alive(), "a client still waits for an answer"
    return tries, stopped, code


def test_connections_under_way_are_answered(server: TokenServer) -> None:
    """What was sent before SIGTERM is answered; what comes later is answered, or turned away at the door."""
    tries, stopped, code = stopped_under(connect_each_time, server)
    assert code == 0, server.daemon.log[-2000:]
    assert len([one for one in tries if one.sent < stopped]) > 10 * CLIENTS
    assert [one for one in tries if one.sent < stopped and one.result != 200] == []
    assert not [one for one in tries if isinstance(one.result, int) and one.result != 200]


def test_requests_on_open_connections_are_answered(server: TokenServer) -> None:
    """What was sent before SIGTERM is answered. Later a connection may end unanswered, as it may at any time."""
    tries, stopped, code = stopped_under(keep_alive, server)
    assert code == 0, server.daemon.log[-2000:]
    before = [one for one in tries if one.sent < stopped]
    assert len(before) > 10 * CLIENTS
    assert [one for one in before if one.result != 200] == []
    assert not [one for one in tries if isinstance(one.result, int) and one.result != 200]


def test_every_token_that_left_has_its_audit_event(server: TokenServer) -> None:
    """Also at the end no token leaves without its own line, and every line is whole."""
    tries, _, _ = stopped_under(connect_each_time, server)
    left = [one.jti for one in tries if one.result == 200]
    assert len(left) == len(set(left)) > 10 * CLIENTS  # none was given twice, so each has a line to itself
    events = [event for event in server.audit.events() if event.outcome == "granted"]
    assert set(left) <= {event.fields["jti"] for event in events}
    assert {event.granted for event in events} == {frozenset({"repository:public/x:pull"})}
    assert len({event.fields["request_id"] for event in events}) == len(events)
    assert server.daemon.stdout.read_bytes().endswith(b"}\n")


def test_it_is_not_ready_while_it_stops(server: TokenServer) -> None:
    """A load balancer that asks learns that it should send nobody; who comes yet is answered."""
    server.daemon.signal(signal.SIGTERM)
    found: list[tuple[int, int]] = []
    try:
        while server.daemon.is_running:
            found.append((server.request("GET", "/readyz").status, server.request("GET", TARGET).status))
    except (OSError, http.client.HTTPException):
        pass
    assert server.daemon.wait(25) == 0
    assert (503, 200) in found
    assert {token for _, token in found} == {200}


def test_a_server_that_has_only_just_started_stops_too(server: TokenServer) -> None:
    """A worker that is told to stop while it still loads must not miss it; that would cost the whole grace period."""
    server.daemon.stop()
    server.daemon.start(lambda: len(server.daemon.children) >= WORKERS)
    asked = time.monotonic()
    server.daemon.signal(signal.SIGTERM)
    assert server.daemon.wait(30) == 0
    assert time.monotonic() - asked < PROMPT_SECONDS, server.daemon.log[-2000:]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_at_a_terminal_is_no_error(number: signal.Signals, server: TokenServer) -> None:
    """A terminal signals every process; the server ends with 0, promptly, and the log tells of nothing unexpected."""
    os.killpg(server.daemon.pid, number)
    assert server.daemon.wait(PROMPT_SECONDS) == 0
    assert '"level": "error"' not in server.daemon.stderr.read_text()


def test_a_slow_login_is_finished(server: TokenServer) -> None:
    """A password check that is under way at SIGTERM still gets its token."""
    time.sleep(LOAD_SECONDS)  # another test looks at a server that has only just started
    answers: list[web.Answer] = []
    client = threading.Thread(target=lambda: answers.append(server.ask(SERVICE, person=KEEPER)))
    mark = server.audit.mark()
    client.start()
    time.sleep(0.02)
    server.daemon.signal(signal.SIGTERM)
    client.join(25)
    assert server.daemon.wait(PROMPT_SECONDS) == 0
    assert [answer.status for answer in answers] == [200]
    assert [event.outcome for event in server.audit.events(mark)] == ["login"]


def ask_master(server: TokenServer) -> None:
    """SIGTERM to the master alone, as systemd and docker do."""
    server.daemon.signal(signal.SIGTERM)


def ask_all(server: TokenServer) -> None:
    """Ctrl-C at a terminal: each process gets the signal, and then each worker another one, by the master."""
    os.killpg(server.daemon.pid, signal.SIGINT)


def ask_workers_twice(server: TokenServer) -> None:
    """SIGTERM to each worker twice, and then by the master."""
    for _ in range(2):
        for worker in server.daemon.children:
            os.kill(int(worker), signal.SIGTERM)
        time.sleep(0.3)
    ask_master(server)


@pytest.mark.parametrize("ask", [ask_master, ask_all, ask_workers_twice])
def test_a_request_that_takes_seconds_is_answered(server: TokenServer, ask: Callable[[TokenServer], None]) -> None:
    """A form whose second half comes three seconds after SIGTERM; the grace is much longer. A second signal to a worker
    changes nothing: see docs/design/threats.md#threat-242.
    """
    body = web.form(grant_type="password", client_id="t", service=SERVICE, username=KEEPER, password="wrong")
    kind = "Content-Type: application/x-www-form-urlencoded"
    head = f"POST /token HTTP/1.1\r\nHost: x\r\n{kind}\r\nContent-Length: {len(body)}"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(head.encode() + b"\r\n\r\n" + body[:20])
        time.sleep(0.3)
        ask(server)
        time.sleep(3)
        client.sendall(body[20:])
        assert client.recv(65536).startswith(b"HTTP/1.1 401 ")
    assert server.daemon.wait(PROMPT_SECONDS) == 0
