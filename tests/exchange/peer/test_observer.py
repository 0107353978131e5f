"""The observer over a real exchange and a peer on a loopback port: what is asked, recorded and counted, what is not."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count as numbers
from pathlib import Path
from typing import Any

import pytest
from canaries import watch
from fake_issuer import SetClock
from fake_peer import Asked, FakePeer, body, entry, fake_peer
from harness.authority import Authority
from harness.own_time import OwnTime
from tests_web_server import PASSWORDS, make_server, server_folder

from tokenserver.credentials import Credentials, NoCredentials, Password, Secret
from tokenserver.errors import TokenserverError
from tokenserver.exchange.observers import ObservedExchange, UnparsedRequest
from tokenserver.exchange.peer import observer as observer_module
from tokenserver.exchange.peer import reachability
from tokenserver.exchange.peer.observer import (
    AGENT,
    FAILED_SECONDS,
    QUEUED,
    REFUSED_SECONDS,
    REPEAT_SECONDS,
    THREADS,
    PeerAddress,
    ShadowPeer,
)
from tokenserver.exchange.peer.reachability import FAILURES, PAUSE_SECONDS
from tokenserver.exchange.peer.reports import REPORTED_SECONDS
from tokenserver.exchange.peer.shared_keys import SharedKeys
from tokenserver.exchange.service import TokenRequest, TokenService
from tokenserver.runtime.http import fetch as fetch_module
from tokenserver.runtime.http.fetch import MAX_BODY
from tokenserver.runtime.tracing.spans import ActiveTrace, active
from tokenserver.runtime.tracing.trace_context import TraceContext
from tokenserver.scopes import parse_scopes

__all__ = ["server_folder"]

IDS = numbers()


@dataclass
class World:
    """An exchange that is repeated at a peer, one question after the other."""

    exchange: ObservedExchange
    observer: ShadowPeer
    peer: FakePeer
    clock: SetClock
    events: list[dict[str, Any]] = field(default_factory=list)
    results: Counter[str] = field(default_factory=Counter)

    def ask(self, *scopes: str, user: str | None = "ann", password: str | None = None, **more: Any) -> None:
        """An exchange, whether it is granted or refused."""
        known = PASSWORDS.get(user or "", "")
        credentials: Credentials = (
            NoCredentials() if user is None else Password(user, Secret(known if password is None else password))
        )
        request = TokenRequest(f"id-{next(IDS)}", "GET", "reg", parse_scopes(scopes), credentials, None, None)
        with contextlib.suppress(TokenserverError):
            self.exchange.exchange(request._replace(**more))

    def counted(self) -> dict[str, int]:
        """How the exchanges since the last call ended, when all that is queued was asked."""
        while not self.observer._queue.empty():
            result = self.observer._result(self.observer._queue.get())
            assert result is not None
            self.results[result] += 1
        self.observer._count_repeats()
        found = dict(self.results)
        self.results.clear()
        return found

    def recorded(self) -> list[dict[str, Any]]:
        """The events since the last call."""
        found = [*self.events]
        self.events.clear()
        for event in found:
            watch(repr(event), "an event")
        return found


@pytest.fixture
def peer() -> Iterator[FakePeer]:
    """The peer, which grants nothing."""
    with fake_peer() as peer:
        yield peer


@pytest.fixture(scope="module")
def services(server_folder: Path) -> dict[bool, TokenService]:
    """Real services, with and without anonymous access."""
    return {is_open: make_server(server_folder, anonymous=is_open).parts.exchange.service for is_open in (True, False)}


Make = Callable[..., World]


@pytest.fixture
def make(services: dict[bool, TokenService], peer: FakePeer) -> Make:
    """Makes worlds."""

    def made(
        *,
        anonymous: bool = True,
        failed_logins: bool = False,
        url: str | None = None,
        together: SharedKeys | None = None,
        **more: Any,
    ) -> World:
        clock, events, results = SetClock(), list[dict[str, Any]](), Counter[str]()
        settings = {"context": ssl.create_default_context(), "deadline": 5.0, "interval": 0.0, **more}
        address = PeerAddress(url=url or peer.url, failed_logins=failed_logins, **settings)

        def counter(result: str, number: int) -> None:
            results[result] += number

        shadow = ShadowPeer(address, events.append, counter, together=together or SharedKeys(), monotonic=clock)
        exchange = ObservedExchange(services[anonymous], [shadow], monotonic=lambda: 0.0)
        return World(exchange, shadow, peer, clock, events, results)

    return made


@pytest.fixture
def world(make: Make) -> World:
    return make()


def test_the_same_answer(world: World) -> None:
    """Nothing is recorded, whatever the order and the form."""
    world.peer.grant(entry("team/a", "push", "pull"), entry("team/b"), {**entry("team/a", "pull"), "class": ""})
    world.ask("repository:team/a:pull,push", "repository:elsewhere/b:pull")
    assert (world.counted(), world.recorded()) == ({"same": 1}, [])
    (asked,) = world.peer.asked
    assert (asked.path, asked.login) == ("/auth", ("ann", PASSWORDS["ann"]))
    assert asked.headers["user-agent"] == AGENT
    assert asked.parameters == {
        "account": ["ann"],
        "service": ["reg"],
        "scope": ["repository:team/a:pull,push", "repository:elsewhere/b:pull"],
    }


def test_a_difference(world: World) -> None:
    """One event for each resource, without password and token, and once an hour."""
    world.peer.grant(entry("team/a", "pull"), entry("secret/b", "pull", "push"))
    world.ask("repository:team/a:pull,push", "repository:secret/b:pull,push")
    assert world.counted() == {"differs": 1}
    first, second = world.recorded()
    request_id = first.pop("request_id")
    assert request_id == second.pop("request_id")
    assert request_id.startswith("id-")
    assert first == {
        "event": "peer_difference",
        "registry": "reg",
        "subject": "ann",
        "difference": "access",
        "resource": "repository:secret/b",
        "here": [],
        "peer": ["pull", "push"],
        "peer_more": ["pull", "push"],
        "peer_less": [],
    }
    assert (second["resource"], second["peer_more"], second["peer_less"]) == ("repository:team/a", [], ["push"])
    world.clock.now += REPEAT_SECONDS
    world.ask("repository:team/a:pull,push", "repository:secret/b:pull,push")
    assert (world.counted(), world.recorded()) == ({"differs": 1}, [])
    world.clock.now += REPORTED_SECONDS
    world.ask("repository:team/a:pull,push", "repository:secret/b:pull,push")
    assert (world.counted(), len(world.recorded())) == ({"differs": 1}, 2)


def test_a_burst_is_one_question(world: World) -> None:
    """The same question is not repeated for a while; others are asked."""
    for _ in range(1000):
        world.ask("repository:team/a:pull")
    world.ask("repository:team/b:pull")
    world.ask("repository:team/a:pull", user="zoë")
    assert world.counted() == {"differs": 3, "skipped": 999}
    assert len(world.peer.asked) == 3
    world.clock.now += REPEAT_SECONDS
    world.ask("repository:team/a:pull")
    world.counted()
    assert len(world.peer.asked) == 4


def test_a_queue_that_is_full(world: World) -> None:
    """The rest is dropped, and is asked for later."""
    for number in range(QUEUED + 5):
        world.ask(f"repository:none/{number}:pull", user=None)
    assert world.observer._queue.qsize() == QUEUED
    assert world.counted() == {"dropped": 5, "same": QUEUED}
    world.ask(f"repository:none/{QUEUED + 1}:pull", user=None)
    assert world.counted() == {"same": 1}


def test_a_login_that_the_peer_refuses(world: World) -> None:
    """One event, and the user is not asked for again for an hour: the account could be locked there."""
    world.peer.refuse()
    world.ask("repository:team/a:pull")
    assert world.counted() == {"differs": 1}
    (event,) = world.recorded()
    assert (event["difference"], event["here"], event["peer"], event["subject"]) == (
        "login",
        "accepted",
        "refused",
        "ann",
    )
    for number in range(5):
        world.ask(f"repository:team/{number}:pull")
    assert (world.counted(), len(world.peer.asked)) == ({"skipped": 5}, 1)
    world.ask("repository:team/a:pull", user="zoë")
    world.clock.now += REFUSED_SECONDS
    world.ask("repository:team/1:pull")
    assert (world.counted(), len(world.peer.asked)) == ({"differs": 2}, 3)


def test_a_peer_that_refuses_everybody(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is left alone soon, so that the accounts of a whole company are not locked there."""
    monkeypatch.setattr(reachability, "REFUSALS", 2)
    world.peer.refuse()
    for user in PASSWORDS:
        world.ask("repository:team/a:pull", user=user)
    assert world.counted() == {"differs": 2, "dropped": len(PASSWORDS) - 2}
    assert len(world.peer.asked) == 2
    assert [record.getMessage() for record in caplog.records if "refused 2 logins" in record.getMessage()] != []


def test_an_answer_of_docker_auth(world: World) -> None:
    """It has an entry for each scope, in their order, with sorted actions, and twice for a repository asked twice."""
    world.peer.grant(entry("team/a", "pull", "push"), entry("none/b"), entry("team/a", "pull"))
    world.ask("repository:team/a:push,pull", "repository:none/b:delete", "repository:team/a:pull")
    assert (world.counted(), world.recorded()) == ({"same": 1}, [])


def test_failed_logins_by_default(world: World) -> None:
    """A wrong password is not sent, and neither is an unknown name."""
    world.ask("repository:team/a:pull", password="wrong")
    world.ask("repository:team/a:pull", user="eve", password="unknown")
    assert (world.counted(), world.peer.asked) == ({"skipped": 2}, [])
    world.ask("repository:team/a:pull")
    assert len(world.counted()) == 1
    assert len(world.peer.asked) == 1


def test_failed_logins(make: Make) -> None:
    """Once in a while for each user, so that no account is locked there."""
    world = make(failed_logins=True)
    world.ask("repository:team/a:pull", user="bob", password="unknown here")
    assert world.counted() == {"differs": 1}
    (event,) = world.recorded()
    assert (event["difference"], event["here"], event["peer"], event["subject"]) == (
        "login",
        "refused",
        "accepted",
        "bob",
    )
    world.peer.refuse()
    for number in range(2):
        world.ask(f"repository:team/{number}:pull", user="bob", password=f"wrong {number}")
    assert (world.counted(), len(world.peer.asked)) == ({"skipped": 2}, 1)
    world.ask("repository:team/a:pull", password="wrong")
    assert (world.counted(), world.recorded()) == ({"same": 1}, [])
    world.ask("repository:team/a:pull")  # a guess of somebody else hides nothing about the user
    assert (world.counted(), len(world.recorded())) == ({"differs": 1}, 1)
    world.ask("repository:team/1:pull", user="zoë", password="wrong 1")
    world.ask("repository:team/2:pull", user="zoë", password="wrong 2")
    assert world.counted() == {"same": 1, "skipped": 1}
    world.clock.now += FAILED_SECONDS
    world.ask("repository:team/3:pull", user="zoë", password="wrong 3")
    assert (world.counted(), world.recorded()) == ({"same": 1}, [])


@pytest.mark.parametrize("anonymous", [True, False])
def test_anonymous_clients(make: Make, *, anonymous: bool) -> None:
    """They are compared too, and nothing is sent with them."""
    world = make(anonymous=anonymous)
    world.peer.grant(entry("public/a", "pull"))
    world.ask("repository:public/a:pull", user=None)
    events = [] if anonymous else [("login", "refused")]
    assert world.counted() == {"same" if anonymous else "differs": 1}
    assert [(event["difference"], event["here"]) for event in world.recorded()] == events
    assert (world.peer.asked[0].login, "account" in world.peer.asked[0].parameters) == (None, False)


@pytest.fixture
def workers(make: Make) -> tuple[World, World]:
    """Two workers of a server."""
    together = SharedKeys()
    return tuple([make(failed_logins=True, together=together) for _ in range(2)])  # type: ignore[return-value]  # two


def test_workers_ask_once(workers: tuple[World, World]) -> None:
    """What one worker asked and reported, the others do not ask and report; the answer may be another one later."""
    one, other = workers
    one.ask("repository:team/a:pull")
    other.ask("repository:team/a:pull")
    assert (one.counted(), other.counted(), len(one.peer.asked)) == ({"differs": 1}, {"skipped": 1}, 1)
    other.clock.now += REPEAT_SECONDS
    other.ask("repository:team/a:pull")
    assert (other.counted(), len(one.recorded()), other.recorded()) == ({"differs": 1}, 1, [])


def test_workers_have_a_login_refused_once(workers: tuple[World, World]) -> None:
    """However many workers there are, docs/design/threats.md#threat-212."""
    one, other = workers
    one.peer.refuse()
    one.ask("repository:team/a:pull")
    assert one.counted() == {"differs": 1}
    other.ask("repository:team/b:pull")
    assert (other.counted(), len(one.peer.asked)) == ({"skipped": 1}, 1)
    one.ask("repository:team/a:pull", user="eve", password="unknown 1")
    assert one.counted() == {"same": 1}
    other.ask("repository:team/b:pull", user="eve", password="unknown 2")
    assert (other.counted(), len(one.peer.asked)) == ({"skipped": 1}, 2)


@pytest.mark.parametrize("is_one_worker", [True, False])
def test_one_question_for_each_user_at_a_time(make: Make, peer: FakePeer, *, is_one_worker: bool) -> None:
    """All threads of all workers would have the same login refused before the first refusal is known."""
    together = SharedKeys()
    worlds = [make(together=together)]
    worlds.append(worlds[0] if is_one_worker else make(together=together))
    release, came = threading.Event(), threading.Event()

    def slow(_: Asked) -> tuple[int, bytes]:
        came.set()
        release.wait(10)
        return 401, b""

    peer.reply = slow
    worlds[0].ask("repository:team/a:pull")
    worlds[1].ask("repository:team/b:pull")
    worlds[1].ask("repository:team/b:pull", user=None)
    questions = [worlds[0].observer._queue.get(), worlds[1].observer._queue.get()]
    results: list[str | None] = []
    asking = threading.Thread(target=lambda: results.append(worlds[0].observer._result(questions[0])))
    asking.start()
    assert came.wait(10)
    assert worlds[1].observer._result(questions[1]) is None
    release.set()
    asking.join()
    assert (results, worlds[1].observer._result(questions[1])) == (["differs"], "skipped")
    assert worlds[1].counted() == {"same": 1}
    assert len(peer.asked) == 2


def test_another_worker_asks_what_got_no_answer(workers: tuple[World, World]) -> None:
    """Or the same one, later."""
    one, other = workers
    one.peer.reply = lambda _: (500, b"")
    one.ask("repository:team/a:pull")
    assert one.counted() == {"unreachable": 1}
    one.peer.grant()
    other.ask("repository:team/a:pull")
    assert other.counted() == {"differs": 1}


def test_what_is_not_repeated(world: World) -> None:
    """Explanations, requests that were not parsed, and the questions of another server: two never ask in a circle."""
    world.ask("repository:team/a:pull", explain=True)
    world.observer.observe(UnparsedRequest("id", "GET", None), ValueError(), 0.0)
    assert world.counted() == {}
    world.ask("repository:team/a:pull", user_agent=f"{AGENT}")
    assert (world.counted(), world.peer.asked) == ({"skipped": 1}, [])
    world.ask("repository:team/a:pull", user_agent="docker/28")
    assert world.counted() == {"differs": 1}


def gigabyte(connection: socket.socket) -> None:
    """An answer of a gigabyte, as far as it is read."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n{")
    for _ in range(16384):
        connection.sendall(b" " * 65536)


def header_flood(connection: socket.socket) -> None:
    """Headers without an end."""
    for _ in range(100_000):
        connection.sendall(b"X: " + b"y" * 1000 + b"\r\n")


def drip(connection: socket.socket) -> None:
    """A byte now and then."""
    for _ in range(1000):
        connection.sendall(b"H")
        time.sleep(0.02)


def answer(content: bytes) -> Callable[[socket.socket], None]:
    """Bytes in place of an answer."""
    return lambda connection: connection.sendall(content)


FAULTS = [
    pytest.param(gigabyte, f"more than {MAX_BODY} bytes", id="a gigabyte"),
    pytest.param(header_flood, "closed: what came back is not HTTP", id="endless headers"),
    pytest.param(drip, "timeout: ", id="a byte now and then"),
    pytest.param(answer(b"SSH-2.0-x\r\n"), "closed: what came back is not HTTP", id="no HTTP"),
    pytest.param(answer(b""), "closed: ", id="closed"),
    pytest.param(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ngarbage!!"), "answer is not JSON", id="garbage"),
    pytest.param(
        answer(b"HTTP/1.1 302 Found\r\nLocation: /auth\r\nContent-Length: 0\r\n\r\n"), "status 302; redirects", id="302"
    ),
]


def open_files() -> int:
    """The file descriptors of this process."""
    return len([*Path("/proc/self/fd").iterdir()])


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
def test_a_peer_that_does_not_work(
    make: Make, peer: FakePeer, fault: Callable[[socket.socket], None], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Bounded in time and memory, asked less after a few failures, and reported in one line until it is back."""
    world = make(deadline=0.3)
    peer.raw = fault
    files = open_files()
    own = OwnTime(os.getpid())
    for number in range(FAILURES + 3):
        world.ask(f"repository:team/{number}:pull")
    assert world.counted() == {"unreachable": FAILURES, "dropped": 3}
    assert own.seconds < FAILURES * 0.3 + 1.5
    world.ask("repository:team/a:pull")
    assert (world.counted(), len(peer.asked)) == ({"dropped": 1}, FAILURES)
    peer.raw = None
    world.clock.now += PAUSE_SECONDS
    world.ask("repository:team/0:pull")
    assert world.counted() == {"differs": 1}
    first, last = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert reason in first
    assert last.endswith("answers again")
    assert open_files() <= files + 8  # of the peer's own threads, which end later


def test_a_peer_that_is_down(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """Also under the name of a host that does not exist."""
    world = make(url="http://localhost:1/auth")
    world.ask("repository:team/a:pull")
    assert world.counted() == {"unreachable": 1}
    assert caplog.records == []


def test_plain_http_to_another_machine_is_not_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even if the name of this machine leads there: the address that answers decides."""
    monkeypatch.setattr(fetch_module, "_is_local_peer", lambda _: False)
    world.ask("repository:team/a:pull")
    assert (world.counted(), world.peer.asked) == ({"unreachable": 1}, [])


def test_a_certificate_of_nobody(make: Make, tmp_path: Path) -> None:
    """The password is not sent."""
    authority = Authority(tmp_path, "tests")
    certificate, key = authority.issue(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with fake_peer(context) as peer:
        peer.grant(entry("team/a", "pull"))
        url = peer.url.replace("http://", "https://")
        world = make(url=url)
        world.ask("repository:team/a:pull")
        assert (world.counted(), peer.asked) == ({"unreachable": 1}, [])
        world = make(url=url, context=authority.context())
        world.ask("repository:team/a:pull")
        assert world.counted() == {"same": 1}


def test_a_bug_costs_no_token(world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Only its type is logged, and the thread goes on."""

    def broken(*_: object, **__: object) -> None:
        raise ValueError("ann's pässwörd")

    monkeypatch.setattr(observer_module, "question_of", broken)
    world.ask("repository:team/a:pull")
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == ["not repeated: ValueError"]
    monkeypatch.undo()
    monkeypatch.setattr(observer_module, "fetch", broken)
    world.ask("repository:team/a:pull")
    assert world.counted() == {"unreachable": 1}


def test_a_query_that_is_too_long(world: World) -> None:
    """It is not sent."""
    world.ask(*(f"repository:{'a' * 200}/{number}:pull" for number in range(40)))
    assert (world.counted(), world.peer.asked) == ({"skipped": 1}, [])


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "shadow-peer"}


def test_threads_of_its_own(make: Make, peer: FakePeer) -> None:
    """No request waits for a peer that is slow; threads end when they are stopped, and forget what is queued."""
    release = threading.Event()

    def slow(_: Asked) -> tuple[int, bytes]:
        release.wait(10)
        return 200, body([])

    peer.reply = slow
    world, stop = make(), threading.Event()
    before = threads()
    world.observer.start(stop)
    assert len(threads() - before) == THREADS
    own = OwnTime(os.getpid())
    for number in range(20):
        world.ask(f"repository:none/{number}:pull", user=None)
    assert own.seconds < 2.0
    while len(peer.asked) < THREADS:
        time.sleep(0.01)
    stop.set()
    release.set()
    while threads() - before:
        time.sleep(0.01)
    assert world.observer._queue.empty()
    assert world.results == {"same": THREADS, "dropped": 20 - THREADS}


def test_the_rate(make: Make, peer: FakePeer) -> None:
    """Each thread rests between two questions."""
    world, stop = make(interval=0.2), threading.Event()
    world.observer._monotonic = time.monotonic
    began = time.monotonic()
    for number in range(3 * THREADS):
        world.ask(f"repository:none/{number}:pull", user=None)
    world.observer.start(stop)
    peer.wait(3 * THREADS)
    stop.set()
    assert time.monotonic() - began > 0.4


def test_the_trace_of_an_exchange_goes_on_at_the_peer(world: World) -> None:
    """Although another thread asks, later; an exchange without a trace names none."""
    world.peer.reply = lambda _: (200, body([entry("web/app", "pull")]))
    with active(ActiveTrace(TraceContext("a" * 32, "b" * 16, is_sampled=True, state="v=1"), is_traced=True)):
        world.ask("repository:web/app:pull")
    world.ask("repository:web/other:pull")
    world.counted()
    one, other = world.peer.asked
    assert (one.headers["traceparent"], one.headers["tracestate"]) == (f"00-{'a' * 32}-{'b' * 16}-01", "v=1")
    assert "traceparent" not in other.headers
