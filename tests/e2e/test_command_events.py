"""Audit events of commands that change the database: a server writes each of them once, soon, or at its next start."""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from harness.json_lines import whole_lines
from harness.own_time import promptly
from harness.postgresql_server import PostgresqlServer, postgresql_server
from harness.processes import run
from harness.replica import Replica, replica
from harness.server import Setup, TokenServer, password, serving

from tokenserver.storage.engines import engine_for
from tokenserver.storage.migrations.migrate import migrate_schema

pytestmark = pytest.mark.waits

SERVICE = "registry.test"
POLICY = "version: 1\nallow:\n  - {id: all, to: [authenticated], repositories: ['web/**'], role: reader}\n...\n"
PEOPLE = {"ann": password(), "bob": password()}
SETTINGS = {"storage": "state/tokenserver.db", "access_keys": {}, "server": {"workers": 3}}
SECONDS = 3.0
QUIET_SECONDS = 2.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    folder = tmp_path_factory.mktemp("commands")
    with serving(folder, Setup(PEOPLE, {"p.yaml": POLICY}, {SERVICE: "universal"}, SETTINGS)) as server:
        yield server


class Trail:
    """What servers write about commands from now on."""

    def __init__(self, *servers: TokenServer | Replica) -> None:
        self._process = servers[0].daemon.pid
        self._marks = {server.daemon.stdout: server.daemon.stdout.stat().st_size for server in servers}

    def events(self, count: int) -> list[dict[str, Any]]:
        """The events, once there are as many, and no more come."""
        promptly(self._process, lambda: len(self._found()) >= count, seconds=SECONDS)
        time.sleep(QUIET_SECONDS)
        return self._found()

    def _found(self) -> list[dict[str, Any]]:
        return self.of_commands(b"".join(file.read_bytes()[mark:] for file, mark in self._marks.items()))

    @staticmethod
    def of_commands(log: bytes) -> list[dict[str, Any]]:
        """The events of commands in a log."""
        return [one for one in whole_lines(log) if (one["event"], one.get("via")) == ("management", "command")]


def command(server: TokenServer, *arguments: str) -> str:
    """The output of a command, which may be a secret."""
    words = server.command(*arguments, "--config", server.config)
    output = run(words, environment=server.environment, folder=server.folder)
    assert output.ok, output.stderr
    return output.stdout


def actions(events: list[dict[str, Any]]) -> list[str]:
    return [event["action"] for event in events]


def test_the_life_of_a_key(server: TokenServer) -> None:
    """Three workers write one event for each change, in order, with who did it; never a secret."""
    trail = Trail(server)
    made = json.loads(command(server, "access-keys", "create", "--user", "ann", "--json"))
    rotated = json.loads(command(server, "access-keys", "rotate", made["id"], "--json"))
    command(server, "access-keys", "revoke", rotated["id"])
    created, replaced, ended = trail.events(3)
    assert actions([created, replaced, ended]) == ["create_access_key", "rotate_access_key", "end_access_keys"]
    assert {event["actor"] for event in (created, replaced, ended)} == {f"cli:{getpass.getuser()}"}
    assert (created["credential"], replaced["replaces"], ended["credentials"]) == (
        made["id"],
        made["id"],
        [rotated["id"]],
    )
    assert made["secret"] not in server.daemon.stdout.read_text()


def test_a_user_who_is_disabled(server: TokenServer) -> None:
    """The file has its event by the server, the credentials theirs by the command."""
    trail = Trail(server)
    key = json.loads(command(server, "access-keys", "create", "--user", "bob", "--json"))["id"]
    command(server, "users", "disable", "bob")
    _, ended = trail.events(2)
    assert (ended["action"], ended["credentials"], ended["owner"]) == ("end_access_keys", [key], "bob")


def test_without_a_server(server: TokenServer) -> None:
    """What was changed while none ran is in the trail after the next start, with the moment of the change."""
    key = json.loads(command(server, "access-keys", "create", "--user", "ann", "--json"))["id"]
    server.daemon.stop()
    begin = datetime.now(UTC)
    command(server, "access-keys", "revoke", key)
    end = datetime.now(UTC)
    time.sleep(QUIET_SECONDS)
    server.daemon.start(server.is_ready)

    def ended() -> list[dict[str, Any]]:
        return [one for one in Trail.of_commands(server.daemon.stdout.read_bytes()) if one.get("credentials") == [key]]

    promptly(server.daemon.pid, lambda: ended() != [], seconds=SECONDS)
    (event,) = ended()
    assert begin.replace(microsecond=0) <= datetime.fromisoformat(event["at"]) <= end
    assert datetime.fromisoformat(event["time"]) > end


def test_a_backup(server: TokenServer) -> None:
    """What waits outlives a restore, which has an event; nothing of the backup is written again."""
    backup = server.folder / "backup.db"
    command(server, "storage", "backup", str(backup))
    trail = Trail(server)
    command(server, "access-keys", "create", "--user", "ann", "--name", "after")
    command(server, "storage", "restore", str(backup))
    created, restored = trail.events(2)
    assert actions([created, restored]) == ["create_access_key", "restore_storage"]
    assert restored["actor"] == f"cli:{getpass.getuser()}"


def test_two_replicas(tmp_path: Path) -> None:
    """On PostgreSQL, one worker of one replica writes each event."""
    with ExitStack() as stack:
        postgresql: PostgresqlServer = stack.enter_context(postgresql_server())
        settings = {**SETTINGS, "storage": postgresql.url, "server": {"workers": 2}}
        setup = Setup(PEOPLE, {"p.yaml": POLICY}, {SERVICE: "universal"}, settings)
        engine = engine_for(postgresql.url)
        migrate_schema(engine, server="", now=int(time.time()))
        engine.dispose()
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
        first = stack.enter_context(serving(tmp_path / "first", setup))
        second = stack.enter_context(replica(first, tmp_path / "second"))
        trail = Trail(first, second)
        made = [command(first, "access-keys", "create", "--user", "ann", "--json") for _ in range(5)]
        found = trail.events(5)
        assert sorted(event["credential"] for event in found) == sorted(json.loads(one)["id"] for one in made)
