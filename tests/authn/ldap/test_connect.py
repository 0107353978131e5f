"""The TCP connection to a directory: which address of the host is used, and what is said if none is."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from harness.processes import free_port

from tokenserver.authn.ldap.connect import connect
from tokenserver.authn.ldap.deadline import ConnectionFailed, Deadline
from tokenserver.authn.ldap.directory import Address
from tokenserver.authn.ldap.failures.causes import FailureCause

ADDRESS = Address("ldap://ldap.example.com", "ldap.example.com", 389, is_ldaps=False)

Found = tuple[int, int, int, str, tuple[str, int]]


def at(port: int, host: str = "127.0.0.1") -> Found:
    """One result of name resolution."""
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port)


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A server that accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def closed() -> int:
    """A port at which nothing listens."""
    return free_port()


@pytest.mark.parametrize(
    ("order", "is_reached"),
    [
        pytest.param("o", True, id="the only one"),
        pytest.param("xo", True, id="the first one refuses"),
        pytest.param("xxo", True, id="the last one of three"),
        pytest.param("ox", True, id="the second one would refuse"),
        pytest.param("x", False, id="the only one refuses"),
        pytest.param("xx", False, id="all refuse"),
    ],
)
def test_the_first_address_that_accepts(order: str, is_reached: bool, listening: socket.socket, closed: int) -> None:
    """The addresses are tried in their order; if all refuse, the error says so, and every socket is closed."""
    port = listening.getsockname()[1]
    found = [at(port if one == "o" else closed) for one in order]
    if not is_reached:
        with pytest.raises(ConnectionFailed) as caught:
            connect(ADDRESS, Deadline(5), lambda *_: found)
        assert caught.value.cause is FailureCause.REFUSED
        return
    connection = connect(ADDRESS, Deadline(5), lambda *_: found)
    with ExitStack() as stack:
        stack.callback(connection.close)
        stack.enter_context(listening.accept()[0])
        assert (connection.address, connection.tls, connection.is_quiet()) == (ADDRESS, None, True)


def fails(error: Exception) -> Any:
    """A resolver that raises this."""

    def resolve(*_: object) -> list[Any]:
        raise error

    return resolve


@pytest.mark.parametrize(
    ("resolve", "reason"),
    [
        pytest.param(fails(TimeoutError()), "the name was not resolved in time", id="slow"),
        pytest.param(
            fails(socket.gaierror(-2, "Name or service not known")),
            "the name cannot be resolved: name or service not known",
            id="unknown",
        ),
        pytest.param(lambda *_: [], "the name cannot be resolved: it has no address", id="no address"),
    ],
)
def test_a_name_that_leads_nowhere(resolve: Any, reason: str) -> None:
    """Name resolution is a step of its own, because what to correct is another thing."""
    with pytest.raises(ConnectionFailed) as caught:
        connect(ADDRESS, Deadline(5), resolve)
    assert caught.value.reason == reason


def test_resolution_counts_against_the_deadline(closed: int) -> None:
    """The resolver gets the host, the port and what is left; a deadline that has passed is a failure like any other."""
    asked: list[tuple[str, int, float]] = []

    def resolve(host: str, port: int, seconds: float) -> list[Found]:
        asked.append((host, port, seconds))
        return [at(closed)]

    with pytest.raises(ConnectionFailed):
        connect(ADDRESS, Deadline(5), resolve)
    assert [one[:2] for one in asked] == [("ldap.example.com", 389)]
    assert 0 < asked[0][2] <= 5
    with pytest.raises(ConnectionFailed, match="the name was not resolved in time"):
        connect(ADDRESS, Deadline(0), resolve)


def test_an_address_that_does_not_answer_leaves_time_for_the_next(listening: socket.socket) -> None:
    """Each address gets its share of what is left, so that one silent address costs no login."""
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):  # beyond its queue, a connection waits until the queue has room
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(silent.getsockname())
        found = [at(silent.getsockname()[1]), at(listening.getsockname()[1])]
        connection = connect(ADDRESS, Deadline(3), lambda *_: found)
        stack.callback(connection.close)
        stack.enter_context(listening.accept()[0])
        with pytest.raises(ConnectionFailed, match="no answer in time"):
            connect(ADDRESS, Deadline(0.2), lambda *_: found[:1])
