"""Stored credentials at real registries: personal keys, stored secrets of robots, and refresh tokens.

Every client logs in with them, does what they allow, and is refused the rest. What a command ends is refused by the
running server within two seconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import canaries
import pytest
from harness import registries, web
from harness.buildkit import Buildkit
from harness.clients import Client, Ctr, Docker, Dockerd
from harness.every_client import CLIENTS, row
from harness.go_clients import CtrHosts, Ko
from harness.helm import HELMS
from harness.processes import run
from harness.scene import Scene
from harness.server import Setup, TokenServer, serving
from harness.stored_tokens import STORED
from harness.waiting import until

from tokenserver.config.load import load_settings
from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Sort
from tokenserver.server.stored.opening import open_store
from tokenserver.storage.credential import StoredCredential

SERVICE = "registry3.test"
REVOKED_WITHIN = 2.0

POLICIES = {
    "root.yaml": """\
version: 1
robots:
  ci-web: {description: builds of the web team}
allow:
  - {id: keeper, to: ["user:keeper"], repositories: ["**"], role: maintainer}
  - {id: ann, to: ["user:ann"], repositories: ["web/**", "people/**"], role: writer}
  - {id: robot, to: ["robot:ci-web"], repositories: ["web/**"], role: writer}
"""
}

SETTINGS = {
    "storage": "state/tokenserver.db",
    "access_keys": {},
    "refresh_tokens": {},
    "registries": [{"service": SERVICE, "compat": "universal", "token_lifetime": "60s"}],
}


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server with a storage, which gives refresh tokens; access tokens live for a minute."""
    made = replace(setup, policies=POLICIES, services={SERVICE: "universal"}, settings=SETTINGS)
    with serving(tmp_path_factory.mktemp("server"), made) as running:
        yield running


registry = registries.own_registry(SERVICE)


def made(server: TokenServer, *arguments: str) -> str:
    """The secret that a command makes, beside the running server."""
    command = server.command(*arguments, "--config", server.config)
    output = run(command, environment=server.environment, folder=server.folder)
    assert output.ok, output.stderr
    secret = output.stdout.strip()
    canaries.know(secret)
    assert secret not in output.stderr
    return secret


@pytest.fixture(scope="module")
def key(server: TokenServer) -> str:
    """A key of ann's that can pull below web/ and nothing else."""
    return made(server, "access-keys", "create", "--user", "ann", "--pull", "--repositories", "web/**")


@pytest.fixture(scope="module")
def secret(server: TokenServer) -> str:
    """A stored secret of the robot."""
    return made(server, "robots", "secret", "new", "ci-web")


KINDS: tuple[type[Client], ...] = (*CLIENTS, CtrHosts, *HELMS)

EVERY_DAY = frozenset({"docker", "dockerd", "skopeo", "podman", "crane", "oras", "regctl", "ctr", "ctr-hosts", "helm"})
"""The clients that most machines have; the night tries the others."""


def able(*verbs: str) -> pytest.MarkDecorator:
    """One row for each client that has the verbs."""
    found = [one for one in KINDS if not set(verbs) & one.cannot.keys()]
    return pytest.mark.parametrize("kind", [row(one, nightly=one.name not in EVERY_DAY) for one in found])


def within_web(kind: type[Client], scene: Scene) -> Client:
    """A client that needs nothing outside web/ for a push: ko's base image is there too."""
    client = scene.client(kind)
    if isinstance(client, Ko):
        client.base = "web/ko-base"
    return client


def login(server: TokenServer, user: str, secret: str) -> web.Answer:
    """The answer of the next worker to a login."""
    return server.request("GET", web.token_target(SERVICE, ()), headers=web.basic(user, secret))


def status(server: TokenServer, user: str, secret: str) -> int:
    """The status of a login."""
    return login(server, user, secret).status


@able("login")
@pytest.mark.parametrize("name", ["ann", "token"])
def test_login_with_a_key(kind: type[Client], name: str, scene: Scene, key: str) -> None:
    """In place of the password, with the owner's name or any that a tool demands."""
    since = scene.server.audit.mark()
    output = scene.client(kind).login(scene.registry, name, key)
    assert output.ok, str(output)
    events = scene.server.audit.events(since, until=lambda found: any(one.subject == "ann" for one in found))
    assert {event.outcome for event in events if event.subject == "ann"} == {"login"}


@able("pull", "push")
def test_a_narrowed_key(kind: type[Client], scene: Scene, key: str) -> None:
    """What its owner can pull and push, it can pull below web/ alone, and push nowhere."""
    if kind in HELMS:
        pytest.skip("an image is no chart; test_login_with_a_key has helm")
    client = within_web(kind, scene)
    client.machine.sign_in(scene.registry.host, "ann", key)
    pulled = client.pull(scene.registry, scene.stored("web"))
    assert pulled.ok, str(pulled)
    assert not client.pull(scene.registry, scene.stored("people")).ok
    repository = scene.new_name("web")
    assert not client.push(scene.registry, scene.image, repository).ok
    assert not scene.registry.holds(repository, client.tag)


@able("login")
def test_login_with_a_robots_secret(kind: type[Client], scene: Scene, secret: str) -> None:
    """The same name and form as with a secret that a policy file declares."""
    since = scene.server.audit.mark()
    output = scene.client(kind).login(scene.registry, "ci-web", secret)
    assert output.ok, str(output)
    events = scene.server.audit.events(since, until=lambda found: any(one.subject == "robot:ci-web" for one in found))
    assert {event.outcome for event in events if event.subject == "robot:ci-web"} == {"login"}


@able("push")
def test_push_with_a_robots_secret(kind: type[Client], scene: Scene, secret: str) -> None:
    """What the policy gives the robot, and nothing else."""
    client = within_web(kind, scene)
    client.machine.sign_in(scene.registry.host, "ci-web", secret)
    repository, elsewhere = scene.new_name("web"), scene.new_name("people")
    output = client.push(scene.registry, scene.image, repository)
    assert output.ok, str(output)
    assert scene.registry.holds(repository, client.tag)
    assert not client.push(scene.registry, scene.image, elsewhere).ok
    assert not scene.registry.holds(elsewhere, client.tag)


def test_a_revoked_key(server: TokenServer) -> None:
    """It works at the moment the command prints it, and is refused within two seconds of its end in all workers."""
    secret = made(server, "access-keys", "create", "--user", "ann")
    assert [status(server, "ann", secret) for _ in range(20)] == [200] * 20
    server.run("access-keys", "revoke", secret[5:17], "--config", server.config)
    time.sleep(REVOKED_WITHIN)
    assert [status(server, "ann", secret) for _ in range(40)] == [401] * 40


def test_a_rotated_secret_of_a_robot(server: TokenServer, secret: str) -> None:
    """Both work during the overlap, so that there is no outage."""
    successor = made(server, "robots", "secret", "rotate", "ci-web")
    try:
        assert (status(server, "ci-web", secret), status(server, "ci-web", successor)) == (200, 200)
    finally:
        server.run("robots", "secret", "revoke", "ci-web", "--id", successor[5:17], "--config", server.config)
    until(lambda: status(server, "ci-web", successor) == 401, in_a_row=8)
    assert status(server, "ci-web", secret) == 200


@pytest.mark.real("docker")
def test_an_expired_key_says_so(scene: Scene) -> None:
    """docker shows the server's sentence, since whoever has the right key may know."""
    server = scene.server
    wanted = StoredCredential(
        id="",
        form=AccessKeyForm.PERSONAL,
        owner="ann",
        sort=Sort.USER,
        source="htpasswd",
        created=0,
        created_by="test",
        ends=int(time.time()) + 2,
    )
    expiring, _ = open_store(load_settings(Path(server.config), {})).create(wanted, at_most=100)
    canaries.know(expiring.text.reveal())
    secret = expiring.text.reveal()
    until(lambda: b"expired" in login(server, "ann", secret).body, in_a_row=8)
    output = scene.client(Docker).login(scene.registry, "ann", secret)
    assert not output.ok
    assert "expired" in output.text, str(output)


@pytest.mark.real("docker")
def test_docker_keeps_an_identity_token(scene: Scene) -> None:
    """`docker login` with a password leaves no password behind; the command lists the login, and ends it."""
    client = scene.client(Docker)
    output = client.login(scene.registry, *scene.credentials("ann"))
    assert output.ok, str(output)
    entry = client.machine.stored()[scene.registry.host]
    token = entry["identitytoken"]
    canaries.know(token)
    assert token.startswith("tknf_")
    assert client.machine.user(scene.registry.host) in (None, ("ann", ""), ("<token>", ""))
    listed = json.loads(scene.server.run("logins", "list", "--json", "--config", scene.server.config).stdout)
    (found,) = [one for one in listed["logins"] if one["id"] == token[5:17]]
    assert (found["owner"], found["client"], found["registries"]) == ("ann", "docker", [SERVICE])
    scene.server.run("logins", "revoke", token[5:17], "--config", scene.server.config)
    form = f"grant_type=refresh_token&refresh_token={token}&service={SERVICE}&client_id=docker".encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    until(lambda: scene.server.request("POST", "/token", headers=headers, body=form).status == 401, in_a_row=8)


def refresh_token(scene: Scene) -> str:
    """The identity token that a login of ann's leaves."""
    client = scene.client(Docker)
    assert client.login(scene.registry, *scene.credentials("ann")).ok
    token = client.machine.stored()[scene.registry.host]["identitytoken"]
    canaries.know(token)
    return token


@pytest.mark.real("docker")
@pytest.mark.parametrize("kind", [*(row(one.kind) for one in STORED if one.kind not in HELMS), row(Buildkit)])
def test_a_pull_with_an_identity_token(kind: type[Client], scene: Scene) -> None:
    """What docker stored is enough for the other clients, which read its file; ctr, which keeps nothing, gets it."""
    token = refresh_token(scene)
    client, repository = scene.client(kind), scene.stored("web")
    client.machine.keep_token(scene.registry.host, "ann", token)
    scene.watch.restart()
    if isinstance(client, Ctr):
        words = ("images", "pull", "--plain-http", "--snapshotter=native", "--refresh", token)
        output = client.run(*words, f"{scene.registry.host}/{repository}:1")
    else:
        output = client.pull(scene.registry, repository)
    assert output.ok, str(output)
    requests = scene.watch.requests()
    assert requests[0].values("grant_type") == ["refresh_token"]
    assert {request.status for request in requests} == {200}


@pytest.mark.nightly
@pytest.mark.real("docker", "dockerd")
def test_past_the_end_of_access_tokens(scene: Scene) -> None:
    """An engine that has pulled once pulls again, when its access token has ended."""
    token = refresh_token(scene)
    client = scene.client(Dockerd)
    client.machine.keep_token(scene.registry.host, "ann", token)
    for pause in (0, 75):  # seconds; a token lives for 60
        time.sleep(pause)
        output = client.pull(scene.registry, scene.stored("web"))
        assert output.ok, str(output)


@pytest.mark.real("docker")
def test_a_new_password_ends_them(server: TokenServer, scene: Scene) -> None:
    """The command of users ends refresh tokens; the next use of one is refused."""
    token = refresh_token(scene)
    form = f"grant_type=refresh_token&refresh_token={token}&service={SERVICE}&client_id=docker".encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert server.request("POST", "/token", headers=headers, body=form).status == 200
    password = server.people["ann"]
    server.run("users", "set", "ann", "--weak", "--keep-keys", "--config", server.config, stdin=password)
    until(lambda: server.request("POST", "/token", headers=headers, body=form).status == 401, in_a_row=8)
