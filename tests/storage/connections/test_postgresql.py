"""PostgreSQL: limits of time and TLS, without a server. tests/e2e/test_storage_postgresql.py has a real one."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator

import pytest
from harness.own_time import OwnTime
from harness.processes import free_port
from sqlalchemy import select

from tokenserver.storage.connections.failures import StorageUnavailable
from tokenserver.storage.connections.postgresql import postgresql_engine
from tokenserver.storage.database import Database
from tokenserver.storage.tables import jwks


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("how", ["read", "write"])
def test_a_silent_server_is_given_up(silent: int, how: str) -> None:
    """Within about two seconds, whatever is asked."""
    database = Database(postgresql_engine(f"postgresql://user@127.0.0.1:{silent}/x?sslmode=disable"))
    before = time.monotonic()
    calls: dict[str, Callable[[], object]] = {
        "read": lambda: database.read(lambda connection: connection.execute(select(jwks)).all()),
        "write": lambda: database.write(lambda _, rev: rev),
    }
    with pytest.raises(StorageUnavailable):
        calls[how]()
    assert 1 < time.monotonic() - before < 5
    database.close()


def test_a_closed_port_is_seen_immediately() -> None:
    """The reason is the system's, without the password."""
    url = f"postgresql://user@127.0.0.1:{free_port()}/x"
    database = Database(postgresql_engine(url, password="canary"))
    own = OwnTime(os.getpid())
    with pytest.raises(StorageUnavailable, match="Connection refused") as caught:
        database.revision()
    assert own.seconds < 1.5
    assert "canary" not in str(caught.value)
    assert "canary" not in repr(database.engine)


@pytest.mark.parametrize(
    ("url", "mode"),
    [
        ("postgresql://db.example.com/x", "verify-full"),
        ("postgresql://192.0.2.1/x", "verify-full"),
        ("postgresql://db.example.com/x?sslmode=require", None),
        ("postgresql://127.0.0.1/x", None),
        ("postgresql://localhost/x", None),
        ("postgresql:///x?host=/run/postgresql", None),
    ],
)
def test_tls_is_verified_beyond_this_machine(url: str, mode: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the URL decides otherwise."""
    asked: list[dict[str, object]] = []

    def connect(**options: object) -> None:
        asked.append(options)
        raise ConnectionAbortedError

    monkeypatch.setattr("tokenserver.storage.connections.postgresql._Impatient.connect", connect)
    with pytest.raises(ConnectionAbortedError):
        postgresql_engine(url, password="canary").connect()
    (options,) = asked
    expected = {"require"} if "sslmode" in url else {mode}
    assert {options.get("sslmode")} == expected
    assert (options["connect_timeout"], options["password"]) == (2, "canary")
    assert "statement_timeout=2s" in str(options["options"])


def test_text_that_is_no_url() -> None:
    """The error does not repeat it."""
    with pytest.raises(ValueError, match=r"^is no URL$"):
        postgresql_engine("canary")
