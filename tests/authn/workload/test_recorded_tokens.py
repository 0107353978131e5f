"""Tokens that a real API server of Kubernetes signed, at the moment of their recording, against declared workloads.

corpus/kubernetes/README.md says where they come from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tokenserver.authn.workload.backend import WorkloadSource
from tokenserver.authn.workload.issuer_keys import IssuerKeys
from tokenserver.authn.workload.jwt_reader import RefusedJwt, looks_like_jwt, read_jwt
from tokenserver.authn.workload.key_origins import FetchedKeys, KeyFile
from tokenserver.authn.workload.key_sets import read_key_set
from tokenserver.authn.workload.presets import PRESETS
from tokenserver.authn.workload.trusted_issuer import TrustedIssuer
from tokenserver.credentials import Secret
from tokenserver.documents.base64url import decode_base64url, encode_base64url
from tokenserver.policy.machines.claim_globs import parse_claim_glob
from tokenserver.policy.machines.workloads import Workload as DeclaredWorkload
from tokenserver.policy.machines.workloads import Workloads, membership

CORPUS: Mapping[str, Any] = json.loads(
    (Path(__file__).parents[2] / "corpus" / "kubernetes" / "tokens.json").read_text(encoding="utf-8")
)
TOKENS: Mapping[str, str] = CORPUS["tokens"]
RECORDED: int = CORPUS["recorded"]
AUDIENCE, OTHER = "https://auth.example.com", "https://vault.example.com"
DAY = 24 * 3600

DECLARED: Mapping[str, Mapping[str, list[str]]] = {
    "puller": {"namespace": ["web"], "serviceaccount": ["puller"]},
    "by path": {"kubernetes.io/namespace": ["web"], "kubernetes.io/serviceaccount/name": ["puller"]},
    "any puller": {"namespace": ["*"], "serviceaccount": ["puller"]},
    "pullers and builders": {"namespace": ["web", "ci"], "serviceaccount": ["puller", "builder"]},
    "by sub": {"namespace": ["web"], "serviceaccount": ["puller"], "sub": ["system:serviceaccount:web:*"]},
    "shell": {"namespace": ["web"], "serviceaccount": ["puller"], "pod": ["shell"]},
    "any pod": {"namespace": ["web"], "serviceaccount": ["puller"], "kubernetes.io/pod/name": ["*"]},
    "on the node": {"namespace": ["web"], "serviceaccount": ["puller"], "kubernetes.io/node/name": ["worker"]},
    "with the secret": {"namespace": ["web"], "serviceaccount": ["puller"], "kubernetes.io/secret/name": ["registry"]},
    "for both": {"namespace": ["web"], "serviceaccount": ["puller"], "aud": [OTHER]},
    "nobody": {"namespace": ["web"], "serviceaccount": ["builder"]},
}

PULLER = {"puller", "by path", "any puller", "pullers and builders", "by sub"}
ACCEPTED: Mapping[str, set[str]] = {
    "account": PULLER,
    "bound to a pod on a node": PULLER | {"shell", "any pod", "on the node"},
    "bound to a pod on no node": PULLER | {"any pod"},
    "bound to a secret": PULLER | {"with the secret"},
    "bound to a node": PULLER | {"on the node"},
    "for ten minutes": PULLER,
    "for a day": PULLER,
    "another namespace": {"any puller"},
    "another account": {"pullers and builders"},
    "an EC key": PULLER,
}
"""Token -> the declared workloads that it is."""

REFUSED: Mapping[str, str] = {
    "two audiences": "is for other audiences as well",
    "two audiences, the other one first": "is for other audiences as well",
    "another audience": "is for another audience",
    "for the API server": "is for another audience",
    "for a week": "has not 1 to 86400 s from iat to exp (max_age)",
}
"""Token -> why it is refused."""

WORKLOADS = Workloads.of_all(
    DeclaredWorkload(name, "", tuple((claim, tuple(map(parse_claim_glob, globs))) for claim, globs in claims.items()))
    for name, claims in DECLARED.items()
)


def source(
    *audiences: str, now: float = RECORDED, jwks: Mapping[str, Any] | None = None, max_age: int = DAY
) -> WorkloadSource:
    """What verifies the tokens, at this moment, by the recorded keys or by others."""
    content = json.dumps(jwks or CORPUS["jwks"]).encode()
    keys = IssuerKeys("cluster", lambda: FetchedKeys(read_key_set(content)))
    preset = PRESETS["kubernetes"]
    ours = frozenset(audiences or [AUDIENCE])
    trusted = TrustedIssuer(
        "cluster", CORPUS["issuer"], ours, preset, frozenset(preset.algorithms), leeway=30, max_age=max_age
    )
    return WorkloadSource(trusted, keys, now=lambda: now)


def workloads(text: str, verified_by: WorkloadSource) -> set[str]:
    """The declared workloads that a token is."""
    found = WORKLOADS.memberships("cluster", verified_by.authenticate(Secret(text)).claims)
    return {name for name in DECLARED if membership(name) in found}


def refusal(text: str, verified_by: WorkloadSource) -> str:
    """Why a token is refused."""
    with pytest.raises(RefusedJwt) as raised:
        verified_by.authenticate(Secret(text))
    return raised.value.reason


def part(text: str, number: int) -> dict[str, Any]:
    """The header (0) or the payload (1) of a token."""
    found: dict[str, Any] = json.loads(decode_base64url(text.split(".")[number]))
    return found


def test_every_token_has_its_row() -> None:
    """And no row is about a token that is not there."""
    assert TOKENS.keys() == {*ACCEPTED, *REFUSED}
    assert not ACCEPTED.keys() & REFUSED.keys()


@pytest.mark.parametrize("name", ACCEPTED)
def test_which_workloads_it_is(name: str) -> None:
    """Those whose claims it has, nested ones by their path or by the preset's short name."""
    assert workloads(TOKENS[name], source()) == ACCEPTED[name]


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """The signature is right, and the token is not for this server."""
    assert refusal(TOKENS[name], source()) == f"the JWT {REFUSED[name]}"


def test_what_other_settings_accept() -> None:
    """Both audiences if both are configured, whichever comes first; a week with that `max_age`."""
    for name in ("two audiences", "two audiences, the other one first"):
        assert workloads(TOKENS[name], source(AUDIENCE, OTHER)) == PULLER | {"for both"}
    assert workloads(TOKENS["another audience"], source(OTHER)) == PULLER | {"for both"}
    assert workloads(TOKENS["for the API server"], source(CORPUS["issuer"])) == PULLER
    assert workloads(TOKENS["for a week"], source(max_age=7 * DAY)) == PULLER


@pytest.mark.parametrize("name", TOKENS)
def test_what_every_token_is_like(name: str) -> None:
    """No `typ`, a list of audiences, claims below `kubernetes.io`, and recognised as a JWT of its issuer."""
    text = TOKENS[name]
    assert part(text, 0).keys() == {"alg", "kid"}
    assert part(text, 0)["alg"] == ("ES256" if name == "an EC key" else "RS256")
    claims = part(text, 1)
    assert isinstance(claims["aud"], list)
    assert claims["kubernetes.io"]["serviceaccount"].keys() == {"name", "uid"}
    assert looks_like_jwt(text) == CORPUS["issuer"]
    assert read_jwt(text).algorithm == part(text, 0)["alg"]


def test_the_moments() -> None:
    """A token is accepted from `iat` to `exp`, and for the leeway around them."""
    text = TOKENS["for ten minutes"]
    claims = part(text, 1)
    assert claims["exp"] - claims["iat"] == 600
    assert refusal(text, source(now=claims["iat"] - 31)) == "the JWT has an iat in the future"
    for moment in (claims["iat"] - 30, claims["exp"], claims["exp"] + 29):
        assert workloads(text, source(now=moment)) == PULLER
    assert refusal(text, source(now=claims["exp"] + 30)) == "the JWT has expired"


def test_changed_tokens() -> None:
    """Claims of another account, the signature of another token, and the `kid` of the other key."""
    header, payload, signature = TOKENS["account"].split(".")
    other_header, other_payload, other_signature = TOKENS["another account"].split(".")
    assert header == other_header
    for changed in (f"{header}.{other_payload}.{signature}", f"{header}.{payload}.{other_signature}"):
        assert refusal(changed, source()) == "the JWT has a wrong signature"
    renamed = part(TOKENS["account"], 0) | {"kid": part(TOKENS["an EC key"], 0)["kid"]}
    with_kid = f"{encode_base64url(json.dumps(renamed).encode())}.{payload}.{signature}"
    assert refusal(with_kid, source()) == "the JWT has a kid of a key that is not for its alg"


def test_the_old_key_alone() -> None:
    """A token by a key that is no longer, or not yet, in the set is refused."""
    kid = part(TOKENS["account"], 0)["kid"]
    old = {"keys": [key for key in CORPUS["jwks"]["keys"] if key["kid"] == kid]}
    assert len(old["keys"]) == 1
    assert workloads(TOKENS["account"], source(jwks=old)) == PULLER
    assert refusal(TOKENS["an EC key"], source(jwks=old)) == "the JWT has a kid that no key of its issuer has"


def test_the_key_set_as_a_file(tmp_path: Path) -> None:
    """`kubectl get --raw /openid/v1/jwks` has all keys of the cluster, each usable, and none of them private."""
    file = tmp_path / "cluster-jwks.json"
    file.write_text(json.dumps(CORPUS["jwks"]), encoding="utf-8")
    keys = KeyFile(file)().keys
    assert (len(keys.keys), keys.skipped) == (2, ())
    members = {member for key in CORPUS["jwks"]["keys"] for member in key}
    assert members <= {"use", "kty", "kid", "alg", "n", "e", "crv", "x", "y"}
