"""Verdicts of each registry kind on our real tokens, with the keys that registries trust."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from doctor_worlds import ISSUER, NOW, SERVICE, ca_of, public_pem, ring_of, signing_pem
from rsa_keys import rsa_2048
from self_signed import of_version

from tokenserver.doctor.facts import RegistryKind
from tokenserver.doctor.registry.verifiers import (
    CUT,
    Trusted,
    expected_trust,
    refusal,
    signature_problem,
    trusted_files,
)
from tokenserver.doctor.token import UnverifiedToken, open_unverified
from tokenserver.identity import Identity
from tokenserver.identity import Kind as Who
from tokenserver.keys.jwk import jwk_set
from tokenserver.keys.ring import Algorithm, KeyRing
from tokenserver.tokens.claims import Compat, Registry
from tokenserver.tokens.issuer import TokenIssuer

COMPATS = ["universal", "distribution2", "distribution3", "jwks"]


def token(ring: KeyRing, compat: str) -> UnverifiedToken:
    issuer = TokenIssuer(ring, now=NOW.timestamp, new_id=lambda: "id")
    made = issuer.issue(Identity("ann", Who.PASSWORD), Registry(SERVICE, ISSUER, Compat(compat), 900), ())
    return open_unverified(made.text.reveal())


@pytest.mark.parametrize("algorithm", list(Algorithm))
@pytest.mark.parametrize(
    ("compat", "takers"),
    [
        pytest.param(
            "universal",
            {RegistryKind.DISTRIBUTION2, RegistryKind.DISTRIBUTION30, RegistryKind.DISTRIBUTION3},
            id="universal",
        ),
        pytest.param("distribution2", {RegistryKind.DISTRIBUTION2}, id="distribution2"),
        pytest.param("distribution3", {RegistryKind.DISTRIBUTION30, RegistryKind.DISTRIBUTION3}, id="distribution3"),
        pytest.param("jwks", {RegistryKind.DISTRIBUTION30, RegistryKind.DISTRIBUTION3}, id="jwks"),
    ],
)
def test_the_matrix_of_wire_behaviour(algorithm: Algorithm, compat: str, takers: set[RegistryKind]) -> None:
    """As measured with the real registries: 2.8 knows no EdDSA, and 3.0 only RSA keys by their thumbprint."""
    ring = ring_of(algorithm)
    opened, trusted = token(ring, compat), expected_trust(ring, compat)
    kinds = [RegistryKind.DISTRIBUTION2, RegistryKind.DISTRIBUTION30, RegistryKind.DISTRIBUTION3]
    expected = set(takers)
    if algorithm is Algorithm.EdDSA:
        expected -= {RegistryKind.DISTRIBUTION2}
    if compat == "distribution3" and algorithm is not Algorithm.RS256:
        expected -= {RegistryKind.DISTRIBUTION30}
    assert {kind for kind in kinds if refusal(opened, trusted, kind, NOW) is None} == expected


@pytest.mark.parametrize("compat", COMPATS)
def test_zot_takes_the_one_key(compat: str) -> None:
    """The header does not matter."""
    ring = ring_of()
    opened = token(ring, compat)
    assert refusal(opened, expected_trust(ring, "zot"), RegistryKind.ZOT, NOW) is None
    assert refusal(opened, Trusted(bare=(ring.active.public_key,)), RegistryKind.ZOT, NOW) is None
    assert refusal(opened, Trusted((ca_of(ring),)), RegistryKind.ZOT, NOW) is not None
    assert refusal(opened, Trusted(), RegistryKind.ZOT, NOW) == "it does not have exactly one key to verify with"


@pytest.mark.parametrize(
    ("bundle", "jwks", "reason"),
    [
        pytest.param(ring_of(number=7).ca_certificate_pem, None, "was not issued", id="another CA"),
        pytest.param("", jwk_set(ring_of()), "trusts no certificate", id="only a jwks"),
        pytest.param(public_pem(ring_of()).decode(), None, "trusts no certificate", id="a bare key"),
    ],
)
def test_chains_that_lead_nowhere(bundle: str, jwks: str | None, reason: str) -> None:
    """Only `x5c` counts, whatever other keys are trusted."""
    trusted = trusted_files(bundle.encode(), None if jwks is None else json.loads(jwks))
    assert reason in str(refusal(token(ring_of(), "universal"), trusted, RegistryKind.DISTRIBUTION3, NOW))


@pytest.mark.parametrize("at", [NOW - timedelta(days=1), NOW + timedelta(days=900)])
def test_chains_have_dates(at: datetime) -> None:
    """An expired certificate is rejected in a chain; by kid its dates are ignored."""
    ring = ring_of()
    problem = refusal(token(ring, "universal"), expected_trust(ring, "universal"), RegistryKind.DISTRIBUTION2, at)
    assert "is not valid now" in str(problem)
    assert (
        refusal(token(ring, "distribution2"), expected_trust(ring, "distribution2"), RegistryKind.DISTRIBUTION2, at)
        is None
    )


def test_a_leaf_in_the_bundle_needs_no_ca() -> None:
    """As both generations take it."""
    ring = ring_of()
    for kind in (RegistryKind.DISTRIBUTION2, RegistryKind.DISTRIBUTION3):
        assert refusal(token(ring, "universal"), trusted_files(signing_pem(ring), None), kind, NOW) is None


def test_a_chain_with_something_between() -> None:
    """The chain may include the CA, and a certificate that is not a CA issues nothing."""
    ring = ring_of()
    opened = token(ring, "universal")
    header = {**opened.header, "x5c": [*opened.header["x5c"], "AAAA"]}
    assert "cannot be read" in str(refusal(replace(opened, header=header), Trusted(), RegistryKind.DISTRIBUTION2, NOW))
    odd = base64.b64encode(of_version(ring.next[0].chain[0], 73)).decode("ascii")
    header = {**opened.header, "x5c": [odd]}
    assert "cannot be read" in str(refusal(replace(opened, header=header), Trusted(), RegistryKind.DISTRIBUTION2, NOW))
    leaf = x509.load_der_x509_certificate(ring.next[0].chain[0])
    assert "was not issued" in str(refusal(opened, Trusted((leaf,)), RegistryKind.DISTRIBUTION2, NOW))


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        pytest.param({"alg": "ES256"}, "does not name its key", id="no key"),
        pytest.param({"alg": "ES256", "kid": "x"}, "knows no key by the kid", id="unknown kid"),
        pytest.param({"alg": "none", "kid": ""}, "does not name its key", id="none"),
        pytest.param({"alg": "ES256", "x5c": []}, "cannot be read", id="empty chain"),
        pytest.param({"alg": "PS256", "kid": "x"}, "cannot verify PS256", id="an algorithm that 2.8 lacks"),
    ],
)
def test_headers_that_name_no_key(header: dict[str, Any], reason: str) -> None:
    """Each says what is missing."""
    opened = replace(token(ring_of(), "distribution2"), header=header)
    trusted = expected_trust(ring_of(), "distribution2")
    assert reason in str(refusal(opened, trusted, RegistryKind.DISTRIBUTION2, NOW))


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("ES256", ec.generate_private_key(ec.SECP256R1())),
        ("ES384", ec.generate_private_key(ec.SECP384R1())),
        ("ES512", ec.generate_private_key(ec.SECP521R1())),
        ("RS256", rsa_2048()),
        ("RS512", rsa_2048()),
        ("PS384", rsa_2048()),
        ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_signatures_of_every_algorithm(algorithm: str, key: Any) -> None:
    """Right, with a bit changed, and under another algorithm's name."""
    opened = open_unverified(jwt.encode({"sub": "x"}, key, algorithm))
    assert signature_problem(opened, key.public_key()) is None
    flipped = bytes([opened.signature[0] ^ 1]) + opened.signature[1:]
    assert "its signature is wrong" in str(signature_problem(replace(opened, signature=flipped), key.public_key()))
    for other in ("HS256", "none", "", "ES999"):
        changed = replace(opened, header={"alg": other})
        assert signature_problem(changed, key.public_key()) == "its algorithm does not match the key"


def test_a_signature_of_the_wrong_length() -> None:
    """Two numbers of the field's width, and nothing else."""
    key = ec.generate_private_key(ec.SECP256R1())
    opened = replace(open_unverified(jwt.encode({}, key, "ES256")), signature=b"x")
    assert signature_problem(opened, key.public_key()) == CUT


def test_files_that_cannot_be_read_trust_nothing() -> None:
    """Garbage, and a JWKS of strange keys."""
    assert trusted_files(b"garbage", None) == Trusted()
    assert trusted_files(b"", {"keys": [1, {"kty": "oct"}]}) == Trusted()
