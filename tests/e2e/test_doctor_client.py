"""`tokenserver doctor client` on what real clients have stored, and the names under which they find a login."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import canaries
import pytest
import yaml
from harness import registries
from harness.clients import Buildah, Client, Crane, Docker, Oras, Podman, Skopeo
from harness.every_client import row
from harness.helm import Helm
from harness.machine import Machine
from harness.processes import Output
from harness.registries import Registry
from harness.scene import Scene
from harness.server import Setup, TokenServer, password, serving
from harness.stored_tokens import STALE
from harness.waiting import until

from tokenserver.doctor.client.stored_logins import ClientKind, parse_client_file

SERVICE = "registry3.test"


@dataclass(frozen=True)
class Site:
    """A registry with its server, and a configuration in which the registry has its address."""

    registry: Registry
    config: Path

    @property
    def server(self) -> TokenServer:
        """The server that the registry trusts."""
        return self.registry.server

    def doctor(self, machine: Machine, *arguments: str, **environment: str) -> dict[str, str]:
        """The fixes by check, as the doctor finds them on that machine."""
        words = ("doctor", "client", "--json", *arguments, "--config", str(self.config))
        output = machine.run(*self.server.command(*words), environment=environment)
        canaries.watch(output.text, "the output of doctor client")
        found = {one["check"]: one["mend"] for one in json.loads(output.stdout) if one["mend"] is not None}
        assert (output.stderr, output.ok) == ("", not found)
        return found


@pytest.fixture(scope="module")
def site(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server of its own, since a password changes there."""
    people = {name: password() for name in ("ann", "ben")}
    small = replace(setup, people=people, services={SERVICE: "universal"})
    with serving(tmp_path_factory.mktemp("server"), small) as server:
        folder = tmp_path_factory.mktemp("registry")
        with registries.registry(folder, server, SERVICE, "distribution3") as registry:
            settings = yaml.safe_load(server.config.read_text())
            settings["registries"][0]["url"] = f"http://{registry.host}"
            config = server.folder / "with-url.yaml"
            config.write_text(yaml.safe_dump(settings))
            yield Site(registry, config)


def log_in(client: Client, registry: Registry, user: str) -> Output:
    """By the client's own command; crane's stores without asking."""
    if isinstance(client, Crane):
        words = ("auth", "login", "--username", user, "--password-stdin", registry.host)
        return client.run(*words, stdin=registry.server.people[user])
    return client.login(registry, user, registry.server.people[user])


# regctl keeps what it is given in a file of its own.
LOGINS = [row(kind) for kind in (Docker, Skopeo, Podman, Buildah, Crane, Oras, Helm)]


@pytest.mark.parametrize("kind", LOGINS)
def test_logins_of_clients(kind: type[Client], site: Site, client_of: Callable[[type[Client]], Client]) -> None:
    """Each client's own file is well, also with a proxy that is not for this host, and the login is accepted."""
    client = client_of(kind)
    output = log_in(client, site.registry, "ann")
    assert output.ok, str(output)
    proxy = "http://127.0.0.1:1"
    assert site.doctor(client.machine, HTTP_PROXY=proxy, HTTPS_PROXY=proxy) == {}
    assert site.doctor(client.machine, "--login", "--registry", site.registry.host) == {}


@pytest.mark.parametrize("kind", [row(Docker), row(Skopeo)])
def test_a_stale_password(kind: type[Client], site: Site, client_of: Callable[[type[Client]], Client]) -> None:
    """After a change at the server; only `--login` sends anything, and one login is enough."""
    client, host = client_of(kind), site.registry.host
    output = log_in(client, site.registry, "ben")
    assert output.ok, str(output)
    new = password()
    canaries.know(new, user="ben")
    site.server.run("users", "set", "ben", "--weak", "--file", site.server.folder / "users.htpasswd", stdin=new)
    site.server.people["ben"] = new
    until(lambda: site.server.ask(SERVICE, person="ben").status == 200, in_a_row=20)
    before = site.server.audit.mark()
    assert site.doctor(client.machine) == {}
    assert site.server.audit.events(since=before, seconds=1.0) == []
    tool = "docker" if kind is Docker else "podman"
    expected = {"stored login": f"log in with the password of today: {tool} login {host}"}
    assert site.doctor(client.machine, "--login") == expected
    assert [event.outcome for event in site.server.audit.events(since=before)] == ["invalid_credentials"]


def test_a_stored_token(site: Site, machine: Machine) -> None:
    """Of an earlier server, in both files. It is not sent."""
    host = site.registry.host
    machine.keep_token(host, "ann", STALE)
    before = site.server.audit.mark()
    assert site.doctor(machine, "--login").keys() == {"identity token"}
    assert site.server.audit.events(since=before, seconds=1.0) == []


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param(None, "install docker-credential-test", id="missing"),
        pytest.param("exit 1", "to see what it says: printf %s localhost:", id="fails"),
        pytest.param("sleep 60", "run it yourself, it may wait for a password", id="hangs"),
    ],
)
@pytest.mark.real("docker")
def test_helpers(
    script: str | None, expected: str, site: Site, client_of: Callable[[type[Client]], Client], tmp_path: Path
) -> None:
    """A helper that docker has kept the login with, and that is broken afterwards."""
    client = client_of(Docker)
    helper, kept = tmp_path / "docker-credential-test", tmp_path / "kept"
    helper.write_text(f"#!/bin/sh\ncase $1 in store) cat > {kept};; get) cat > /dev/null; cat {kept};; esac\n")
    helper.chmod(0o755)
    path = f"{tmp_path}:{client.machine.environment['PATH']}"
    client.machine.environment["PATH"] = path
    client.machine.docker_config.write_text(json.dumps({"credsStore": "test"}))
    client.machine.docker_config.chmod(0o600)
    output = log_in(client, site.registry, "ann")
    assert output.ok, str(output)
    assert site.doctor(client.machine, "--login") == {}
    if script is None:
        helper.unlink()
    else:
        helper.write_text(f"#!/bin/sh\n{script}\n")
    found = site.doctor(client.machine)
    assert found.keys() == {"helper"}
    assert found["helper"].startswith(expected)


KEYS: dict[str, Callable[[str], str]] = {
    "itself": str,
    "https": "https://{}".format,
    "http URL": "http://{}/v2/".format,
    "slash": "{}/".format,
    "namespace": "{}/web".format,
    "capitals": str.upper,
    "another port": "{}0".format,
}


@pytest.mark.parametrize("registry", ["registry3.test"], indirect=True)
@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("kind", [row(Crane), row(Oras), row(Skopeo)])
def test_names_under_which_clients_look(kind: type[Client], name: str, scene: Scene) -> None:
    """A client uses a login under exactly the names that the doctor takes for right."""
    client, host = scene.client(kind), scene.registry.host
    user, secret = scene.credentials("ben")
    entry: dict[str, Any] = {"auth": base64.b64encode(f"{user}:{secret}".encode()).decode()}
    text = json.dumps({"auths": {KEYS[name](host): entry}})
    is_podman = kind is Skopeo
    (client.machine.auth_file if is_podman else client.machine.docker_config).write_text(text)
    client.pull(scene.registry, scene.stored("web"))
    users = {request.user for request in scene.watch.requests()}
    file = parse_client_file(text, "x", ClientKind.PODMAN if is_podman else ClientKind.DOCKER)
    assert ("ben" in users) == bool(file.logins_of(host))
