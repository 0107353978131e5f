"""Stored credentials for tests: databases, stores with a clock of their own, and credentials with every column set."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Engine

from tokenserver.ceilings import Bound, Ceiling
from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Sort
from tokenserver.patterns import parse_pattern
from tokenserver.storage.connections.files import make_file
from tokenserver.storage.credential import StoredCredential
from tokenserver.storage.database import Database
from tokenserver.storage.engines import engine_for
from tokenserver.storage.state_keys import StateKey, StateKeys
from tokenserver.storage.store import CredentialStore
from tokenserver.storage.tables import SCHEMA, meta, metadata, revision

NOW = 1_800_000_000
DAY = 86_400

STATE_KEYS = StateKeys({1: StateKey.derived(1, bytes(range(32)))})

PLAIN = StoredCredential("", AccessKeyForm.PERSONAL, "ann", Sort.USER, "local", 0, "ann", NOW + 90 * DAY)

FULL = replace(
    PLAIN,
    name="laptop",
    created_from="192.0.2.1",
    client="docker/28",
    idle=30 * DAY,
    ceiling=Ceiling(
        (Bound((parse_pattern("web/**"), parse_pattern("ops/*")), frozenset({"pull", "push"})),), frozenset({"hub"})
    ),
    networks=(ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")),
    services=frozenset({"registry.example.com"}),
    proof=b"\x01" * 32,
    claims=frozenset({("sub", "job:1"), ("ref", "refs/heads/é")}),
    replaces="0123456789ab",
)
"""Every column has a value."""


class Clock:
    """A clock that tests set. Calling it gives seconds since the epoch."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def sqlite(folder: Path, name: str = "state.db") -> Engine:
    """An engine for a new, empty file in the folder."""
    make_file(folder / name)
    return engine_for(folder / name)


def made(engine: Engine) -> Database:
    """A database with its tables."""
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(meta.insert().values(one=1, schema=SCHEMA, server="https://auth.example.com", created=NOW))
        connection.execute(revision.insert().values(one=1, rev=0))
    return Database(engine)


@cache
def _tables() -> bytes:
    with TemporaryDirectory() as folder:
        made(sqlite(Path(folder))).close()
        return (Path(folder) / "state.db").read_bytes()


def new_database(folder: Path, name: str = "state.db", like: Path | None = None) -> Database:
    """A new file in the folder with the tables, which are made once in a run and copied, or a copy of `like`."""
    make_file(folder / name)
    (folder / name).write_bytes(_tables() if like is None else like.read_bytes())
    return Database(engine_for(folder / name))


def store_of(database: Database, clock: Clock | None = None, **options: Any) -> CredentialStore:
    """A store with the keys of the tests."""
    return CredentialStore(database, STATE_KEYS, now=clock or Clock(), **options)
