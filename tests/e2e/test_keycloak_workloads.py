"""Service accounts of a real Keycloak as workloads: by access tokens, whose audience a realm has to be told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from harness import registries, web
from harness.clients import Crane
from harness.images import Image
from harness.keycloak import Keycloak, keycloak
from harness.machine import Machine
from harness.registries import Registry
from harness.server import Setup, TokenServer, serving

pytestmark = [pytest.mark.nightly, pytest.mark.real("keycloak")]

SERVICE = "registry3.test"
AUDIENCE = "tokenserver.test"


@dataclass(frozen=True)
class Realm:
    """A realm, with the `sub` of the clients `plain`, `mapped`, `builder` and `other`."""

    keycloak: Keycloak
    subjects: dict[str, str]

    def refusal(self, server: TokenServer, client: str) -> str:
        """Why the access token of this client is refused, as the audit event says."""
        since = server.audit.mark()
        answer = ask(server, self.keycloak.access_token(client))
        assert answer.status == 401, answer
        (event,) = server.audit.events(since)
        return str(event.fields["reason"])


def ask(server: TokenServer, token: str) -> web.Answer:
    """Ask for a token to push, with this one as the password."""
    target = web.token_target(SERVICE, ["repository:web/site:pull,push"])
    return server.request("GET", target, headers=web.basic("builder", token))


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    """A realm whose clients differ in their audience alone."""
    with keycloak(tmp_path_factory.mktemp("keycloak")) as running:
        subjects = {
            "plain": running.add_client("plain"),
            "mapped": running.add_client("mapped", audience=AUDIENCE),
            "builder": running.add_client("builder", audience=AUDIENCE, has_full_scope=False),
            "other": running.add_client("other", audience=AUDIENCE, has_full_scope=False),
        }
        yield Realm(running, subjects)


@pytest.fixture(scope="module")
def server(realm: Realm, setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server that trusts the realm, and lets three of the four clients push."""
    pinned = ", ".join(f'"{realm.subjects[name]}"' for name in ("plain", "mapped", "builder"))
    policies = f"""\
version: 1
workloads: {{builders: {{from: keycloak, claims: {{sub: [{pinned}]}}}}}}
allow:
  - {{id: keeper, to: ["user:keeper"], repositories: ["**"], role: maintainer}}
  - {{id: builders, to: ["workload:builders"], repositories: ["web/**"], role: writer}}
"""
    source = {"name": "keycloak", "preset": "none", "issuer": realm.keycloak.url, "audience": AUDIENCE}
    settings = {"authentication": [{"htpasswd": {"file": "users.htpasswd"}}, {"workload": source}]}
    made = replace(setup, policies={"root.yaml": policies}, services={SERVICE: "universal"}, settings=settings)
    with serving(tmp_path_factory.mktemp("server"), made) as running:
        yield running


registry = registries.own_registry(SERVICE)


def test_push(realm: Realm, registry: Registry, machine: Machine, image: Image) -> None:
    """A client with an audience mapper and without the full scope pushes what the policy gives it."""
    client = Crane(machine, lambda daemon, ready: daemon.start(ready))
    machine.sign_in(registry.host, "builder", realm.keycloak.access_token("builder"))
    pushed = client.push(registry, image, "web/site")
    assert pushed.ok, str(pushed)
    assert registry.holds("web/site")
    assert not client.push(registry, image, "infra/site").ok
    assert not registry.holds("infra/site")


def test_what_an_access_token_is_like(realm: Realm) -> None:
    """`typ` is that of a JWT in the header, and Keycloak's own in the claims; `aud` depends on mappers and roles."""
    tokens = {name: realm.keycloak.access_token(name) for name in realm.subjects}
    assert {web.header(token)["typ"] for token in tokens.values()} == {"JWT"}
    assert {web.claims(token)["typ"] for token in tokens.values()} == {"Bearer"}
    assert {name: web.claims(token)["sub"] for name, token in tokens.items()} == realm.subjects
    audiences = {name: web.claims(token)["aud"] for name, token in tokens.items()}
    assert audiences["plain"] == "account"
    assert set(audiences["mapped"]) == {"account", AUDIENCE}
    assert audiences["builder"] == audiences["other"] == AUDIENCE


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        pytest.param("plain", "is for another audience", id="without a mapper"),
        pytest.param("mapped", "is for other audiences as well", id="with the full scope"),
        pytest.param("other", "no declared workload", id="another account"),
    ],
)
def test_refused(client: str, reason: str, server: TokenServer, realm: Realm) -> None:
    """The client gets 401, and the audit event says why."""
    assert reason in realm.refusal(server, client)
