"""Logins that go on while a command ends them: whatever they stored is void, also what was stored a moment later.

Clients log in without a pause at all workers. For up to a second, a worker has the users of before the command, and a
password that was right.
"""

from __future__ import annotations

import gc
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner
from harness import web
from harness.postgresql_server import postgresql_server
from harness.server import Setup, TokenServer, password, serving
from harness.waiting import until

from tokenserver.cli.main import main
from tokenserver.storage.engines import engine_for
from tokenserver.storage.migrations.migrate import migrate_schema

pytestmark = pytest.mark.alone

SERVICE = "reg.test"
POLICIES = {"root.yaml": 'version: 1\nallow:\n  - {id: x, to: [authenticated], repositories: ["x"], actions: [pull]}\n'}
TARGET = web.token_target(SERVICE, ["repository:x:pull"])

CLIENTS = 3
WORKERS = 2
EVERY_WORKER = 12
"""As many requests on connections of their own meet each worker."""

LATEST_SECONDS = 2.0


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real("postgresql"))], scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server with workers that stores credentials."""
    if request.param == "sqlite":
        with served("state/tokenserver.db", tmp_path_factory.mktemp("server")) as running:
            yield running
        return
    with postgresql_server() as database:
        engine = engine_for(database.url)
        migrate_schema(engine, server="", now=int(time.time()))
        engine.dispose()
        with served(database.url, tmp_path_factory.mktemp("server")) as running:
            yield running


@contextmanager
def served(storage: str, folder: Path) -> Iterator[TokenServer]:
    """It is running in the context."""
    settings = {
        "storage": storage,
        "refresh_tokens": {"per_user": 1000},
        "access_keys": {"per_user": 1000},
        "server": {"workers": WORKERS},
    }
    people = {name: password() for name in ("ann", "bob", "eve", "zoe", "tom")}
    with serving(folder, Setup(people, POLICIES, {SERVICE: "universal"}, settings)) as running:
        run_at_full_speed(running, "disable", "tom")  # which loads the modules
        yield running


@dataclass
class Given:
    """What logins were given: when the request began (monotonic seconds), and the secrets."""

    begun: list[float] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)


def run_at_full_speed(server: TokenServer, *arguments: str, stdin: str = "") -> None:
    """Run a command in this process, where its modules are loaded: it ends logins long before users are reloaded."""
    file = ("--file", str(server.folder / "users.htpasswd"), "--config", str(server.config))
    result = CliRunner().invoke(main, ["users", *arguments, *file], input=stdin)
    assert result.exit_code == 0, result.output
    gc.collect()  # a connection to the storage that is left open is an error now, and not in some later test


def log_in(server: TokenServer, user: str, secret: str) -> tuple[int, str]:
    """One login as docker does it; the status, and the refresh token."""
    answer = web.request(server.port, "GET", f"{TARGET}&offline_token=true", headers=web.basic(user, secret))
    return answer.status, answer.json()["refresh_token"] if answer.status == 200 else ""


_names = count()


def make_key(server: TokenServer, user: str, secret: str) -> tuple[int, str]:
    """One access key that a person makes with the password; the status, and the key."""
    headers = {**web.basic(user, secret), "Content-Type": "application/json"}
    body = json.dumps({"name": f"key-{next(_names)}"}).encode()
    answer = web.request(server.port, "POST", "/api/v1/access-keys", headers=headers, body=body)
    return answer.status, answer.json()["secret"] if answer.status == 201 else ""


def is_accepted(server: TokenServer, user: str, secret: str) -> bool:
    """Whether a refresh token or an access key is good for a token."""
    return web.request(server.port, "GET", TARGET, headers=web.basic(user, secret)).status == 200


def logged_in_during(
    server: TokenServer,
    user: str,
    step: Callable[[TokenServer, str, str], tuple[int, str]],
    command: Callable[[], None],
) -> tuple[Given, float]:
    """What clients are given until all workers refuse them, and when the command has returned."""
    given, stop, secret = Given(), threading.Event(), server.people[user]

    def use() -> None:
        while not stop.is_set():
            begun = time.monotonic()
            status, text = step(server, user, secret)
            given.statuses.append(status)
            if text:
                given.begun.append(begun)
                given.secrets.append(text)

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(use) for _ in range(CLIENTS)]
        try:
            until(lambda: len(given.secrets) >= CLIENTS or any(client.done() for client in clients))
            command()
            returned = time.monotonic()
            until(lambda: set(given.statuses[-EVERY_WORKER:]) == {401})
        finally:
            stop.set()
        for client in clients:
            client.result()
    return given, returned


@pytest.mark.parametrize("user", ["ann", "bob"])
def test_an_account_that_is_disabled(user: str, server: TokenServer) -> None:
    """Once it is enabled again, no refresh token of before works, and a new login does."""
    given, returned = logged_in_during(server, user, log_in, lambda: run_at_full_speed(server, "disable", user))
    assert set(given.statuses) <= {200, 401, 503}
    assert max(given.begun) - returned <= LATEST_SECONDS
    run_at_full_speed(server, "enable", user)
    until(lambda: log_in(server, user, server.people[user])[0] == 200, in_a_row=EVERY_WORKER)
    assert sum(is_accepted(server, user, secret) for secret in given.secrets[-100:]) == 0


@pytest.mark.parametrize("user", ["eve", "zoe"])
def test_a_password_that_is_changed(user: str, server: TokenServer) -> None:
    """The old one, which somebody else may have, has made no access key that is left."""
    fresh = password()
    command = partial(run_at_full_speed, server, "set", user, "--weak", stdin=fresh)
    given, returned = logged_in_during(server, user, make_key, command)
    assert set(given.statuses) <= {201, 401, 409, 503}
    assert max(given.begun) - returned <= LATEST_SECONDS
    until(lambda: log_in(server, user, fresh)[0] == 200, in_a_row=EVERY_WORKER)
    assert sum(is_accepted(server, user, secret) for secret in given.secrets[-100:]) == 0
