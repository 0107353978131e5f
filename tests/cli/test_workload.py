"""`tokenserver workload test`: each step of a login with a JWT, and what to do about the one that fails."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import canaries
import pytest
from click.testing import CliRunner, Result
from workload_jwts import jwk, jwt, key_set, private_key

from tokenserver.cli import main

ISSUER = "https://token.actions.example.com"
AUDIENCE = "https://auth.example.com"

POLICY = """\
version: 1
workloads:
  release: {from: github, claims: {repository_id: "74", environment: production}}
  branches: {from: github, claims: {repository_id: "74", ref: refs/heads/**}}
  builder: {from: mesh, claims: {sub: spiffe://example.org/ns/web/sa/builder}}
allow:
  - {id: release, to: ["workload:release"], repositories: ["web/**"], role: writer}
  - {id: dev, to: ["workload:branches"], repositories: ["dev/**"], actions: [pull], when: {from: [10.0.0.0/8]}}
deny:
  - {id: frozen, to: [everyone], repositories: ["web/frozen/**"], actions: [push]}
"""

CONFIG = """\
issuer: auth.example.com
server: {url: "https://auth.example.com"}
registries: [{service: reg}, {service: second}]
authentication:
  - workload: {name: github, preset: github_actions, issuer: "ISSUER", keys: {file: jwks.json}}
  - workload: {name: gitlab, preset: gitlab_ci, issuer: "ISSUER", audience: other, keys: {file: jwks.json}}
  - workload: {name: mesh, preset: spiffe, trust_domain: example.org, keys: {file: jwks.json}}
policies: policies
keys: keys
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A configuration with two sources, whose keys are in a file."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "root.yaml").write_text(POLICY)
    (tmp_path / "jwks.json").write_bytes(key_set(jwk(private_key("RS256"), "k"), {"kty": "oct", "k": "x", "kid": "s"}))
    path = tmp_path / "tokenserver.yaml"
    path.write_text(CONFIG.replace("ISSUER", ISSUER))
    return path


def signed(**more: Any) -> str:
    """The JWT of a job that runs now."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "repo:o/web", "iat": now - 5, "exp": now + 295}
    token = jwt({**claims, "repository_id": "74", **more}, algorithm="RS256")
    canaries.know(token)
    return token


def svid(subject: str) -> str:
    """A JWT-SVID without an issuer."""
    now = int(time.time())
    token = jwt({"aud": AUDIENCE, "sub": subject, "iat": now - 5, "exp": now + 295}, algorithm="RS256")
    canaries.know(token)
    return token


def run(site: Path, text: str, *options: str) -> Result:
    """The command, with the JWT on standard input."""
    result = CliRunner().invoke(main, ["workload", "test", "--config", str(site), *options], input=text)
    assert text not in result.output
    return result


def test_a_workload_that_can_log_in(site: Path) -> None:
    """Every step, the claims, what else it nearly is, and what it may do."""
    result = run(site, signed(environment="production"))
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert result.exit_code == 0
    assert lines == [
        "form a JWT signed with RS256, kid k",
        f"issuer {ISSUER}: the source github (preset github_actions)",
        "keys 1 of the issuer",
        lines[3],
        next(line for line in lines if line.startswith("verified workload:github:repo:o/web, for ")),
        *lines[5:10],
        "workloads workload:release",
        "not workload:branches: ref is missing, not refs/heads/** (root.yaml:4)",
        "may at reg:",
        "pull web/** (release, root.yaml:7)",
        "push web/**, except in part (release, root.yaml:7)",
        "The workload can log in.",
    ]
    assert {"environment = production", "repository_id = 74"} <= set(lines)


def test_the_same_as_json(site: Path) -> None:
    """With the registry that is asked for; conditions that the command cannot know stay."""
    result = run(site, signed(ref="refs/heads/main"), "--json", "--service", "second")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["ok"], found["service"]) == (0, True, "second")
    assert [step["step"] for step in found["steps"]] == ["form", "issuer", "keys", "verified", "workloads"]
    assert found["can"] == ["pull dev/** from 10.0.0.0/8 (dev, root.yaml:8)"]


@pytest.mark.parametrize(
    ("token", "step", "told", "advice"),
    [
        pytest.param(lambda: "eyJ.x", "form", "has not three parts", "as it is", id="no JWT"),
        pytest.param(lambda: "tknr_x", "form", "has not three parts", "this is an access key", id="an access key"),
        pytest.param(lambda: signed(iss="https://x.example.com"), "issuer", "x.example.com", "github (", id="issuer"),
        pytest.param(lambda: signed(iss=None), "issuer", "has no iss", "configured: github", id="no issuer"),
        pytest.param(lambda: signed(aud="x"), "verified", "another audience", AUDIENCE, id="audience"),
        pytest.param(lambda: signed(aud=[AUDIENCE, "x"]), "verified", "other audiences", "alone", id="audiences"),
        pytest.param(lambda: signed(exp=int(time.time()) - 60), "verified", "expired", "a new JWT", id="expired"),
        pytest.param(lambda: signed(iat=int(time.time()) + 99), "verified", "future", "clocks", id="clock"),
        pytest.param(lambda: signed(iat=1), "verified", "max_age", "raise max_age of github", id="too long"),
        pytest.param(lambda: signed()[:-8] + "AAAAAAAA", "verified", "signature", "as a whole", id="signature"),
        pytest.param(lambda: signed(sub=""), "verified", "sub", "token inspect", id="no subject"),
        pytest.param(lambda: signed(aud="other"), "workloads", "is refused", "declare a workload", id="second source"),
        pytest.param(lambda: svid("web"), "issuer", "has no iss", "configured: github", id="nor a trust domain"),
        pytest.param(
            lambda: svid("spiffe://other.example/web"),
            "issuer",
            "no iss, and a sub of the trust domain spiffe://other.example",
            "preset: spiffe, this trust_domain, and no issuer; configured: github",
            id="another trust domain",
        ),
        pytest.param(
            lambda: svid("spiffe://example.org/web/"),
            "verified",
            "no SPIFFE ID",
            "compare sub with trust_domain of mesh, whose workloads are spiffe://example.org/…",
            id="no SPIFFE ID",
        ),
        pytest.param(signed, "workloads", "is refused", "declare a workload", id="not declared"),
    ],
)
def test_a_step_that_fails(site: Path, token: Any, step: str, told: str, advice: str) -> None:
    """It is the last one, and says what to do."""
    result = run(site, token(), "--json")
    last = json.loads(result.stdout)["steps"][-1]
    assert (result.exit_code, last["step"]) == (1, step)
    assert told in last["told"]
    assert advice in last["advice"]
    text = run(site, token())
    assert text.exit_code == 1
    assert "to do: " in text.output


def test_a_workload_of_a_trust_domain(site: Path) -> None:
    """Without an issuer, its subject says where it is from."""
    steps = json.loads(run(site, svid("spiffe://example.org/ns/web/sa/builder"), "--json").stdout)["steps"]
    told = {step["step"]: step["told"] for step in steps}
    found = "no iss, and a sub of the trust domain spiffe://example.org"
    assert told["issuer"] == f"{found}: the source mesh (preset spiffe)"
    assert told["workloads"] == "workload:builder"


def test_what_it_nearly_is(site: Path) -> None:
    """The claim by which each declared workload fails."""
    output = run(site, signed(environment="staging")).output
    assert "not workload:release: environment is staging, not production" in output
    assert "not workload:branches: ref is missing, not refs/heads/**" in output


def test_keys_that_cannot_be_fetched(site: Path) -> None:
    """The reason, and what the doctor says to do."""
    site.write_text(site.read_text().replace("keys: {file: jwks.json}", 'keys: {url: "http://127.0.0.1:9/keys"}', 1))
    result = run(site, signed())
    assert result.exit_code == 1
    assert "refused" in result.output
    assert f"start the issuer at 127.0.0.1:9, or correct keys.url of github in {site}" in result.output


def test_without_policies(site: Path) -> None:
    """The JWT is verified all the same."""
    (site.parent / "policies" / "root.yaml").write_text("version: 2\n")
    result = run(site, signed(environment="production"))
    assert result.exit_code == 0
    assert "the policies do not load" in result.stderr
    assert "nothing" in result.stdout


def test_no_source(site: Path) -> None:
    """What to configure; and a registry that is not configured."""
    assert "no registry with the service 'x'" in run(site, signed(), "--service", "x").output
    lines = [line for line in site.read_text().splitlines() if "workload:" not in line and "authentication" not in line]
    site.write_text("\n".join([*lines, "anonymous: true\n"]))
    result = run(site, signed())
    assert result.exit_code != 0
    assert "has no workload source; fix: add one" in result.output
