"""Forms that arrive slowly: each has ten seconds, and no client has all the places in which they are read."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from harness import web
from harness.crowd import many_files
from harness.own_time import OwnTime
from harness.registries import KEEPER
from harness.server import Setup, TokenServer, serving
from harness.waiting import PATIENCE_SECONDS

from tokenserver.exchange.admission import MAX_BODIES_PER_CLIENT
from tokenserver.web.bodies import BODY_SECONDS

pytestmark = pytest.mark.waits

FORM = b"grant_type=password&username=x&password=y&service=registry2.test"
HEAD = b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
ENDED_WITHIN = BODY_SECONDS + 2
PROMPT = 2.0
MANY = MAX_BODIES_PER_CLIENT + 20

SLOW = {
    "nothing": HEAD + b"Content-Length: 900\r\n\r\n",
    "a byte a second": HEAD + b"Content-Length: 900\r\n\r\n",
    "nothing in chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
    "a chunk a second": HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    "all but the end": HEAD + b"Transfer-Encoding: chunked\r\n\r\n40\r\n" + FORM + b"\r\n",
    "expect": HEAD + b"Content-Length: 900\r\nExpect: 100-continue\r\n\r\n",
}
DRIPS = {"a byte a second": b"a", "a chunk a second": b"1\r\na\r\n"}


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server with one worker, behind a proxy on this machine as far as it knows."""
    settings = {"server": {"workers": 1, "trusted_proxies": ["127.0.0.1/32"]}}
    small = replace(setup, people={KEEPER: setup.people[KEEPER]}, settings=settings)
    with many_files(), serving(tmp_path_factory.mktemp("bodies"), small) as server:
        yield server


@contextmanager
def connected(port: int, source: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A connection from this loopback address."""
    with socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source, 0)) as client:
        yield client


def hold_all(stack: ExitStack, port: int, head: bytes, source: str = "127.0.0.1") -> None:
    """Take all places that one address gets, and wait until the server has sent away those that are too many."""
    clients = [stack.enter_context(connected(port, source)) for _ in range(MANY)]
    for client in clients:
        client.sendall(head)
    deadline = time.monotonic() + BODY_SECONDS / 2
    poll = select.poll()
    for client in clients:
        poll.register(client, select.POLLIN)
    while len(poll.poll(100)) < MANY - MAX_BODIES_PER_CLIENT:
        assert time.monotonic() < deadline


def post(server: TokenServer, source: str, *lines: bytes) -> tuple[int, float, bytes]:
    """A good form from this loopback address, sent whole: the status, the server's own seconds, and the answer."""
    own = OwnTime(server.daemon.pid)
    with connected(server.port, source) as client:
        length = b"Content-Length: %d" % len(FORM)
        client.sendall(HEAD + b"\r\n".join([*lines, length, b"Connection: close", b"", b""]) + FORM)
        answer = b""
        while part := client.recv(65536):
            answer += part
    return int(answer.split(b" ", 2)[1]), own.seconds, answer


def test_a_body_has_a_deadline(server: TokenServer) -> None:
    """Ten seconds from its headers, however it is spread over them: 408 or nothing, and the connection ends."""
    with ExitStack() as stack:
        clients = {kind: stack.enter_context(connected(server.port)) for kind in SLOW}
        own, start = OwnTime(server.daemon.pid), time.monotonic()
        for kind, client in clients.items():
            client.sendall(SLOW[kind])
            client.settimeout(0.01)  # all are asked in turn, so none is seen to end late for the others
        ends: dict[str, tuple[float, bytes]] = {}
        answers = dict.fromkeys(SLOW, b"")
        dripped = start
        while len(ends) < len(SLOW) and time.monotonic() < start + PATIENCE_SECONDS:
            is_time = time.monotonic() > dripped + 1
            dripped = time.monotonic() if is_time else dripped
            for kind in SLOW.keys() - ends.keys():
                try:
                    if is_time and kind in DRIPS:
                        clients[kind].sendall(DRIPS[kind])
                    part = clients[kind].recv(65536)
                except TimeoutError:
                    continue
                except ConnectionError:
                    part = b""
                answers[kind] += part
                if not part:
                    ends[kind] = (time.monotonic() - start, answers[kind])
        most = ENDED_WITHIN + own.waited
    assert ends.keys() == SLOW.keys()
    assert {kind for kind, (seconds, _) in ends.items() if not BODY_SECONDS - 1 < seconds < most} == set(), ends
    final = {kind: answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")[:13] for kind, (_, answer) in ends.items()}
    assert set(final.values()) <= {b"HTTP/1.1 408 ", b""}
    assert b"HTTP/1.1 408 " in final.values()


def test_one_address_does_not_hold_all_places(server: TokenServer) -> None:
    """Whoever has its part is sent away at once, everybody else is not; and after the deadline there is room again."""
    with ExitStack() as stack:
        start = time.monotonic()
        hold_all(stack, server.port, SLOW["nothing"], "127.0.0.3")
        status, seconds, answer = post(server, "127.0.0.3")
        assert (status, seconds < PROMPT) == (503, True)
        assert b"\r\nretry-after: 1\r\n" in answer.lower()
        others = [post(server, f"127.0.0.{number}") for number in range(10, 20)]
        assert [(status, seconds < PROMPT) for status, seconds, _ in others] == [(401, True)] * 10
        assert server.request("GET", "/healthz").status == 200
        time.sleep(max(0.0, start + BODY_SECONDS + PROMPT - time.monotonic()))
        assert post(server, "127.0.0.3")[0] == 401


def test_behind_a_proxy_the_address_is_the_clients(server: TokenServer) -> None:
    """The proxy's own address holds many clients, and clients that are not known share the part of one."""
    with ExitStack() as stack:
        for client in (b"203.0.113.9", b"unknown"):
            told = b"\r\nX-Forwarded-For: " + client + b"\r\n\r\n"
            hold_all(stack, server.port, SLOW["nothing"].replace(b"\r\n\r\n", told))
        found = {
            client: post(server, "127.0.0.1", b"X-Forwarded-For: " + client)[0]
            for client in (b"203.0.113.9", b"unknown", b"_other", b"203.0.113.10", b"2001:db8::1")
        }
        assert found == {
            b"203.0.113.9": 503,
            b"unknown": 503,
            b"_other": 503,
            b"203.0.113.10": 401,
            b"2001:db8::1": 401,
        }


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"%x\r\n%s\r\n0\r\n\r\n" % (len(FORM), FORM), 401, id="whole"),
        pytest.param(b"".join(b"1\r\n%c\r\n" % one for one in FORM) + b"0\r\n\r\n", 401, id="in single bytes"),
        pytest.param(b"%x\r\n%s\r\nzz\r\n" % (len(FORM), FORM), 400, id="cut by a broken chunk"),
        pytest.param(b"%x\r\n%s\r\n0\r\nX: y\r\n\r\n" % (len(FORM), FORM), 400, id="with a trailer"),
        pytest.param(b"1\r\na\r\n" * 5000 + b"0\r\n\r\n", 400, id="five thousand chunks"),
        pytest.param(b"20000\r\n" + b"a" * 131072 + b"\r\n1\r\na\r\n0\r\n\r\n", 413, id="too large"),
    ],
)
def test_chunks(server: TokenServer, body: bytes, status: int) -> None:
    """A form in chunks is read to its true end; half a password is never tried."""
    received = web.raw(server.port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body)
    assert received.statuses == [status]
    assert received.closed == (status != 401)


def test_a_length_that_is_not_kept(server: TokenServer) -> None:
    """A client that ends its half of the connection before the announced length is not tried with half a password."""
    mark = server.audit.mark()
    with connected(server.port) as client:
        client.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % (len(FORM) + 1) + FORM)
        client.shutdown(socket.SHUT_WR)
        client.settimeout(5)
        assert client.recv(65536)[:13] in {b"", b"HTTP/1.1 400 "}
    events = server.audit.events(mark, until=bool)
    assert {event.outcome for event in events} <= {"invalid_request"}


def test_forms_that_are_cut_off_stay_in_no_memory(tmp_path: Path, setup: Setup) -> None:
    """Each thousand of them kept three megabytes and more (docs/design/threats.md#fault-27).

    Threads that start meanwhile take memory as well, but not in each round.
    """

    def memory(server: TokenServer) -> int:
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4 for pid in server.daemon.children)

    small = replace(setup, people={KEEPER: setup.people[KEEPER]}, settings={"server": {"workers": 1}})
    with serving(tmp_path, small) as server:
        taken = [memory(server)]
        for _ in range(4):
            for _ in range(1000):
                with connected(server.port) as client:
                    client.sendall(SLOW["nothing"] + b"grant_type=pass")
                    client.shutdown(socket.SHUT_WR)
                    client.settimeout(5)
                    client.recv(65536)
            taken.append(memory(server))
        assert post(server, "127.0.0.1")[0] == 401
    assert min(after - before for before, after in pairwise(taken)) < 1_500, f"kilobytes: {taken}"


def test_after_a_refusal_nothing_is_read(tmp_path: Path, setup: Setup) -> None:
    """Plain http from another machine is refused before its form is there, and the connection ends."""
    settings = {"server": {"workers": 1, "trusted_proxies": ["127.0.0.1/32"]}}
    small = replace(setup, people={KEEPER: setup.people[KEEPER]}, settings=settings)
    with serving(tmp_path, small) as server:
        told = b"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: http\r\nContent-Length: 900\r\n\r\n"
        received = web.raw(server.port, HEAD + told)
        assert (received.statuses, received.closed) == ([403], True)
