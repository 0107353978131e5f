"""docker-credential-tokenserver with real clients, a real registry and a real server, as the zipapp."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from email.message import Message
from urllib.parse import quote

import canaries
import pytest
from harness import registries, web
from harness.clients import Client, Crane, Docker, Dockerd, Oras, Podman, Regctl, Skopeo
from harness.credential_helper import HelperOnMachine
from harness.every_client import row
from harness.faulty_token_server import faulty_token_server
from harness.libraries import OrasPy
from harness.machine import Machine
from harness.misfits import Reply, answering
from harness.scene import Scene
from harness.server import Setup, TokenServer, serving
from harness.waiting import until
from harness.workload_issuer import WorkloadIssuer, own_issuer

SERVICE = "registry3.test"

POLICIES = {
    "root.yaml": """\
version: 1
workloads:
  web: {from: github, claims: {repository_id: "74"}}
allow:
  - {id: keeper, to: ["user:keeper"], repositories: ["**"], role: maintainer}
  - {id: ann, to: ["user:ann"], repositories: ["web/**"], role: writer}
  - {id: job, to: ["workload:web"], repositories: ["web/**"], role: writer}
"""
}

KINDS: tuple[type[Client], ...] = (Skopeo, Podman, Crane, Oras, Regctl, OrasPy)


issuer = own_issuer()


@pytest.fixture(scope="module")
def server(issuer: WorkloadIssuer, setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server that gives refresh tokens and trusts the issuer."""
    source = {"name": "github", "preset": "github_actions", "issuer": issuer.url}
    settings = {
        "storage": "state/tokenserver.db",
        "refresh_tokens": {},
        "authentication": [{"htpasswd": {"file": "users.htpasswd"}}, {"workload": source}],
        "anonymous": False,
    }
    made = replace(setup, policies=POLICIES, services={SERVICE: "universal"}, settings=settings)
    with serving(tmp_path_factory.mktemp("server"), made) as running:
        yield running


registry = registries.own_registry(SERVICE)


def logged_in(scene: Scene, **settings: object) -> tuple[HelperOnMachine, str]:
    """A machine on which `docker login` has left a refresh token with the helper."""
    client = scene.client(Docker)
    helper = HelperOnMachine(client.machine, scene.registry.host, **settings)
    output = client.login(scene.registry, *scene.credentials("ann"))
    assert output.ok, str(output)
    token = helper.stored()[scene.registry.host]["secret"]
    canaries.know(token)
    assert token.startswith("tknf_")
    return helper, token


def is_refused(server: TokenServer, token: str) -> bool:
    """Whether the next worker accepts the refresh token no longer."""
    body = f"grant_type=refresh_token&refresh_token={token}&service={SERVICE}".encode()
    return server.request("POST", "/token", headers=web.FORM, body=body).status == 401


@pytest.mark.real("docker")
def test_docker_login_and_logout(scene: Scene) -> None:
    """The refresh token is with the helper, bound to the realm, and nowhere else; a logout revokes it."""
    helper, token = logged_in(scene)
    stored = helper.stored()[scene.registry.host]
    assert (stored["realm"], stored["service"]) == (scene.server.realm, SERVICE)
    assert token not in helper.machine.docker_config.read_text()
    assert helper.get() == ("<token>", token)
    assert json.loads(helper.run("list").stdout) == {scene.registry.host: "<token>"}
    assert helper.machine.run("docker", "logout", scene.registry.host).ok
    assert helper.get() is None
    until(lambda: is_refused(scene.server, token), in_a_row=8)


@pytest.mark.real("docker")
@pytest.mark.parametrize("way", ["identity token", "password"])
@pytest.mark.parametrize("kind", [row(kind) for kind in KINDS])
def test_clients(kind: type[Client], way: str, scene: Scene) -> None:
    """What docker stored is enough for the others, which ask the helper."""
    helper, token = logged_in(scene, asPassword=way == "password")
    client = scene.client(kind)
    assert client.machine is helper.machine
    assert helper.get() == ("token" if way == "password" else "<token>", token)
    scene.watch.restart()
    output = client.pull(scene.registry, scene.stored("web"))
    assert output.ok, str(output)


@pytest.mark.real("docker", "podman")
@pytest.mark.parametrize("way", ["identity token", "password"])
def test_podman_login(way: str, scene: Scene) -> None:
    """It refuses while an identity token is there, and takes the same token as a password; its logout revokes it."""
    helper, token = logged_in(scene, asPassword=way == "password")
    podman = scene.client(Podman)
    output = podman.run("login", "--tls-verify=false", scene.registry.host)
    if way == "password":
        assert "Existing credentials are valid" in output.text, str(output)
    else:
        assert "auth file contains an Identity token" in output.text, str(output)
    assert helper.get() == ("token" if way == "password" else "<token>", token)
    assert podman.run("logout", scene.registry.host).ok
    assert helper.stored() == {}


@pytest.mark.real("docker", "dockerd")
def test_the_engine(scene: Scene) -> None:
    """docker pull and push, with nothing but the helper on the machine where docker runs."""
    client = scene.client(Dockerd)
    helper = HelperOnMachine(client.machine, scene.registry.host)
    assert client.login(scene.registry, *scene.credentials("ann")).ok
    canaries.know(helper.stored()[scene.registry.host]["secret"])
    for output in (
        client.pull(scene.registry, scene.stored("web")),
        client.push(scene.registry, scene.image, scene.new_name("web")),
    ):
        assert output.ok, str(output)
    assert client.machine.user(scene.registry.host) is None


@pytest.mark.real("docker")
def test_a_revoked_login(scene: Scene) -> None:
    """It is noticed within an hour, and forgotten; the line says how to log in again."""
    helper, token = logged_in(scene)
    scene.server.run("logins", "revoke", token[5:17], "--config", scene.server.config)
    until(lambda: is_refused(scene.server, token), in_a_row=8)
    assert helper.get() == ("<token>", token)
    helper.age(3600)
    output = helper.run("get", stdin=scene.registry.host)
    assert output.code == 1
    assert "no longer accepts the login" in output.stderr
    assert f"docker-credential-tokenserver login {scene.registry.host}" in output.stderr
    assert helper.stored()[scene.registry.host]["secret"] == ""


@pytest.mark.real("workload-issuer", "skopeo")
@pytest.mark.parametrize("system", ["gitlab", "kubernetes"])
def test_jobs_and_pods(system: str, scene: Scene, issuer: WorkloadIssuer) -> None:
    """A job or a pod pushes and pulls without a login and without anything stored."""
    client = scene.client(Skopeo)
    helper = HelperOnMachine(client.machine, scene.registry.host, registries=[scene.registry.host])
    token = issuer.jwt(scene.server.url, repository_id="74")
    if system == "gitlab":
        client.machine.environment["TOKENSERVER_ID_TOKEN"] = token
    else:
        (client.machine.folder / "projected").write_text(token)
        client.machine.environment["TOKENSERVER_ID_TOKEN_FILE"] = str(client.machine.folder / "projected")
    assert helper.get() == ("workload", token)
    output = client.push(scene.registry, scene.image, scene.new_name("web"))
    assert output.ok, str(output)
    assert client.pull(scene.registry, scene.stored("web")).ok
    assert not (helper.folder / "credentials.json").exists()


@pytest.mark.real("workload-issuer", "crane")
def test_a_job_of_github(scene: Scene, issuer: WorkloadIssuer) -> None:
    """The endpoint of GitHub is asked at each call, for the token server as the audience."""
    asked: list[tuple[str, str | None]] = []

    def reply(path: str, headers: Message) -> Reply:
        asked.append((path, headers.get("authorization")))
        token = issuer.jwt(scene.server.url, repository_id="74")
        return Reply(200, (), json.dumps({"value": token}).encode())

    client = scene.client(Crane)
    HelperOnMachine(client.machine, scene.registry.host, registries=[scene.registry.host])
    with answering(reply) as port:
        client.machine.environment["ACTIONS_ID_TOKEN_REQUEST_URL"] = f"http://localhost:{port}/token?api-version=2.0"
        client.machine.environment["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = "of-the-runner"
        output = client.push(scene.registry, scene.image, scene.new_name("web"))
    assert output.ok, str(output)
    audience = quote(scene.server.url, safe="")
    assert set(asked) == {(f"/token?api-version=2.0&audience={audience}", "bearer of-the-runner")}


def test_a_registry_that_turns_hostile(machine: Machine) -> None:
    """From one moment to the next it names another token server: that one never hears of the refresh token."""
    token = f"tknf_{'a' * 61}"
    canaries.know(token)
    with faulty_token_server() as evil, faulty_token_server() as registry:
        ours = registry.challenge
        helper = HelperOnMachine(machine, registry.host)
        members = {"ServerURL": helper.host, "Username": "<token>", "Secret": token}
        assert helper.run("store", stdin=json.dumps(members)).ok
        registry.challenge = evil.challenge
        helper.age(3600)
        for command in (helper.run("get", stdin=helper.host), helper.run("get", stdin=helper.host)):
            assert command.code == 1
            assert f"now names another token server ({evil.url}/token" in command.stderr
        registry.challenge = 'Bearer realm="http://localhost:1/\x1b]0;title\x07"'
        output = helper.run("get", stdin=helper.host)
        assert output.code == 1
        assert "\x1b" not in output.text
        registry.challenge = ours
        assert helper.get() == ("<token>", token)
        assert helper.run("erase", stdin=helper.host).ok
        assert [path for method, path, form in registry.heard if form] == ["/token", "/revoke"]
    assert evil.heard == []


def test_a_login_with_faults(machine: Machine) -> None:
    """A token server that stumbles, and shows control characters, is waited for at its pace."""
    token = f"tknf_{'b' * 61}"
    canaries.know(token)
    with faulty_token_server() as site:
        site.offer["user_code"] = "AB\x1b[2J\nC"
        pending = (400, {"error": "authorization_pending"})
        site.polls = [(503, {}), pending, (200, {"refresh_token": token, "refresh_token_expires_in": 60})]
        helper = HelperOnMachine(machine, site.host)
        client = helper.at_a_terminal("get", stdin=site.host)
        assert client.wait_for(r"confirm the code (.*) there") == "AB\\x1b[2J\\nC"
        code, output = client.end()
        assert (code, json.loads(output)["Secret"]) == (0, token)
        assert "\x1b" not in client.shown
        forms = [form for _, path, form in site.heard if path == "/token"]
        assert forms == [forms[0]] * 3
        assert forms[0]["client_id"] == ["tokenserver-helper"]
        assert helper.get() == ("<token>", token)


def test_pulls_that_start_together(machine: Machine) -> None:
    """One of them asks the person; the others take its login."""
    token = f"tknf_{'c' * 61}"
    canaries.know(token)
    with faulty_token_server() as site:
        site.polls = [(400, {"error": "authorization_pending"}), (200, {"refresh_token": token})]
        helper = HelperOnMachine(machine, site.host)
        clients = [helper.at_a_terminal("get", stdin=site.host) for _ in range(4)]
        answers = [client.end() for client in clients]
        assert [(code, json.loads(output)["Secret"]) for code, output in answers] == [(0, token)] * 4
        assert [path for _, path, _ in site.heard].count("/device/code") == 1


@pytest.mark.real("workload-issuer")
def test_a_jwt_for_somebody_else(scene: Scene, issuer: WorkloadIssuer) -> None:
    """It is not handed to a client, which would send it."""
    helper = HelperOnMachine(scene.client(Skopeo).machine, scene.registry.host, registries=[scene.registry.host])
    token = issuer.jwt("https://other.example.com", repository_id="74")
    output = helper.run("get", stdin=scene.registry.host, environment={"TOKENSERVER_ID_TOKEN": token})
    assert output.code == 1
    assert f"fix: ask for one for {scene.server.url}" in output.stderr


@pytest.mark.real("docker")
def test_many_at_the_same_time(scene: Scene) -> None:
    """Every process of a build that asks at the same time is answered, also while the login is being looked at."""
    helper, token = logged_in(scene)
    helper.age(3600)
    found = helper.machine.run(
        "sh", "-c", f"for i in 1 2 3 4 5 6 7 8; do echo {scene.registry.host} | {helper.file} get & done; wait"
    )
    assert [json.loads(line)["Secret"] for line in found.stdout.splitlines()] == [token] * 8
