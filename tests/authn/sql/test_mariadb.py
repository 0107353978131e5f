"""Connections to MariaDB, without a server: deadlines, bounds, TLS, and names that are only digits.

A real one: tests/e2e/test_sql_users.py.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pymysql
import pytest
from harness.own_time import OwnTime
from hypothesis import given
from hypothesis import strategies as st
from user_tables import table_of

from tokenserver.authn.sql.mariadb import MAX_BYTES, BoundName
from tokenserver.errors import BackendUnavailable

_NO_TLS = 0xF7FF & ~0x800
GREETING = b"".join(
    [
        b"\x0a5.5.5-10.11.0-MariaDB\0",
        struct.pack("<I", 1),
        b"12345678\0",
        struct.pack("<HBHH", _NO_TLS, 45, 2, 0x801F),
        b"\x15" + b"\0" * 10,
        b"123456789012\0mysql_native_password\0",
    ]
)
OK = b"\0\0\0\x02\0\0\0"
QUERY = "SELECT password_hash, name AS subject FROM users WHERE name = :user"

Talk = Callable[[socket.socket], None]


def packet(number: int, content: bytes) -> bytes:
    """A packet of the protocol."""
    return struct.pack("<I", len(content))[:3] + bytes([number]) + content


def silent(peer: socket.socket) -> None:
    """Say nothing."""
    peer.recv(1)


def drip(peer: socket.socket, number: int = 0) -> None:
    """The beginning of a long packet, one byte at a time."""
    for byte in packet(number, b"\x0a" + b"x" * 10_000):
        peer.sendall(bytes([byte]))
        time.sleep(0.02)


def drip_after_login(peer: socket.socket) -> None:
    """A good greeting, and an answer one byte at a time."""
    peer.sendall(packet(0, GREETING))
    peer.recv(4096)
    drip(peer, 2)


def flood(peer: socket.socket) -> None:
    """A good greeting, and the beginning of an answer that is too large."""
    peer.sendall(packet(0, GREETING))
    peer.recv(4096)
    peer.sendall(packet(2, OK))
    peer.recv(4096)
    peer.sendall(b"\xff\xff\xff\x01" + b"x" * MAX_BYTES)


def no_protocol(peer: socket.socket) -> None:
    """What another server says."""
    peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)


def hang_up(peer: socket.socket) -> None:
    """End the connection within the greeting."""
    peer.sendall(packet(0, GREETING)[:20])


@contextmanager
def server(talk: Talk, host: str = "127.0.0.1") -> Iterator[int]:
    """The port of a server that talks like this to every client."""
    ended = threading.Event()

    def serve(listening: socket.socket) -> None:
        while not ended.is_set():
            with suppress(OSError):
                peer, _ = listening.accept()
                with peer, suppress(OSError):
                    talk(peer)

    with socket.create_server((host, 0)) as listening:
        listening.settimeout(0.1)
        thread = threading.Thread(target=serve, args=(listening,), daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        ended.set()
        thread.join(3)


@pytest.mark.parametrize(
    ("talk", "reason"),
    [
        pytest.param(silent, "does not answer in time", id="silent"),
        pytest.param(drip, "does not answer in time", id="drip"),
        pytest.param(drip_after_login, "does not answer in time", id="drip after the login"),
        pytest.param(flood, "the answer has more than", id="flood"),
        pytest.param(no_protocol, "Error", id="no protocol"),
        pytest.param(hang_up, "Lost connection", id="hang up"),
    ],
)
def test_a_broken_server(talk: Talk, reason: str) -> None:
    """It cannot tell, within the deadline (docs/design/threats.md#threat-206)."""
    with server(talk) as port:
        table = table_of(f"mariadb://reader@127.0.0.1:{port}/people", QUERY, password="canary", seconds=0.4)
        own = OwnTime(os.getpid())
        with pytest.raises(BackendUnavailable) as caught:
            table.by_name("ann")
        assert own.seconds < 2
        assert reason in caught.value.reason, caught.value.reason
        assert "canary" not in str(caught.value)


def test_a_server_without_tls() -> None:
    """On another machine, it gets no password."""
    said: list[bytes] = []

    def talk(peer: socket.socket) -> None:
        peer.sendall(packet(0, GREETING))
        said.append(peer.recv(4096))

    with server(talk, "127.0.0.2") as port:
        table = table_of(f"mariadb://reader@127.0.0.2:{port}/people", QUERY, password="canary", seconds=2)
        with pytest.raises(BackendUnavailable, match="fix: let the server speak TLS"):
            table.by_name("ann")
    assert not any(said)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_name_is_digits(name: str) -> None:
    """In the text of a statement, nothing of a name can be anything else (docs/design/threats.md#threat-205)."""
    literal = BoundName(name).literal()
    digits = literal.removeprefix("_utf8mb4 X'").removesuffix("'")
    assert literal == f"_utf8mb4 X'{digits}'"
    assert bytes.fromhex(digits).decode() == name
    assert digits.isalnum() or not name


def test_names_are_written_as_digits() -> None:
    """By the driver, too."""
    connection = pymysql.connections.Connection(
        defer_connect=True, conv={**pymysql.converters.conversions, BoundName: BoundName.literal}
    )
    assert connection.escape(BoundName("a'"), connection.encoders) == "_utf8mb4 X'6127'"
