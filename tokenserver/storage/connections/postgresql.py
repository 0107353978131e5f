"""PostgreSQL: an engine whose connections give up on a server that does not answer, and verify its certificate.

The server's own limits end statements that take long. They are of no use behind a network that drops packets, so each
wait for the socket is limited here as well.
"""

from __future__ import annotations

import time
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from tokenserver.storage.connections.limits import SECONDS, seconds_left

_DRIVER = "postgresql+psycopg"
_POOL = 2
_MORE = 6

MOST_CONNECTIONS = _POOL + _MORE
"""Connections of each process, besides the one that waits for signals of changes."""

_LOOPBACK = frozenset({"", "localhost", "127.0.0.1", "::1"})


def postgresql_engine(
    url: str, *, password: str | None = None, seconds: float = SECONDS, pool: tuple[int, int] = (_POOL, _MORE)
) -> Engine:
    """The engine of a URL. `statement_timeout` is `seconds`; `limits.ending_within` limits each wait for the server.

    `pool` is how many connections stay open, and how many more are opened under load.

    TLS is required, with a verified name, unless the server is on this machine or the URL sets `sslmode`.

    Raises:
        ValueError: the text is no URL.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ValueError("is no URL") from error
    timeouts = f"-c statement_timeout={seconds:g}s -c lock_timeout={seconds:g}s"
    limits = f"{timeouts} -c idle_in_transaction_session_timeout=10s"
    is_local = (parsed.host or "") in _LOOPBACK
    options = {
        "connect_timeout": max(1, round(seconds)),
        "options": limits,
        "application_name": "tokenserver",
        **({} if "sslmode" in parsed.query or is_local else {"sslmode": "verify-full"}),
    }
    engine = create_engine(
        parsed.set(drivername=_DRIVER, password=parsed.password if password is None else password),
        pool_size=pool[0],
        max_overflow=pool[1],
        pool_timeout=seconds,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args=options,
    )

    def connect(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> Any:
        left = seconds_left()
        if left <= 0:
            raise psycopg.OperationalError(_SILENT)
        return _Impatient.connect(*arguments, **{**options, "connect_timeout": max(1, round(left))})

    event.listen(engine, "do_connect", connect)
    return engine


_SILENT = "the server does not answer in time"


class _Impatient(psycopg.Connection[Any]):
    """A connection that is closed when the server does not answer in time: what it has received is not known."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        if timeout is not None:  # nobody expects an answer by then, as when waiting for notifications
            return super().wait(gen, interval=interval, timeout=timeout)
        left = seconds_left()
        end = time.monotonic() + max(left, 0.001)
        try:
            return super().wait(gen, interval=interval, timeout=max(left, 0.001))
        except Exception as error:
            if time.monotonic() < end:
                raise
            self.pgconn.finish()
            raise psycopg.OperationalError(_SILENT) from error
