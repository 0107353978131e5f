"""The servers of one directory: failover, pooled connections, and the rest that failed ones get."""

from __future__ import annotations

import gc
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from typing import Any, cast

import pytest
from directory_entries import directory
from hypothesis import given
from hypothesis import strategies as st
from rogue_directory import HangUp, Rogue, message, policy_control, result, rogue

from tokenserver.authn.ldap import pool
from tokenserver.authn.ldap.connection import Connection
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline, Unanswerable
from tokenserver.authn.ldap.directory import Address
from tokenserver.authn.ldap.failures.causes import FailureCause
from tokenserver.authn.ldap.failures.failure import DirectoryFailure
from tokenserver.authn.ldap.pool import MAX_IDLE, DirectoryServer, Purpose, Servers
from tokenserver.credentials import Secret
from tokenserver.errors import BackendUnavailable
from tokenserver.runtime.dns import Resolver


class Clock:
    """A clock that advances only when it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the pool."""
    made = Clock()
    monkeypatch.setattr("tokenserver.authn.ldap.pool.time.monotonic", made)
    return made


class Kept:
    """A connection as the pool sees it."""

    def __init__(self, *, is_waiting: bool = False, is_quiet: bool = True) -> None:
        self.is_waiting = is_waiting
        self.quiet = is_quiet
        self.is_closed = False

    def is_quiet(self) -> bool:
        """Whether it can be reused."""
        return self.quiet

    def close(self) -> None:
        """Close it."""
        self.is_closed = True


def kept(**more: Any) -> Connection:
    """One of them, as a connection."""
    return cast("Connection", Kept(**more))


def is_closed(connection: Connection) -> bool:
    """Whether the pool closed it."""
    return cast("Kept", connection).is_closed


ADDRESS = Address("ldap://localhost", "localhost", 389, is_ldaps=False)


@pytest.mark.parametrize(
    ("connection", "seconds", "is_reused"),
    [
        pytest.param({}, 0, True, id="healthy"),
        pytest.param({}, pool.IDLE_SECONDS - 1, True, id="idle for less than a minute"),
        pytest.param({}, pool.IDLE_SECONDS, False, id="idle for too long"),
        pytest.param({"is_quiet": False}, 0, False, id="closed by the server meanwhile"),
        pytest.param({"is_waiting": True}, 0, False, id="an answer is due"),
    ],
)
def test_a_connection_is_reused(connection: dict[str, bool], seconds: float, is_reused: bool, clock: Clock) -> None:
    """Only a healthy one that was used lately, and only for the same purpose; any other is closed."""
    server, given_back = DirectoryServer(ADDRESS), kept(**connection)
    server.give_back(Purpose.SEARCH, given_back)
    clock.now += seconds
    assert server.take(Purpose.BIND) is None
    assert (server.take(Purpose.SEARCH) is given_back) is is_reused
    assert is_closed(given_back) is not is_reused
    assert server.take(Purpose.SEARCH) is None


@given(st.lists(st.sampled_from(["take", "give", "close"]), max_size=60))
def test_no_connection_is_lost(steps: list[str]) -> None:
    """Every connection is in use, in the pool or closed; the pool is bounded, and the last one returned comes first."""
    server, in_use = DirectoryServer(ADDRESS), [kept()]
    made: list[Connection] = list(in_use)
    pooled: list[Connection] = []
    for step in steps:
        if step == "take":
            taken = server.take(Purpose.BIND)
            assert taken is (pooled.pop() if pooled else None)
            if taken is None:
                taken = kept()
                made.append(taken)
            in_use.append(taken)
        elif step == "give" and in_use:
            one = in_use.pop()
            server.give_back(Purpose.BIND, one)
            if len(pooled) < MAX_IDLE:
                pooled.append(one)
        elif step == "close":
            server.close_idle()
            pooled.clear()
        assert len(pooled) <= MAX_IDLE
        assert {id(one) for one in made if not is_closed(one)} == {id(one) for one in (*in_use, *pooled)}


def a_server(number: int, tag: int) -> Iterator[bytes]:
    """Accepts every bind, and finds nothing."""
    yield message(number, result(0x61 if tag == 0x60 else 0x65))


def refusing(code: int) -> Callable[[int, int], Iterator[bytes]]:
    """A server that answers binds with this code."""

    def answers(number: int, tag: int) -> Iterator[bytes]:
        yield message(number, result(0x61, code) if tag == 0x60 else result(0x65))

    return answers


def hanging_up(_number: int, _tag: int) -> Iterator[bytes]:
    """Closes the connection instead of an answer."""
    yield from _hang_up()


def _hang_up() -> Iterable[bytes]:
    raise HangUp


def servers_at(*running: Rogue, **more: Any) -> Servers:
    """The pool for these servers."""
    addresses = tuple(Address(f"ldap://127.0.0.1:{one.port}", "127.0.0.1", one.port, is_ldaps=False) for one in running)
    values: dict[str, Any] = {"plaintext": True, "bind": ("cn=reader", Secret("reader"))} | more
    return Servers(directory(servers=addresses, **values), None, Resolver())


def search(connection: Connection, deadline: Deadline) -> int:
    """A question."""
    return connection.search("dc=x", "(uid=ann)", ["uid"], deadline, limit=1).result.code


def asked(servers: Servers, seconds: float = 5) -> str:
    """The URL of the server that answered."""
    with servers.asked(search, Deadline(seconds)) as (server, _, code):
        assert code == 0
        return server.address.url


def test_failover(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """The next server answers; the one that failed is tried last for a while, and the log says so once."""
    with rogue(hanging_up) as first, rogue(a_server) as second:
        servers = servers_at(first, second)
        for _ in range(3):
            assert asked(servers) == f"ldap://127.0.0.1:{second.port}"
        assert first.binds == 1
        assert caplog.messages == [
            f"corp: ldap://127.0.0.1:{first.port}: {DirectoryFailure(FailureCause.CLOSED_PLAIN)}"
        ]
        first.answers = a_server
        clock.now += pool.DOWN_SECONDS
        assert asked(servers) == f"ldap://127.0.0.1:{first.port}"


def test_every_server_fails() -> None:
    """The error names each server with its reason."""
    with rogue(hanging_up) as first, rogue(refusing(51)) as second:
        servers = servers_at(first, second)
        with pytest.raises(BackendUnavailable) as caught:
            asked(servers)
        assert caught.value.backend == "corp"
        assert caught.value.reason == (
            f"ldap://127.0.0.1:{first.port}: the server closed the connection without an answer; "
            f"ldap://127.0.0.1:{second.port}: the directory is busy"
        )


def test_an_anonymous_search_binds_nobody() -> None:
    """Neither with an empty name nor with an empty password: a new connection is anonymous."""
    with rogue(a_server) as server:
        assert asked(servers_at(server, bind=None, anonymous_search=True)) == asked(servers_at(server))
        assert server.binds == 1  # that of the second


def test_a_rejected_service_account_rests(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """It is not tried at another server, nor again for ten seconds: the directory would lock it."""
    with rogue(refusing(49)) as first, rogue(a_server) as second:
        servers = servers_at(first, second)
        for _ in range(3):
            with pytest.raises(BackendUnavailable, match="rejects the service account: wrong password"):
                asked(servers)
        assert (first.binds, second.binds) == (1, 0)
        assert len(caplog.messages) == 1
        assert "reader" not in caplog.text
        first.answers = a_server
        clock.now += pool.REFUSED_SECONDS
        assert asked(servers) == f"ldap://127.0.0.1:{first.port}"


def test_a_pooled_connection_that_turns_out_stale() -> None:
    """A server that restarted is asked once more on a new connection, and is not marked as down."""
    with rogue(a_server) as server:
        servers = servers_at(server)
        asked(servers)
        server.answers = hang_up_once(server)
        assert asked(servers) == f"ldap://127.0.0.1:{server.port}"
        assert server.binds == 2


def hang_up_once(server: Rogue) -> Callable[[int, int], Iterator[bytes]]:
    """Hang up at the next request; answer those after it."""

    def answers(number: int, tag: int) -> Iterator[bytes]:
        server.answers = a_server
        return hanging_up(number, tag)

    return answers


def test_a_question_that_cannot_be_answered() -> None:
    """No other server is asked, and the connection is not used again."""
    with rogue(a_server) as first, rogue(a_server) as second:
        servers = servers_at(first, second)
        asked(servers)

        def question(*_: object) -> None:
            raise Unanswerable(FailureCause.ANSWER_TOO_LARGE)

        for _ in range(2):
            with pytest.raises(Unanswerable), servers.asked(question, Deadline(5)):
                raise AssertionError("there is no answer")
        assert (first.binds, second.binds) == (2, 0)


def test_the_connection_for_a_bind() -> None:
    """It is not bound as the service account; the server that answered the search is preferred, and it is reused."""
    with rogue(a_server) as first, rogue(a_server) as second:
        servers = servers_at(first, second)
        preferred = servers._servers[1]
        with servers.for_bind(Deadline(5), preferred) as (server, connection):
            assert server is preferred
        with servers.for_bind(Deadline(5), preferred) as (_, again):
            assert again is connection
        with servers.for_bind(Deadline(5)) as (server, _):
            assert server is servers._servers[0]
        assert (first.binds, second.binds) == (0, 0)


def test_no_server_for_a_bind() -> None:
    """Nothing listens: the directory is unavailable."""
    with rogue(a_server) as server:
        servers = servers_at(server)
    with (
        pytest.raises(BackendUnavailable, match="connection refused"),
        servers.for_bind(Deadline(5)),
    ):
        raise AssertionError("there is no connection")


def test_a_password_never_travels_in_clear_text() -> None:
    """Without TLS and without `insecure_plaintext` the connection is closed before anything is sent."""
    with rogue(a_server) as server:
        servers = servers_at(server, plaintext=False)
        with pytest.raises(BackendUnavailable, match="the connection is not encrypted"):
            asked(servers)
        assert server.binds == 0


def test_a_failed_handshake_closes_the_connection() -> None:
    """A server that does not speak TLS keeps no socket of ours open."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as stack:
        port = listening.getsockname()[1]
        address = Address(f"ldaps://127.0.0.1:{port}", "127.0.0.1", port, is_ldaps=True)
        servers = Servers(directory(servers=(address,)), ssl.create_default_context(), Resolver())

        def serve() -> None:
            client = stack.enter_context(listening.accept()[0])
            client.recv(4096)
            client.sendall(b"no TLS at all")
            with suppress(ConnectionResetError):  # closed with unread bytes
                while client.recv(4096):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(ConnectionFailed, match="the port does not speak TLS"):
            servers.open(address, Deadline(5))
        thread.join(5)
        assert not thread.is_alive()


def test_a_dropped_pool_closes_its_connections() -> None:
    """After a reload the old pool's idle connections end, without anybody having to close them."""
    servers = Servers(directory(servers=(ADDRESS,)), None, Resolver())
    connection = kept()
    servers._servers[0].give_back(Purpose.BIND, connection)
    del servers
    gc.collect()
    assert is_closed(connection)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(b"\x30\x03\x81\x01\x02", "the password must be changed first", id="must change"),
        pytest.param(b"\x30\x03\x81\x01\x07", "the directory's password policy reports an error: 7", id="odd"),
    ],
)
def test_a_service_account_whose_success_is_none(value: bytes, reason: str) -> None:
    """Every search would be refused after that bind, so it is rejected with the reason."""

    def answers(number: int, tag: int) -> Iterator[bytes]:
        if tag == 0x60:
            yield message(number, result(0x61), policy_control(value))

    with rogue(answers) as server, pytest.raises(BackendUnavailable, match=f"rejects the service account: {reason}"):
        asked(servers_at(server))


def test_a_service_account_whose_password_ends(caplog: pytest.LogCaptureFixture) -> None:
    """It works, and the log warns: with it, every login would fail."""

    def answers(number: int, tag: int) -> Iterator[bytes]:
        control = policy_control(b"\x30\x05\xa0\x03\x80\x01\x3c") if tag == 0x60 else b""
        yield message(number, result(0x61 if tag == 0x60 else 0x65), control)

    with rogue(answers) as server:
        for _ in range(2):
            asked(servers_at(server, bind=("cn=ending", Secret("reader"))))
    assert [one.partition(";")[0] for one in caplog.messages] == [
        "corp: service account cn=ending: the password expires in 1 minute"
    ]
