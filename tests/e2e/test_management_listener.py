"""A listener of its own for management and pages: what is served where, over both of them and many workers.

See docs/design/threats.md#threat-215 and docs/design/threats.md#threat-216.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import canaries
import pytest
import yaml
from harness import web
from harness.authority import Authority
from harness.crowd import many_files
from harness.own_time import OwnTime
from harness.processes import free_port
from harness.server import ISSUER, Setup, TokenServer, serving
from harness.waiting import PATIENCE_SECONDS, until

from tokenserver.doctor.checks.management import PROBE, OurManagement, check_management
from tokenserver.doctor.examination.fetch import fetch
from tokenserver.process.process_limits import FILES_KEPT_BACK, FILES_OF_LISTENER

pytestmark = pytest.mark.waits

SERVICE = "registry3.test"
POLICIES = {
    "root.yaml": """\
version: 1
administrators: ["user:olga"]
allow:
  - {id: ann, to: ["user:ann"], repositories: ["web/**"], role: writer}
"""
}
WORKERS = 3
SECONDS = PATIENCE_SECONDS
TOKEN = web.token_target(SERVICE, ["repository:web/x:pull"])
EVERYWHERE = {"/": 200, "/healthz": 200, "/readyz": 200}
PUBLIC_ONLY = {TOKEN: 200, f"/auth{TOKEN}": 200, "/.well-known/jwks.json": 200, "/ca.pem": 200}
MANAGEMENT_ONLY = {
    "/login": 200,
    "/account": 303,
    "/admin": 303,
    "/admin/policies": 303,
    "/access": 303,
    "/device": 303,
    "/api/v1/whoami": 200,
    "/api/v1/access-keys": 200,
    "/api/v1/openapi.json": 200,
}


class Listeners:
    """A server with two listeners."""

    def __init__(self, server: TokenServer, management: int, context: ssl.SSLContext | None) -> None:
        self.server = server
        self.ports = {"public": server.port, "management": management}
        self.context = context
        self.url = f"{'http' if context is None else 'https'}://localhost:{management}"

    def ask(self, where: str, target: str, *, method: str = "GET", body: bytes | None = None) -> web.Answer:
        """One request of ann at one of them."""
        headers = web.basic("ann", self.server.people["ann"]) | (web.FORM if body else {})
        return web.request(self.ports[where], method, target, headers=headers, body=body, context=self.context)

    def status(self, where: str, target: str, *, method: str = "GET") -> int:
        """The status of the answer."""
        return self.ask(where, target, method=method).status

    def workers(self) -> list[int]:
        """The process ids of the workers."""
        return self.server.daemon.children


def made_of(setup: Setup, management: int, *, tls: Authority | None = None, workers: int = WORKERS) -> Setup:
    """What a server with a listener for management at this port is made of."""
    scheme = "http" if tls is None else "https"
    server = {
        "management": f"127.0.0.1:{management}",
        "management_url": f"{scheme}://localhost:{management}",
        "workers": workers,
    }
    settings = {"server": server, "storage": "state/tokenserver.db", "access_keys": {}, "refresh_tokens": {}}
    people = {name: setup.people[name] for name in ("ann", "ben")}
    return replace(setup, people=people, policies=POLICIES, services={SERVICE: "universal"}, settings=settings, tls=tls)


soon = partial(until, seconds=SECONDS, tolerates=(OSError,))
"""Waits for it; a connection that is refused or breaks off means that it is not so yet."""


@pytest.fixture(scope="module", params=["http", "https"])
def shared(
    request: pytest.FixtureRequest, setup: Setup, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Listeners]:
    """A server that no test here changes."""
    tls = Authority(tmp_path_factory.mktemp("ca"), "ours") if request.param == "https" else None
    management = free_port()
    with serving(tmp_path_factory.mktemp("server"), made_of(setup, management, tls=tls)) as server:
        yield Listeners(server, management, None if tls is None else tls.context())


@pytest.fixture
def listeners(setup: Setup, tmp_path: Path) -> Iterator[Listeners]:
    """A server of the test's own."""
    management = free_port()
    with serving(tmp_path, made_of(setup, management)) as server:
        yield Listeners(server, management, None)


@pytest.mark.parametrize(("target", "status"), (EVERYWHERE | PUBLIC_ONLY).items())
def test_what_is_public(shared: Listeners, target: str, status: int) -> None:
    """Tokens, keys and health."""
    assert [shared.status("public", target) for _ in range(WORKERS)] == [status] * WORKERS


@pytest.mark.parametrize(("target", "status"), (EVERYWHERE | MANAGEMENT_ONLY).items())
def test_what_is_for_management(shared: Listeners, target: str, status: int) -> None:
    """Pages, the API and health."""
    assert [shared.status("management", target) for _ in range(WORKERS)] == [status] * WORKERS


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"])
@pytest.mark.parametrize("target", [*MANAGEMENT_ONLY, "/api/v1/robots/ci/secrets", "/logout", "/static/style.css"])
def test_management_is_not_public(shared: Listeners, target: str, method: str) -> None:
    """It is not found there, by any method (docs/design/threats.md#threat-215)."""
    assert shared.status("public", target, method=method) == 404


@pytest.mark.parametrize("target", [*PUBLIC_ONLY, "/device/code", "/revoke"])
def test_tokens_are_not_for_management(shared: Listeners, target: str) -> None:
    """Where people manage, no token is to be had, and none can be ended."""
    assert {method: shared.status("management", target, method=method) for method in ("GET", "POST")} == {
        "GET": 404,
        "POST": 404,
    }


@pytest.mark.parametrize(
    ("where", "ok"),
    [
        pytest.param("management", True, id="right"),
        pytest.param("public", False, id="to the public listener"),
    ],
)
def test_the_doctor(shared: Listeners, where: str, ok: bool) -> None:
    """It visits the URL that people use, and sees which of the listeners is behind it."""
    url = shared.url.replace(str(shared.ports["management"]), str(shared.ports[where]))
    context = ssl.create_default_context() if shared.context is None else shared.context
    ours = OurManagement(url, "127.0.0.1:5002", ISSUER, "tokenserver.yaml")
    found = check_management(fetch(f"{url}{PROBE}", context=context), ours)
    assert (found.check, found.ok) == ("management", ok), found


def test_a_login_at_a_terminal(shared: Listeners) -> None:
    """The program asks the public listener, and sends the person to the other one."""
    body = urlencode({"client_id": "tokenserver-helper"}).encode()
    codes = shared.ask("public", "/device/code", method="POST", body=body).json()
    canaries.know(codes["device_code"])
    canaries.know(codes["user_code"])
    scheme = shared.server.url.partition(":")[0]
    assert codes["verification_uri"] == f"{scheme}://localhost:{shared.ports['management']}/device"


def test_an_access_key(shared: Listeners) -> None:
    """It is made at one listener, works at the other in every worker, and both can end it: the API, and `/revoke`."""
    headers = web.basic("ann", shared.server.people["ann"]) | {"Content-Type": "application/json"}
    kept = [_make(shared, headers) for _ in range(2)]
    for name, key in kept:
        assert {_use(shared, key) for _ in range(3 * WORKERS)} == {200}, name
    path, port = f"/api/v1/access-keys/{kept[0][0]}", shared.ports["management"]
    assert web.request(port, "DELETE", path, headers=headers, context=shared.context).status == 204
    revoke = urlencode({"token": kept[1][1]}).encode()
    assert shared.ask("public", "/revoke", method="POST", body=revoke).status == 200
    soon(lambda: {_use(shared, key) for _ in range(3 * WORKERS) for _, key in kept} == {401})


def _make(shared: Listeners, headers: dict[str, str]) -> tuple[str, str]:
    body = json.dumps({"name": "laptop"}).encode()
    made = web.request(
        shared.ports["management"], "POST", "/api/v1/access-keys", headers=headers, body=body, context=shared.context
    )
    assert made.status == 201, made
    canaries.know(made.json()["secret"])
    location = str(made.header("location"))
    assert location == f"{shared.url}/api/v1/access-keys/{made.json()['id']}"
    return made.json()["id"], made.json()["secret"]


def _use(shared: Listeners, key: str) -> int:
    return web.request(
        shared.ports["public"], "GET", TOKEN, headers=web.basic("ann", key), context=shared.context
    ).status


def test_a_killed_worker(listeners: Listeners) -> None:
    """The next one listens at both addresses."""
    for victim in listeners.workers():
        os.kill(victim, signal.SIGKILL)
        soon(lambda: victim not in listeners.workers() and len(listeners.workers()) == WORKERS)  # noqa: B023 - called here
    soon(lambda: listeners.status("public", TOKEN) == 200 and listeners.status("management", "/login") == 200)


def test_a_stop_and_a_restart(listeners: Listeners) -> None:
    """A request in progress at either listener is answered, both addresses are free, and can be had again."""
    halves = {where: _half_a_request(port) for where, port in listeners.ports.items()}
    listeners.server.daemon.signal(signal.SIGTERM)
    for where, connection in halves.items():
        connection.sendall(b"\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 "), where
        connection.close()
    assert listeners.server.daemon.wait() == 0
    for port in listeners.ports.values():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)
    listeners.server.daemon.start(listeners.server.is_ready)
    soon(lambda: listeners.status("management", "/login") == 200)
    assert "killed" not in listeners.server.daemon.log.lower()


def _half_a_request(port: int) -> socket.socket:
    """A connection on which a request began. One before it was answered, so a worker has accepted the connection."""
    connection = socket.create_connection(("127.0.0.1", port), 20)
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x")
    return connection


@pytest.mark.parametrize("key", ["listen", "management"])
def test_an_address_in_use(setup: Setup, tmp_path: Path, key: str) -> None:
    """The server does not start, names the key, and may be tried again (exit code 1)."""
    server = TokenServer(tmp_path, made_of(setup, free_port()))
    taken = yaml.safe_load(server.config.read_text())["server"][key]
    host, _, port = taken.partition(":")
    with socket.create_server((host, int(port))):
        server.daemon.start(lambda: not server.daemon.is_running)
        assert server.daemon.wait() == 1
    server.wire.close()
    assert f"server.{key}: cannot listen on {taken}: Address already in use" in server.daemon.log


def test_a_changed_configuration(listeners: Listeners) -> None:
    """What can change at both listeners does; another address for management waits for a restart."""
    other = free_port()
    _write(listeners, registries=[{"service": "new.test"}], listen_also=f"127.0.0.1:{other}")
    soon(lambda: listeners.status("public", web.token_target("new.test")) == 200)
    soon(lambda: "server.management" in listeners.server.daemon.log)
    assert listeners.status("management", "/login") == 200
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", other), 5)
    notes = json.dumps(listeners.ask("management", "/readyz").json())
    assert "server.management" in notes


def _write(listeners: Listeners, *, registries: list[dict[str, str]], listen_also: str) -> None:
    settings = yaml.safe_load(listeners.server.config.read_text())
    settings["registries"] = registries
    settings["server"]["management"] = listen_also
    listeners.server.config.write_text(yaml.safe_dump(settings))


PLACES = 64
FILES = 2 * PLACES + FILES_KEPT_BACK + FILES_OF_LISTENER


@contextmanager
def beset(setup: Setup, folder: Path, tls: Authority | None) -> Iterator[Callable[[], int]]:
    """A server of one worker with few places, more silent clients of its management than it has descriptors, and what
    asks its public listener for a token: the status of the answer."""
    management = free_port()
    limit = ["prlimit", f"--nofile={FILES}:{FILES}"]
    folder.mkdir()
    with ExitStack() as stack, many_files():
        server = stack.enter_context(serving(folder, made_of(setup, management, tls=tls, workers=1), prefix=limit))
        context = None if tls is None else tls.context()
        held = [stack.enter_context(socket.create_connection(("127.0.0.1", management), 20)) for _ in range(4 * PLACES)]
        assert len(held) > FILES
        headers = web.basic("ann", server.people["ann"])
        yield lambda: web.request(server.port, "GET", TOKEN, headers=headers, context=context).status


def test_silent_clients_of_management(setup: Setup, tmp_path: Path) -> None:
    """They hold every place of that listener, and none of the public one (docs/design/threats.md#threat-216)."""
    with beset(setup, tmp_path / "server", None) as ask:
        own = OwnTime(os.getpid())
        assert [ask() for _ in range(50)] == [200] * 50
        assert own.seconds < 5


def test_silent_clients_of_management_with_tls(setup: Setup, tmp_path: Path) -> None:
    """Descriptors are common to both listeners, so that these clients can take them all: but not for long.

    See docs/design/threats.md#threat-216.
    """
    with beset(setup, tmp_path / "server", Authority(tmp_path, "ours")) as ask:
        soon(lambda: [ask() for _ in range(10)] == [200] * 10)
