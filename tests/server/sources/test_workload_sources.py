"""Workload sources of a server: from settings and files to verified, declared workloads."""

from __future__ import annotations

import base64
import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import canaries
import pytest
from fake_issuer import FakeIssuer, fake_issuer
from flask.testing import FlaskClient
from tests_web_server import Lines
from workload_jwts import jwk, jwt, key_set, private_key

from tokenserver.config.load import load_settings
from tokenserver.config.sources.workload import WorkloadSettings
from tokenserver.errors import InvalidCredentials, LoadError
from tokenserver.identity import Identity, Kind
from tokenserver.policy.machines.claim_globs import parse_claim_glob
from tokenserver.policy.machines.workloads import Workload, Workloads
from tokenserver.server.compose import build
from tokenserver.server.running import RunningServer
from tokenserver.server.sources.workload_sources import (
    DeclaredWorkloads,
    files_of_workloads,
    issuer_keys,
    workload_source,
)
from tokenserver.web.application import application

POLICY = """\
version: 1
workloads:
  release: {from: github, claims: {repository_id: "74", environment: production}}
  branches: {from: github, claims: {repository_id: "74", ref: refs/heads/**}}
  other: {from: elsewhere, claims: {repository_id: "74"}}
allow:
  - {id: release, to: ["workload:release"], repositories: ["web/**"], role: writer}
  - {id: branches, to: ["workload:branches"], repositories: ["web/dev/**"], role: writer}
  - {id: elsewhere, to: ["workload:other"], repositories: ["**"], role: maintainer}
  - {id: people, to: [authenticated], repositories: ["people/**"], role: reader}
"""

CONFIG = """\
issuer: auth.example.com
server: {{url: http://localhost:5001}}
registries: [{{service: reg}}]
authentication:
  - htpasswd: {{file: {folder}/users.htpasswd}}
  - workload: {{name: github, preset: github_actions, issuer: "{issuer}", keys: {{file: {keys}}}}}
  - workload: {{name: elsewhere, preset: github_actions, issuer: "https://b.example.com", keys: {{file: {keys}}}}}
policies: {policies}
keys: {folder}/keys
"""

AUDIENCE = "http://localhost:5001"


@dataclasses.dataclass
class Web:
    """A server with one workload source, to be asked."""

    parts: RunningServer
    client: FlaskClient
    audit: Lines
    policies: Path

    def ask(self, password: str, scope: str = "repository:web/site:pull,push", user: str = "github") -> Any:
        """The answer to a request for a token with these credentials."""
        canaries.know(password)
        typed = base64.b64encode(f"{user}:{password}".encode()).decode()
        return self.client.get(
            "/token", query_string={"service": "reg", "scope": scope}, headers={"Authorization": f"Basic {typed}"}
        )

    @property
    def event(self) -> Mapping[str, Any]:
        """The latest audit event."""
        return self.audit.events[-1]


ISSUER = "https://token.actions.example.com"


def claims(**more: Any) -> dict[str, Any]:
    """What the issuer says of a job that runs now."""
    now = int(time.time())
    usual = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "repo:o/web",
        "iat": now - 5,
        "exp": now + 295,
        "repository_id": "74",
    }
    return usual | more


@pytest.fixture
def web(server_folder: Path, tmp_path: Path) -> Web:
    """A server whose issuer's keys are in a file."""
    keys = tmp_path / "jwks.json"
    keys.write_bytes(key_set(jwk(private_key("RS256"), "k", alg="RS256", use="sig")))
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "policy.yaml").write_text(POLICY)
    config = tmp_path / "tokenserver.yaml"
    config.write_text(CONFIG.format(folder=server_folder, issuer=ISSUER, keys=keys, policies=policies))
    audit = Lines()
    parts = build(load_settings(config, {}), sink=audit)
    return Web(parts, application(parts).test_client(), audit, policies)


def signed(**more: Any) -> str:
    """A JWT of such a job."""
    return jwt(claims(**more), algorithm="RS256")


@pytest.mark.parametrize(
    ("more", "scope", "granted"),
    [
        pytest.param({"environment": "production"}, "repository:web/site:pull,push", True, id="a release"),
        pytest.param({"ref": "refs/heads/feature/x"}, "repository:web/dev/site:push", True, id="a branch"),
        pytest.param({"ref": "refs/heads/feature/x"}, "repository:web/site:push", False, id="a branch elsewhere"),
        pytest.param({"environment": "production"}, "repository:people/x:pull", False, id="no person"),
        pytest.param({"environment": "production"}, "repository:infra/x:pull", False, id="of another source"),
    ],
)
def test_workloads_get_what_policies_grant(web: Web, more: dict[str, Any], scope: str, granted: bool) -> None:
    """By their claims, and by the source that they come from."""
    answer = web.ask(signed(**more), scope)
    assert answer.status_code == 200
    assert bool(web.event["granted"]) is granted
    assert (web.event["subject"], web.event["kind"]) == ("workload:github:repo:o/web", "workload")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        pytest.param({"repository_id": "75"}, "no declared workload", id="nobody declares it"),
        pytest.param({}, "no declared workload", id="one claim of two"),
        pytest.param({"aud": "https://elsewhere.example.com"}, "another audience", id="for somebody else"),
        pytest.param({"aud": [AUDIENCE, "https://b.example.com"]}, "other audiences", id="for others, too"),
        pytest.param({"iss": "https://evil.example.com"}, "no issuer", id="of an unknown issuer"),
        pytest.param({"exp": int(time.time()) - 3600}, "expired", id="expired"),
    ],
)
def test_others_are_refused(web: Web, more: dict[str, Any], reason: str) -> None:
    """With the reason in the audit event, and nowhere else."""
    ref = {} if more == {} else {"environment": "production"}
    answer = web.ask(signed(**{**ref, **more}))
    assert answer.status_code == 401
    assert reason in web.event["reason"]
    assert reason not in answer.get_data(as_text=True)


def test_a_jwt_is_verified_once_a_minute(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build asks for many tokens with one JWT, which are answered from the login cache."""
    token = signed(environment="production")
    assert web.ask(token).status_code == 200
    sources = web.parts.live.snapshot().workload_sources

    def fail(*_: object) -> None:
        raise AssertionError("verified again")

    monkeypatch.setattr(type(sources[0]), "identify", fail)
    assert web.ask(token, "repository:web/other:pull").status_code == 200
    assert web.ask(token, user="somebody").status_code == 200


def test_a_workload_that_is_removed_is_refused_immediately(web: Web) -> None:
    """Although its JWT was verified a moment ago."""
    token = signed(environment="production")
    assert web.ask(token).status_code == 200
    (web.policies / "policy.yaml").write_text(POLICY.replace("environment: production", "environment: staging"))
    while not web.parts.live.look():
        time.sleep(0.05)
    assert web.ask(token).status_code == 401
    assert "no declared workload" in web.event["reason"]


def test_rubbish_locks_out_nobody_else(web: Web) -> None:
    """Many wrong JWTs from one address do not keep a right one of that address from being verified."""
    wrong = [signed(environment="production", aud=f"https://{number}.example.com") for number in range(12)]
    assert {web.ask(token).status_code for token in wrong} == {401, 429}
    assert web.ask(signed(environment="production")).status_code == 200


def test_text_that_is_no_jwt_is_a_password(web: Web) -> None:
    """It goes to the user sources, also if it begins like a JWT."""
    assert web.ask("eyJ.no.jwt", user="ann").status_code == 401
    assert web.event["reason"] == "wrong password"


def settings(**more: Any) -> WorkloadSettings:
    """The settings of a source."""
    return WorkloadSettings.model_validate({"name": "ci", "preset": "none", "issuer": "http://localhost:1", **more})


def test_keys_come_from_the_issuer() -> None:
    """By discovery, or from a URL; nothing is fetched before it is needed."""
    with fake_issuer() as issuer:
        for keys in (None, {"url": f"{issuer.url}/keys"}):
            serve(issuer)
            source = workload_source(settings(issuer=issuer.url, audience="a", keys=keys), "http://localhost")
            assert issuer.paths == []
            (followed,) = issuer_keys([source])
            followed.tick()
            assert followed.key("k", "ES256") is not None
            issuer.paths.clear()


def serve(issuer: FakeIssuer) -> None:
    """Answer as an issuer with one key."""
    issuer.serve(key_set(jwk(private_key("ES256"), "k")))


def test_files_are_checked_at_the_start(tmp_path: Path) -> None:
    """A key set that cannot be used, and certificates that cannot be read."""
    wrong = tmp_path / "jwks.json"
    wrong.write_text("{}")
    source = settings(keys={"file": wrong})
    assert files_of_workloads(source) == (wrong,)
    assert files_of_workloads(settings(ca_file=tmp_path / "ca.pem")) == (tmp_path / "ca.pem",)
    with pytest.raises(LoadError) as caught:
        workload_source(source, "http://localhost")
    assert str(caught.value).count("jwks.json") == 1
    wrong.unlink()
    with pytest.raises(LoadError) as caught:
        workload_source(source, "http://localhost")
    assert str(caught.value) == f"{wrong}: cannot be read: No such file or directory"
    with pytest.raises(LoadError, match=r"ca\.pem"):
        workload_source(settings(ca_file=tmp_path / "ca.pem"), "http://localhost")
    assert files_of_workloads(settings()) == ()


def test_only_declared_workloads() -> None:
    """What `when: {claims: …}` stands for is no declaration."""
    workloads = DeclaredWorkloads((), Workloads.of_all([Workload("\nx is y", "", (("x", (parse_claim_glob("y"),)),))]))
    with pytest.raises(InvalidCredentials) as caught:
        workloads.require_declared(Identity("workload:ci:1", Kind.WORKLOAD, "ci", claims=frozenset({("x", "y")})))
    assert caught.value.reason == "workload:ci:1 is no declared workload"
