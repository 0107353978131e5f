"""Connections to Redis: every step under one budget, and URLs that cannot be used are rejected at the start."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.own_time import OwnTime
from harness.processes import free_port
from redis.exceptions import RedisError

from tokenserver.authn.protection import redis_connections
from tokenserver.authn.protection.redis_connections import (
    ANSWER_SECONDS,
    BoundedSocket,
    BoundedTcp,
    BoundedTls,
    BoundedUnix,
    TimeBudget,
    bounded_pool,
)

PATIENCE = 1.0
"""What a busy machine may add to a wait, in seconds."""


def test_a_budget_bounds_a_whole_block() -> None:
    """Each step may take a tenth of a second, and all of them together no longer than the block; outside, only the
    former holds.
    """
    budget = TimeBudget()
    assert budget.left() == ANSWER_SECONDS
    with budget.within(ANSWER_SECONDS / 2):
        assert 0 < budget.left() <= ANSWER_SECONDS / 2
    with budget.within(0), pytest.raises(TimeoutError):
        budget.left()
    assert budget.left() == ANSWER_SECONDS


def test_a_budget_ends_with_an_error() -> None:
    """A question that failed does not limit the next one."""
    budget = TimeBudget()
    with contextlib.suppress(ValueError), budget.within(0):
        raise ValueError
    assert budget.left() == ANSWER_SECONDS


def test_a_budget_is_the_thread_s_own() -> None:
    """One login's wait does not shorten that of another."""
    budget, found = TimeBudget(), list[float]()
    with budget.within(0):
        thread = threading.Thread(target=lambda: found.append(budget.left()))
        thread.start()
        thread.join()
    assert found == [ANSWER_SECONDS]


@pytest.fixture
def pair() -> Iterator[tuple[BoundedSocket, socket.socket, TimeBudget]]:
    """A bounded socket, its other end, and its budget."""
    ours, theirs = socket.socketpair()
    budget = TimeBudget()
    with ours, theirs:
        yield BoundedSocket(ours, budget), theirs, budget


def test_a_dripping_server_is_cut_off(pair: tuple[BoundedSocket, socket.socket, TimeBudget]) -> None:
    """A byte now and then restarts no clock: the budget applies to all reads together."""
    bounded, peer, budget = pair
    over = threading.Event()

    def drip() -> None:
        while not over.wait(0.01):
            peer.send(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    own = OwnTime(os.getpid())
    with budget.within(0.1), pytest.raises(TimeoutError):
        deque(iter(lambda: bounded.recv(1), b""), maxlen=0)
    over.set()
    thread.join()
    assert own.seconds < 0.1 + PATIENCE


def test_a_silent_server_is_cut_off(pair: tuple[BoundedSocket, socket.socket, TimeBudget]) -> None:
    """Also where nobody set a budget, and where the client's own timeout is longer."""
    bounded, _, _ = pair
    for timeout in (None, 60):
        bounded.settimeout(timeout)
        own = OwnTime(os.getpid())
        with pytest.raises(TimeoutError):
            bounded.recv_into(bytearray(1))
        assert own.seconds < ANSWER_SECONDS + PATIENCE


def test_a_server_that_reads_nothing(pair: tuple[BoundedSocket, socket.socket, TimeBudget]) -> None:
    """Sending is bounded like reading."""
    bounded, _, budget = pair
    with budget.within(0.1), pytest.raises(TimeoutError):
        bounded.sendall(bytes(64 * 1024 * 1024))


def test_a_socket_that_must_not_block(pair: tuple[BoundedSocket, socket.socket, TimeBudget]) -> None:
    """A timeout of 0 asks what is there, whatever is left; everything else is the socket's own."""
    bounded, peer, budget = pair
    bounded.settimeout(0)
    with budget.within(0):
        with pytest.raises(BlockingIOError):
            bounded.recv(1)
        peer.send(b"x")
        assert bounded.recv(1) == b"x"
    assert bounded.fileno() >= 0


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        pytest.param("redis://localhost:6379/1", BoundedTcp, id="TCP"),
        pytest.param("rediss://localhost:6379", BoundedTls, id="TLS"),
        pytest.param("redis+unix:///run/redis.sock?db=1", BoundedUnix, id="socket in a file"),
    ],
)
def test_kinds_of_urls(url: str, kind: type) -> None:
    """Each has connections that keep to the budget, and none is opened yet."""
    pool = bounded_pool(url, "a password", TimeBudget())
    assert type(pool.make_connection()) is kind
    assert pool.connection_kwargs["password"] == "a password"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        pytest.param("redis://localhost?nonsense=1", "nonsense", id="an unknown option"),
        pytest.param("redis://localhost?protocol=7", "protocol", id="a value that the client cannot use"),
        pytest.param("rediss://localhost?ssl_ca_certs=/nowhere/ca.pem", "/nowhere/ca.pem", id="no such file"),
        pytest.param("http://localhost", "must specify one of", id="another scheme"),
    ],
)
def test_a_url_that_would_fail_at_a_login(url: str, problem: str) -> None:
    """It is rejected when the server starts; the message names what is wrong, and not the password."""
    with pytest.raises(ValueError, match=problem) as caught:
        bounded_pool(url, "correct horse", TimeBudget())
    assert "correct horse" not in str(caught.value)


def test_a_ca_file_that_is_none(tmp_path: Path) -> None:
    """The file is read at the start as it is for each connection."""
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ValueError, match=r".+"):
        bounded_pool(f"rediss://localhost?ssl_ca_certs={tmp_path}/ca.pem", None, TimeBudget())


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_a_redis_that_is_not_there(scheme: str) -> None:
    """Nothing is retried: the client's own default would wait for seconds."""
    connection = bounded_pool(f"{scheme}://127.0.0.1:{free_port()}", None, TimeBudget()).make_connection()
    own = OwnTime(os.getpid())
    with pytest.raises(RedisError):
        connection.connect()  # type: ignore[no-untyped-call]  # redis has no annotations here
    assert own.seconds < PATIENCE


def test_a_socket_file_that_is_not_there(tmp_path: Path) -> None:
    """As with an address."""
    connection = bounded_pool(f"redis+unix://{tmp_path}/none.sock", None, TimeBudget()).make_connection()
    with pytest.raises(RedisError):
        connection.connect()  # type: ignore[no-untyped-call]  # redis has no annotations here


@pytest.mark.parametrize("addresses", [[], ["closed"], ["closed", "open"]], ids=["none", "closed", "the second"])
def test_every_address_is_tried(addresses: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The first that accepts is used; a name without an address is an error like any other."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ports = {"open": listening.getsockname()[1], "closed": free_port()}
        found = [(socket.AF_INET, 1, 6, "", ("127.0.0.1", ports[one])) for one in addresses]
        monkeypatch.setattr(redis_connections, "_resolve", lambda *_: found)
        budget = TimeBudget()
        connection = BoundedTcp(host="redis.example.com", port=6379, budget=budget)
        if "open" not in addresses:
            with pytest.raises(OSError, match=r"refused|no address"):
                connection._connect()
        else:
            with contextlib.closing(connection._connect()) as made:
                assert made.getpeername() == ("127.0.0.1", ports["open"])
