"""Machines without passwords at real registries: by the JWT of a real issuer, and by a robot's declared secret.

Every client logs in with both, pushes what the policy gives, and is refused the rest.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import canaries
import pytest
from harness import registries
from harness.clients import Client, Docker
from harness.every_client import CLIENTS, row
from harness.go_clients import CtrHosts
from harness.helm import HELMS
from harness.scene import Scene
from harness.server import Setup, TokenServer, serving
from harness.workload_issuer import WorkloadIssuer, own_issuer

from tokenserver.access_keys import RANDOM_BYTES, compose_key, hash_line
from tokenserver.credentials import AccessKeyForm

pytestmark = pytest.mark.real("workload-issuer")

SERVICE = "registry3.test"
KEY = compose_key(AccessKeyForm.ROBOT, secrets.token_bytes(RANDOM_BYTES))

POLICIES = {
    "root.yaml": f"""\
version: 1
robots:
  ci-web:
    description: builds of the web team
    secrets:
      - {{id: {KEY.id}, hash: "{hash_line(KEY)}", expires: 2030-01-01, note: the build server}}
workloads:
  web-release: {{from: github, claims: {{repository_id: "74", environment: production}}}}
  web-branches: {{from: github, claims: {{repository_id: "74", ref: refs/heads/**}}}}
allow:
  - {{id: keeper, to: ["user:keeper"], repositories: ["**"], role: maintainer}}
  - {{id: release, to: ["workload:web-release"], repositories: ["web/**"], role: writer}}
  - {{id: robot, to: ["robot:ci-web"], repositories: ["web/**"], role: writer}}
  - {{id: branches, to: ["workload:web-branches"], repositories: ["web/**"], role: reader}}
  - {{id: public, to: [everyone], repositories: ["public/**"], actions: [pull]}}
  - {{id: people, to: [authenticated], repositories: ["people/**"], role: writer}}
tests:
  - {{as: {{robot: ci-web}}, can: [push web/site], cannot: [push people/site]}}
"""
}


issuer = own_issuer()


@pytest.fixture(scope="module")
def server(issuer: WorkloadIssuer, setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server that trusts the issuer, and knows one robot."""
    canaries.know(KEY.text.reveal())
    source = {"name": "github", "preset": "github_actions", "issuer": issuer.url, "audience": "tokenserver.test"}
    settings = {"authentication": [{"htpasswd": {"file": "users.htpasswd"}}, {"workload": source}]}
    made = replace(setup, policies=POLICIES, services={SERVICE: "universal"}, settings=settings)
    with serving(tmp_path_factory.mktemp("server"), made) as running:
        yield running


registry = registries.own_registry(SERVICE)


def release(issuer: WorkloadIssuer) -> str:
    """The JWT of a job that releases."""
    return issuer.jwt("tokenserver.test", repository_id="74", environment="production")


CREDENTIALS = {
    "workload": ("github", release, "workload:github:repo:octo-org/web"),
    "robot": ("ci-web", lambda _: KEY.text.reveal(), "robot:ci-web"),
}

KINDS: tuple[type[Client], ...] = (*CLIENTS, CtrHosts, *HELMS)

EVERY_DAY = frozenset({"docker", "dockerd", "skopeo", "podman", "crane", "oras", "ctr", "ctr-hosts", "helm"})
"""The clients that most machines have; the night tries the others."""


def able(verb: str) -> pytest.MarkDecorator:
    """One row for each client that has the verb."""
    found = [one for one in KINDS if verb not in one.cannot]
    return pytest.mark.parametrize("kind", [row(one, nightly=one.name not in EVERY_DAY) for one in found])


def outcomes(server: TokenServer, since: int, subject: str) -> list[str]:
    """How the requests of this subject ended since the mark."""
    events = server.audit.events(since, until=lambda found: any(one.subject == subject for one in found))
    return [event.outcome for event in events if event.subject == subject]


@pytest.mark.parametrize("credential", list(CREDENTIALS))
@able("login")
def test_login(kind: type[Client], credential: str, scene: Scene, issuer: WorkloadIssuer) -> None:
    """`docker login --username github --password-stdin` with the JWT; the token is the workload's own."""
    user, secret, subject = CREDENTIALS[credential]
    since = scene.server.audit.mark()
    output = scene.client(kind).login(scene.registry, user, secret(issuer))
    assert output.ok, str(output)
    assert outcomes(scene.server, since, subject) == ["login"]


@pytest.mark.parametrize("credential", list(CREDENTIALS))
@able("push")
def test_push(kind: type[Client], credential: str, scene: Scene, issuer: WorkloadIssuer) -> None:
    """What the policy gives is pushed, and nothing else, with the credentials that the client has stored."""
    user, secret, subject = CREDENTIALS[credential]
    client, since = scene.client(kind), scene.server.audit.mark()
    client.machine.sign_in(scene.registry.host, user, secret(issuer))
    repository = scene.new_name("web")
    output = client.push(scene.registry, scene.image, repository)
    assert output.ok, str(output)
    assert scene.registry.holds(repository, client.tag)
    assert set(outcomes(scene.server, since, subject)) == {"granted"}
    elsewhere = scene.new_name("people")
    refused = client.push(scene.registry, scene.image, elsewhere)
    assert not refused.ok
    assert not scene.registry.holds(elsewhere, client.tag)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        pytest.param(
            {"repository_id": "75", "environment": "production"}, "no declared workload", id="another repository"
        ),
        pytest.param({"repository_id": "74"}, "no declared workload", id="without an environment"),
        pytest.param({"repository_id": "74", "aud": "elsewhere"}, "another audience", id="for somebody else"),
        pytest.param({"repository_id": "74", "exp": 1_700_000_000}, "expired", id="expired"),
    ],
)
@pytest.mark.real("docker")
def test_refused_logins(claims: dict[str, Any], reason: str, scene: Scene, issuer: WorkloadIssuer) -> None:
    """docker says that it is refused; only the audit event says why."""
    since = scene.server.audit.mark()
    output = scene.client(Docker).login(scene.registry, "github", issuer.jwt("tokenserver.test", **claims))
    assert not output.ok
    assert reason not in output.text
    events = scene.server.audit.events(since)
    (event,) = [event for event in events if event.outcome == "invalid_credentials"]
    assert reason in str(event.fields["reason"])


@pytest.mark.real("docker")
def test_a_mistyped_key(scene: Scene, issuer: WorkloadIssuer) -> None:
    """docker shows that the key was not copied as a whole."""
    output = scene.client(Docker).login(scene.registry, "ci-web", KEY.text.reveal()[:-1])
    assert not output.ok
    assert "incomplete or mistyped" in output.text
