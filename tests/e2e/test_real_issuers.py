"""Workloads of real issuers at a real registry: ID tokens of dex and of a GitLab, and JWT-SVIDs by a bundle in a file.

The GitLab is oauth2-mock-server, which signs whatever it is asked to, so it is the hostile issuer as well.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import canaries
import pytest
from harness import dex as dex_issuer
from harness import registries, web
from harness.clients import Client, Crane, Docker, Skopeo
from harness.dex import Dex, dex
from harness.scene import Scene
from harness.server import Setup, TokenServer, serving
from harness.workload_issuer import WorkloadIssuer, workload_issuer
from workload_jwts import jwk, jwt, private_key

pytestmark = [pytest.mark.real("dex"), pytest.mark.real("workload-issuer")]

SERVICE = "registry3.test"
AUDIENCE = "tokenserver.test"
TRUST_DOMAIN = "example.org"
SPIFFE_ISSUER = "https://spire.example.org"
BUILDER = "spiffe://example.org/ns/web/sa/builder"
MESH_BUILDER = "spiffe://mesh.example/ns/web/sa/builder"
CLIENTS = (AUDIENCE, "elsewhere")
JOB = "project_path:my-group/my-project:ref_type:tag:ref:v1.0"

POLICIES = f"""\
version: 1
workloads:
  web-builder: {{from: dex, claims: {{sub: {dex_issuer.subject("builder")}}}}}
  short-lived: {{from: short, claims: {{sub: {dex_issuer.subject("builder")}}}}}
  release: {{from: gitlab, claims: {{project_id: "20", ref_protected: "true"}}}}
  svid-builder: {{from: spiffe, claims: {{sub: {BUILDER}}}}}
  mesh-builder: {{from: mesh, claims: {{sub: {MESH_BUILDER}}}}}
  svid-readers: {{from: spiffe, claims: {{sub: "spiffe://example.org/ns/*/sa/reader"}}}}
allow:
  - {{id: keeper, to: ["user:keeper"], repositories: ["**"], role: maintainer}}
  - id: builders
    to:
      - "workload:web-builder"
      - "workload:short-lived"
      - "workload:release"
      - "workload:svid-builder"
      - "workload:mesh-builder"
    repositories: ["web/**"]
    role: writer
  - {{id: readers, to: ["workload:svid-readers"], repositories: ["web/**"], role: reader}}
"""


def spiffe_bundle(number: int = 0) -> bytes:
    """A SPIFFE bundle: a key for JWT-SVIDs, and one for X.509-SVIDs, which verifies no JWT (SPIFFE Trust Domain, 4)."""
    keys = [
        jwk(private_key("ES256", 1), "authority", use="x509-svid"),
        jwk(private_key("ES256", number), "jwt-authority", use="jwt-svid"),
    ]
    return json.dumps({"keys": keys, "spiffe_sequence": 7, "spiffe_refresh_hint": 300}).encode()


def svid(subject: str = BUILDER, *, number: int = 0, key_id: str = "jwt-authority", **claims: Any) -> str:
    """A JWT-SVID for this server."""
    now = int(time.time())
    said = {"iss": SPIFFE_ISSUER, "sub": subject, "aud": [AUDIENCE], "iat": now, "exp": now + 300, **claims}
    token = jwt(said, key=private_key("ES256", number), key_id=key_id)
    canaries.know(token)
    return token


def mesh_svid(subject: str = MESH_BUILDER, *, number: int = 3, **claims: Any) -> str:
    """A JWT-SVID of a trust domain whose JWT-SVIDs have no issuer."""
    now = int(time.time())
    said = {"sub": subject, "aud": [AUDIENCE], "iat": now, "exp": now + 300, **claims}
    token = jwt(said, key=private_key("ES256", number), key_id="jwt-authority")
    canaries.know(token)
    return token


@dataclass(frozen=True)
class Issuers:
    """The issuers: dex as people run it, one whose ID tokens are valid for four seconds, and a GitLab."""

    dex: Dex
    short: Dex
    gitlab: WorkloadIssuer

    def job(self, audience: str = AUDIENCE, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """The ID token of a job of GitLab, at a protected tag of project 20."""
        said = {"sub": JOB, "project_id": "20", "ref_type": "tag", "ref": "v1.0", "ref_protected": "true", **claims}
        return self.gitlab.jwt(audience, header=header, **said)


@pytest.fixture(scope="module")
def issuers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuers]:
    """All three, running."""
    folders = [tmp_path_factory.mktemp(name) for name in ("dex", "short", "gitlab")]
    with (
        dex(folders[0], CLIENTS) as lasting,
        dex(folders[1], CLIENTS, tokens="4s") as short,
        workload_issuer(folders[2]) as gitlab,
    ):
        yield Issuers(lasting, short, gitlab)


@pytest.fixture(scope="module")
def server(issuers: Issuers, setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server that trusts them, and two trust domains of SPIFFE by their bundles, one of them without an issuer."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "bundle.json").write_bytes(spiffe_bundle())
    (folder / "mesh.json").write_bytes(spiffe_bundle(3))
    common = {"preset": "none", "audience": AUDIENCE}
    gitlab = {"preset": "gitlab_ci", "issuer": issuers.gitlab.url, "audience": AUDIENCE}
    spiffe = {"preset": "spiffe", "issuer": SPIFFE_ISSUER, "trust_domain": TRUST_DOMAIN, "audience": AUDIENCE}
    mesh = {"preset": "spiffe", "trust_domain": "mesh.example", "audience": AUDIENCE}
    sources = [
        {"workload": {"name": "dex", "issuer": issuers.dex.url, **common}},
        {"workload": {"name": "short", "issuer": issuers.short.url, "leeway": "0s", **common}},
        {"workload": {"name": "gitlab", **gitlab}},
        {"workload": {"name": "spiffe", "keys": {"file": "bundle.json"}, **spiffe}},
        {"workload": {"name": "mesh", "keys": {"file": "mesh.json"}, **mesh}},
    ]
    settings = {"authentication": [{"htpasswd": {"file": "users.htpasswd"}}, *sources]}
    made = replace(setup, policies={"root.yaml": POLICIES}, services={SERVICE: "universal"}, settings=settings)
    with serving(folder, made) as running:
        yield running


registry = registries.own_registry(SERVICE)


BUILDERS: dict[str, tuple[Callable[[Issuers], str], str]] = {
    "dex": (lambda issuers: issuers.dex.id_token(AUDIENCE), f"workload:dex:{dex_issuer.subject('builder')}"),
    "gitlab": (lambda issuers: issuers.job(), f"workload:gitlab:{JOB}"),
    "spiffe": (lambda _: svid(), f"workload:spiffe:{BUILDER}"),
    "mesh": (lambda _: mesh_svid(), f"workload:mesh:{MESH_BUILDER}"),
}
"""How each issuer vouches for the builder, and who that is."""


@pytest.mark.real("docker")
@pytest.mark.parametrize("builder", BUILDERS)
def test_login(builder: str, scene: Scene, issuers: Issuers) -> None:
    """`docker login --password-stdin` with the token of the issuer."""
    token, subject = BUILDERS[builder][0](issuers), BUILDERS[builder][1]
    since = scene.server.audit.mark()
    output = scene.client(Docker).login(scene.registry, "builder", token)
    assert output.ok, str(output)
    events = scene.server.audit.events(since, until=lambda found: any(one.subject == subject for one in found))
    assert [event.outcome for event in events if event.subject] == ["login"]


@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize("kind", [Crane, Skopeo], ids=lambda kind: kind.name)
def test_push(kind: type[Client], builder: str, scene: Scene, issuers: Issuers) -> None:
    """A client pushes what the policy gives the workload, and nothing else."""
    client = scene.client(kind)
    client.machine.sign_in(scene.registry.host, "builder", BUILDERS[builder][0](issuers))
    repository, elsewhere = scene.new_name("web"), scene.new_name("infra")
    output = client.push(scene.registry, scene.image, repository)
    assert output.ok, str(output)
    assert scene.registry.holds(repository)
    assert not client.push(scene.registry, scene.image, elsewhere).ok
    assert not scene.registry.holds(elsewhere)


def test_a_glob_over_spiffe_ids(scene: Scene) -> None:
    """A workload that another declaration matches pulls, and pushes nothing."""
    repository = scene.stored("web")
    client = scene.client(Crane)
    client.machine.sign_in(scene.registry.host, "reader", svid("spiffe://example.org/ns/shop/sa/reader"))
    pulled = client.pull(scene.registry, repository)
    assert pulled.ok, str(pulled)
    refused = client.push(scene.registry, scene.image, scene.new_name("web"))
    assert not refused.ok
    assert Crane.refusal in refused.text


REFUSED: dict[str, tuple[Callable[[Issuers], str], str]] = {
    "dex, for another client": (lambda issuers: issuers.dex.id_token("elsewhere"), "is for another audience"),
    "dex, for both": (lambda issuers: issuers.dex.id_token(AUDIENCE, "elsewhere"), "is for other audiences as well"),
    "dex, another user": (lambda issuers: issuers.dex.id_token(AUDIENCE, user="visitor"), "no declared workload"),
    "gitlab, a fork": (lambda issuers: issuers.job(project_id="99"), "no declared workload"),
    "gitlab, a branch": (lambda issuers: issuers.job(ref_protected="false"), "no declared workload"),
    "gitlab, without the claim": (lambda issuers: issuers.job(ref_protected=None), "no declared workload"),
    "gitlab, for somebody else": (lambda issuers: issuers.job("https://vault.example.com"), "is for another audience"),
    "in the name of dex": (lambda issuers: issuers.job(iss=issuers.dex.url), "has a kid that no key of its issuer has"),
    "an access token": (lambda issuers: issuers.job(header={"typ": "at+jwt"}), "is of another type"),
    "a key in the header": (
        lambda issuers: issuers.job(header={"kid": "k", "jwk": jwk(private_key("ES256", 2), "k")}),
        "has a kid that no key of its issuer has",
    ),
    "without an end": (lambda issuers: issuers.job(exp=None), "has no exp that is an integer"),
    "valid for a month": (lambda issuers: issuers.job(exp=int(time.time()) + 30 * 24 * 3600), "(max_age)"),
    "another trust domain": (
        lambda _: svid(BUILDER.replace("example.org", "example.com")),
        "has a sub that is no SPIFFE ID of the trust domain",
    ),
    "the trust domain itself": (lambda _: svid("spiffe://example.org"), "has a sub that is no SPIFFE ID"),
    "an SVID that is not declared": (lambda _: svid("spiffe://example.org/ns/web/sa/other"), "no declared workload"),
    "an SVID for somebody else": (lambda _: svid(aud=["spiffe://example.org/db"]), "is for another audience"),
    "an SVID whose iss is null": (lambda _: svid(iss=None), "has an iss that is no issuer of any workload source"),
    "without iss, of a trust domain with an issuer": (
        lambda _: mesh_svid(BUILDER, number=0),
        "has no iss, and a sub in a trust domain that no workload source without issuer has",
    ),
    "without iss, by the key of another trust domain": (lambda _: mesh_svid(number=0), "has a wrong signature"),
    "without iss, no SPIFFE ID": (lambda _: mesh_svid("builder"), "has no iss, and no sub in a trust domain"),
    "without iss, the trust domain itself": (
        lambda _: mesh_svid("spiffe://mesh.example"),
        "has a sub that is no SPIFFE ID of the trust domain",
    ),
    "with an iss, of a trust domain without one": (
        lambda _: mesh_svid(iss=SPIFFE_ISSUER),
        "has a wrong signature",
    ),
    "an expired SVID": (
        lambda _: svid(iat=int(time.time()) - 600, exp=int(time.time()) - 300),
        "has expired",
    ),
    "by the key of X.509-SVIDs": (
        lambda _: svid(number=1, key_id="authority"),
        "has a kid that no key of its issuer has",
    ),
    "by a foreign key": (lambda _: svid(number=2), "has a wrong signature"),
}


def ask(server: TokenServer, token: str) -> web.Answer:
    """Ask for a token to push, with this one as the password."""
    target = web.token_target(SERVICE, ["repository:web/site:pull,push"])
    return server.request("GET", target, headers=web.basic("builder", token))


def refusal(server: TokenServer, token: str) -> str:
    """Why the token is refused, as the audit event says."""
    since = server.audit.mark()
    answer = ask(server, token)
    assert answer.status == 401, answer
    (event,) = server.audit.events(since)
    assert event.outcome == "invalid_credentials"
    return str(event.fields["reason"])


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, server: TokenServer, issuers: Issuers) -> None:
    """The client gets 401, and the audit event says why."""
    made, reason = REFUSED[name]
    assert reason in refusal(server, made(issuers))


def test_expired(server: TokenServer, issuers: Issuers) -> None:
    """An ID token works until its `exp`, also if it was used a moment before."""
    token = issuers.short.id_token(AUDIENCE)
    assert ask(server, token).status == 200
    time.sleep(web.claims(token)["exp"] - time.time() + 0.1)
    assert "has expired" in refusal(server, token)


ROTATION_SECONDS = 90.0
"""dex looks every 30 seconds whether its key is due; a server asks for unknown keys 30 seconds after it last asked."""


def accepted_when(server: TokenServer, token: str) -> None:
    """Wait until this token is accepted."""
    deadline = time.monotonic() + ROTATION_SECONDS
    while (answer := ask(server, token)).status != 200:
        assert time.monotonic() < deadline, answer
        time.sleep(1)


@pytest.mark.nightly
def test_rotation_of_keys(setup: Setup, tmp_path: Path) -> None:
    """dex takes a new key: tokens of both work, the new ones as soon as the server may ask for keys again."""
    for name in ("dex", "server"):
        (tmp_path / name).mkdir()
    with dex(tmp_path / "dex", CLIENTS, keys="20s") as issuer:
        source = {"name": "dex", "preset": "none", "issuer": issuer.url, "audience": AUDIENCE}
        policies = f"""\
version: 1
workloads: {{web-builder: {{from: dex, claims: {{sub: {dex_issuer.subject("builder")}}}}}}}
allow: [{{id: builders, to: ["workload:web-builder"], repositories: ["web/**"], role: writer}}]
"""
        settings = {"authentication": [{"workload": source}]}
        made = replace(setup, policies={"root.yaml": policies}, services={SERVICE: "universal"}, settings=settings)
        with serving(tmp_path / "server", made) as server:
            before = issuer.id_token(AUDIENCE)
            accepted_when(server, before)
            deadline = time.monotonic() + ROTATION_SECONDS
            while web.header(after := issuer.id_token(AUDIENCE))["kid"] == web.header(before)["kid"]:
                assert time.monotonic() < deadline
                time.sleep(2)
            accepted_when(server, after)
            assert ask(server, before).status == 200
