"""A docker command of today: logins without an engine, with TLS, by password, robot's secret and credential helper."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import canaries
import pytest
from harness import registries
from harness.authority import Authority
from harness.clients import Client, Docker
from harness.credential_helper import HelperOnMachine
from harness.go_clients import Docker28
from harness.images import Image
from harness.registries import KEEPER, Registry
from harness.scene import Scene
from harness.server import Setup, serving
from harness.watch import Watch

from tokenserver.access_keys import RANDOM_BYTES, compose_key, hash_line
from tokenserver.credentials import AccessKeyForm

pytestmark = [pytest.mark.nightly, pytest.mark.real("docker28")]

SERVICE = "registry3.test"
REVOKED_WITHIN = 2.0
KEY = compose_key(AccessKeyForm.ROBOT, secrets.token_bytes(RANDOM_BYTES))
POLICIES = {
    "root.yaml": f"""\
version: 1
robots:
  ci-web: {{secrets: [{{id: {KEY.id}, hash: "{hash_line(KEY)}", expires: 2030-01-01}}]}}
allow:
  - {{id: keeper, to: ["user:{KEEPER}"], repositories: ["**"], role: maintainer}}
  - {{id: web, to: ["user:ben", "robot:ci-web"], repositories: ["web/**"], role: writer}}
"""
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who has certified server and registry."""
    return Authority(tmp_path_factory.mktemp("authority"), "company")


@pytest.fixture(scope="module")
def registry(authority: Authority, setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Distribution 3.1 and a server that gives refresh tokens, both with TLS."""
    canaries.know(KEY.text.reveal())
    made = replace(
        setup,
        people={name: setup.people[name] for name in ("ben", KEEPER)},
        policies=POLICIES,
        services={SERVICE: "universal"},
        settings={"storage": "state/tokenserver.db", "refresh_tokens": {}},
        tls=authority,
    )
    folder = tmp_path_factory.mktemp("registry")
    with (
        serving(tmp_path_factory.mktemp("server"), made) as server,
        registries.registry(folder, server, SERVICE, "distribution3", tls=authority) as running,
    ):
        yield running


@pytest.fixture
def scene(
    registry: Registry,
    authority: Authority,
    image: Image,
    client_of: Callable[[type[Client]], Client],
    new_name: Callable[[str], str],
) -> Scene:
    """A machine that trusts the authority."""
    found = Scene(registry, Watch(registry.server), image, client_of, new_name)
    found.client(Docker28).machine.environment["SSL_CERT_FILE"] = str(authority.file)
    return found


def stored_token(scene: Scene) -> str | None:
    """What docker keeps instead of a password."""
    token = scene.client(Docker28).machine.stored()[scene.registry.host].get("identitytoken")
    if token is not None:
        canaries.know(token)
    return token


def test_a_password(scene: Scene) -> None:
    """docker keeps the refresh token in place of the password."""
    client, since = scene.client(Docker28), scene.server.audit.mark()
    output = client.login(scene.registry, *scene.credentials("ben"))
    assert output.ok, str(output)
    assert "Login Succeeded" in output.stdout
    token = stored_token(scene)
    assert token is not None
    assert token.startswith("tknf_")
    assert [event.outcome for event in scene.server.audit.events(since) if event.subject == "ben"] == ["login"]


def test_a_wrong_password(scene: Scene) -> None:
    """It shows the text of the server, and stores nothing."""
    client = scene.client(Docker28)
    output = client.login(scene.registry, "ben", "wrong")
    assert not output.ok
    assert "wrong user name or password" in output.text
    assert client.machine.stored() == {}


def test_a_robots_secret(scene: Scene) -> None:
    """It is kept itself: a robot is given no refresh token."""
    client, since = scene.client(Docker28), scene.server.audit.mark()
    output = client.login(scene.registry, "ci-web", KEY.text.reveal())
    assert output.ok, str(output)
    assert stored_token(scene) is None
    outcomes = [event.outcome for event in scene.server.audit.events(since) if event.subject == "robot:ci-web"]
    assert outcomes == ["login"]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_plain_http_on_loopback(
    registry_of: Callable[[str], Registry], client_of: Callable[[type[Client]], Client], name: str
) -> None:
    """Without an engine it takes no registry without TLS, while Debian's docker logs in there; it sends no password."""
    plain = registry_of("registry3.test")
    here = replace(plain, name=name)
    user, password = "ben", plain.server.people["ben"]
    watch = Watch(plain.server)
    refused = client_of(Docker28).login(here, user, password)
    assert not refused.ok
    assert "server gave HTTP response to HTTPS client" in refused.text
    assert watch.requests() == []
    taken = client_of(Docker).login(here, user, password)
    assert taken.ok, str(taken)
    assert len(watch.requests()) == 1


def test_the_credential_helper(scene: Scene) -> None:
    """A login leaves the refresh token with the helper and nowhere else; a logout revokes it."""
    client = scene.client(Docker28)
    helper = HelperOnMachine(client.machine, scene.registry.host)
    output = client.login(scene.registry, *scene.credentials("ben"))
    assert output.ok, str(output)
    stored = helper.stored()[scene.registry.host]
    token = stored["secret"]
    canaries.know(token)
    assert (stored["realm"], stored["service"]) == (scene.server.realm, SERVICE)
    assert token not in helper.machine.docker_config.read_text()
    assert helper.get() == ("<token>", token)
    assert client.run("logout", scene.registry.host).ok
    assert helper.get() is None
    time.sleep(REVOKED_WITHIN)
    form = f"grant_type=refresh_token&refresh_token={token}&service={SERVICE}".encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert scene.server.request("POST", "/token", headers=headers, body=form).status == 401
