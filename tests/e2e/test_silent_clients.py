"""Silent clients: whatever it is that they do not say, their connections end, and others get in again.

The server has few places, so that there are more silent clients than it accepts at once.
"""

from __future__ import annotations

import asyncio
import math
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from harness import web
from harness.authority import Authority
from harness.crowd import many_files
from harness.own_time import OwnTime
from harness.registries import KEEPER
from harness.server import Setup, serving
from harness.waiting import PATIENCE_SECONDS

from tokenserver.process.process_limits import FILES_KEPT_BACK

pytestmark = pytest.mark.waits

TARGET = web.token_target("registry2.test", ["repository:public/x:pull"])
CLOSED_WITHIN = 12.0
PLACES = 128
FILES = PLACES + FILES_KEPT_BACK
EACH = 16
SLOW_SECONDS = 3.0
COMING_SECONDS = 14.0
COMING_RATE = 50

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"

ANSWERED = {"idle after an answer": REQUEST, "half of the next request": REQUEST + b"GET /tok"}
SILENT = {
    "nothing": b"",
    "half a request line": b"GET /tok",
    "half a header": b"GET /token HTTP/1.1\r\nHost: x\r\nX-Half",
    "half a preface": PREFACE[:12],
}
BEFORE_TLS = {"no handshake": b"", "half a handshake": HELLO}


@pytest.fixture(scope="module")
def small(setup: Setup) -> Setup:
    """A server with one worker."""
    return replace(setup, people={KEEPER: setup.people[KEEPER]}, settings={"server": {"workers": 1}})


@contextmanager
def silent(port: int, beginning: bytes, context: ssl.SSLContext | None = None) -> Iterator[socket.socket]:
    """A client that sends this much, and takes the answers to the whole requests in it."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=30)
    with plain if context is None else context.wrap_socket(plain, server_hostname="localhost") as client:
        client.sendall(beginning)
        if beginning in ANSWERED.values():
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        yield client


async def ends(clients: list[tuple[str, socket.socket, float]]) -> dict[str, list[float]]:
    """After how many seconds the server ended each connection, by kind; `inf` for those that it did not end."""
    loop = asyncio.get_running_loop()
    found: dict[str, list[float]] = {}

    async def wait(kind: str, client: socket.socket, since: float) -> None:
        # Below TLS: the end of the connection is what is waited for, not what TLS makes of it.
        with socket.socket(fileno=os.dup(client.fileno())) as raw:
            raw.setblocking(False)
            try:
                async with asyncio.timeout_at(since + PATIENCE_SECONDS):
                    while await loop.sock_recv(raw, 65536):
                        pass
            except ConnectionResetError:
                pass
            except TimeoutError:
                found.setdefault(kind, []).append(math.inf)
                return
        found.setdefault(kind, []).append(time.monotonic() - since)

    async with asyncio.TaskGroup() as group:
        for one in clients:
            group.create_task(wait(*one))
    return found


def recovered(port: int, context: ssl.SSLContext | None) -> float:
    """After how many seconds a health check and a request for a token are answered. A client whose connection is closed
    comes again, as long as all workers are out of descriptors."""
    start = time.monotonic()
    for target in ("/healthz", TARGET):
        while True:
            try:
                status = web.request(port, "GET", target, context=context, seconds=30).status
            except (ConnectionError, ssl.SSLEOFError):
                assert time.monotonic() - start < PATIENCE_SECONDS
                time.sleep(0.1)
            else:
                assert status == 200
                break
    return time.monotonic() - start


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
def test_every_silent_client_is_ended(small: Setup, tmp_path: Path, is_tls: bool) -> None:
    """All kinds of silence at the same time, and more of them than the server accepts: the connections end, and good
    clients, which come when all places are taken, are answered, within twelve seconds."""
    authority = Authority(tmp_path, "the company") if is_tls else None
    context = authority.context() if authority is not None else None
    limit = ["prlimit", f"--nofile={FILES}:{FILES}"]
    with many_files(), ExitStack() as stack, ThreadPoolExecutor() as threads:
        server = stack.enter_context(serving(tmp_path, replace(small, tls=authority), prefix=limit))

        def come(kind: str, beginning: bytes, secure: ssl.SSLContext | None) -> tuple[str, socket.socket, float]:
            return kind, stack.enter_context(silent(server.port, beginning, secure)), time.monotonic()

        own = OwnTime(server.daemon.pid)
        # Those that get an answer, or a handshake, come while there are places.
        beginnings = [*ANSWERED.items(), *SILENT.items()]
        clients = [come(kind, beginning, context) for kind, beginning in beginnings for _ in range(EACH)]
        if is_tls:
            clients += [come(kind, beginning, None) for kind, beginning in BEFORE_TLS.items() for _ in range(EACH // 2)]
        # These wait to be accepted until some of the others have gone; a worker without descriptors closes them.
        queued = [come("queued", b"", None) for _ in range(PLACES)]
        ended = threads.submit(asyncio.run, ends(clients + queued))
        waited = recovered(server.port, context)
        found = ended.result()
        most = CLOSED_WITHIN + own.waited
        assert {kind for kind, times in found.items() if max(times) > most} == set(), found
        assert waited < most


def hello(context: ssl.SSLContext) -> bytes:
    """All that a client sends that falls silent when its first message of TLS is complete."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


def slow_handshake(port: int, context: ssl.SSLContext) -> bytes:
    """The answer to a client that takes three seconds for its first message of TLS."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")

    def until_done(step: Callable[[], bytes | None], raw: socket.socket) -> bytes:
        while True:
            try:
                return step() or b""
            except ssl.SSLWantReadError:
                raw.sendall(outgoing.read())
                incoming.write(raw.recv(65536))

    with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
        with suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        first = outgoing.read()
        for part in (first[:1], first[1:100], first[100:]):
            raw.sendall(part)
            time.sleep(SLOW_SECONDS / 3)
        until_done(tls.do_handshake, raw)
        tls.write(REQUEST)
        raw.sendall(outgoing.read())
        return until_done(partial(tls.read, 65536), raw)


def keeps_asking(port: int, context: ssl.SSLContext) -> list[bytes]:
    """The answers to a client that asks every three seconds, for longer than any silence lasts, over one connection."""
    answers = []
    with silent(port, b"", context) as client:
        for _ in range(5):
            client.sendall(REQUEST)
            answers.append(client.recv(65536))
            time.sleep(SLOW_SECONDS)
    return answers


@pytest.mark.parametrize("each", [4, 4 * EACH], ids=["with-descriptors", "without-descriptors"])
def test_silence_before_and_after_tls(small: Setup, tmp_path: Path, each: int) -> None:
    """Clients that are silent in their handshake do not wait for those that are silent after it: all end within twelve
    seconds, whether the server runs out of descriptors or not. Slow clients that are not silent are served meanwhile.
    """
    authority = Authority(tmp_path, "the company")
    context = authority.context()
    limit = ["prlimit", f"--nofile={FILES}:{FILES}"]
    before = BEFORE_TLS | {"a whole hello": hello(context)}
    with many_files(), ExitStack() as stack, ThreadPoolExecutor() as threads:
        server = stack.enter_context(serving(tmp_path, replace(small, tls=authority), prefix=limit))
        own = OwnTime(server.daemon.pid)
        good = threads.submit(keeps_asking, server.port, context), threads.submit(slow_handshake, server.port, context)
        time.sleep(SLOW_SECONDS / 6)  # until they are connected

        def come(kind: str, beginning: bytes, secure: ssl.SSLContext | None) -> tuple[str, socket.socket, float]:
            return kind, stack.enter_context(silent(server.port, beginning, secure)), time.monotonic()

        clients = [come("after the handshake", b"", context) for _ in range(PLACES - 1)]
        time.sleep(0.3)  # until the server knows that the handshakes are complete
        clients += [come(kind, beginning, None) for kind, beginning in before.items() for _ in range(each)]
        ended = threads.submit(asyncio.run, ends(clients))
        waited = recovered(server.port, context)
        found = ended.result()
        most = CLOSED_WITHIN + own.waited
        assert {kind for kind, times in found.items() if max(times) > most} == set(), found
        assert waited < most
        asked, slow = (one.result() for one in good)
        assert {answer[:13] for answer in (*asked, slow)} == {b"HTTP/1.1 200 "}


def test_silent_clients_that_keep_coming(small: Setup, tmp_path: Path) -> None:
    """A worker that is out of descriptors still ends each handshake in time, though new clients come all the time, and
    it need not be replaced for that.
    """
    authority = Authority(tmp_path, "the company")
    limit = ["prlimit", f"--nofile={FILES}:{FILES}"]
    with many_files(), ExitStack() as stack, serving(tmp_path, replace(small, tls=authority), prefix=limit) as server:

        async def come_one() -> list[float]:
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", server.port))
            return (await ends([("coming", client, time.monotonic())]))["coming"]

        async def come() -> list[asyncio.Task[list[float]]]:
            watched = []
            async with asyncio.TaskGroup() as group:
                for _ in range(int(COMING_SECONDS * COMING_RATE)):
                    watched.append(group.create_task(come_one()))
                    await asyncio.sleep(1 / COMING_RATE)
            return watched

        own = OwnTime(server.daemon.pid)
        times = [seconds for task in asyncio.run(come()) for seconds in task.result()]
        assert max(times) < CLOSED_WITHIN + own.waited
        assert "out of descriptors" in server.daemon.log
        assert "is replaced" not in server.daemon.log
        assert web.request(server.port, "GET", "/healthz", context=authority.context()).status == 200


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
def test_nothing_but_http_1_is_spoken(small: Setup, tmp_path: Path, is_tls: bool) -> None:
    """No HTTP/2: not by preface, not by ALPN, not by an upgrade. It would have limits of its own, which are none."""
    authority = Authority(tmp_path, "the company") if is_tls else None
    with serving(tmp_path, replace(small, tls=authority)) as server:
        context = None if authority is None else authority.context()
        if context is not None:
            context.set_alpn_protocols(["h2"])
            with pytest.raises(ssl.SSLError), silent(server.port, b"", context):
                pass
            context.set_alpn_protocols(["h2", "http/1.1"])
        settings = PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
        upgrade = (
            REQUEST[:-2] + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
        )
        for sent, expected in ((settings, b""), (upgrade, b"HTTP/1.1 200 ")):
            with silent(server.port, sent, context) as client:
                if isinstance(client, ssl.SSLSocket):
                    assert client.selected_alpn_protocol() == "http/1.1"
                answer = all_of(client)
            assert answer.startswith(expected)
            assert b"\x00" not in answer  # no frame
            assert answer.count(b"HTTP/") == bool(expected)


def all_of(client: socket.socket) -> bytes:
    """What the server sends until it ends the connection."""
    answer = b""
    try:
        while part := client.recv(65536):
            answer += part
    except ConnectionResetError:
        pass
    return answer
