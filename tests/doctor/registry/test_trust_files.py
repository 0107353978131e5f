"""Bundles and JWKS files, and what each generation calls a key."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from doctor_worlds import public_pem, ring_of, signing_pem
from hypothesis import given
from hypothesis import strategies as st
from rsa_keys import rsa_2048

from tokenserver.doctor.facts import RegistryKind
from tokenserver.doctor.registry.trust_files import (
    MAX_CERTIFICATES,
    UnusableKey,
    jwk_public_key,
    key_names,
    read_bundle,
    read_jwks,
    ring_certificates,
)
from tokenserver.keys.jwk import jwk_set
from tokenserver.keys.ring import Algorithm


def with_short_x(curve: ec.EllipticCurve) -> ec.EllipticCurvePublicKey:
    """A key whose X begins with a zero byte: found among the multiples of the generator."""
    for number in range(1, 20_000):
        key = ec.derive_private_key(number, curve).public_key()
        if key.public_numbers().x.bit_length() <= curve.key_size - 8:
            return key
    raise AssertionError("there is one in 256")


def test_our_own_keys_have_the_names_that_tokens_say() -> None:
    """libtrust's fingerprint and the thumbprint agree with what the ring computed."""
    for algorithm in Algorithm:
        ring = ring_of(algorithm)
        names = key_names(ring.active.public_key)
        assert names.rfc7638 == ring.active.thumbprint
        assert names.libtrust == ("" if algorithm is Algorithm.EdDSA else ring.active.libtrust_id)


def test_3_0_has_one_name_for_every_key_of_a_curve() -> None:
    """It hashes the generator, which is the public key of the private key 1."""
    first, second = (key_names(ring_of(number=number).active.public_key) for number in (0, 7))
    generator = ec.derive_private_key(1, ec.SECP256R1()).public_key()
    assert first.distribution30 == second.distribution30 == key_names(generator).rfc7638
    assert first.kid(RegistryKind.DISTRIBUTION30) == first.distribution30


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_3_1_drops_leading_zero_bytes(curve: ec.EllipticCurve) -> None:
    """Right for most keys, another name for one in 128."""
    names = key_names(with_short_x(curve))
    assert names.distribution31 != names.rfc7638
    usual = key_names(ring_of().active.public_key)
    assert usual.distribution31 == usual.rfc7638


def test_ed25519_and_rsa() -> None:
    """2.8 and 3.0 know no Ed25519; RSA was never wrong."""
    names = key_names(ed25519.Ed25519PrivateKey.generate().public_key())
    assert (
        names.kid(RegistryKind.DISTRIBUTION2),
        names.kid(RegistryKind.DISTRIBUTION30),
        names.kid(RegistryKind.ZOT),
    ) == ("", "", "")
    assert names.kid(RegistryKind.DISTRIBUTION3) == names.rfc7638
    names = key_names(rsa_2048().public_key())
    assert names.distribution30 == names.distribution31 == names.rfc7638


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP256K1()).public_key(), ed448.Ed448PrivateKey.generate().public_key(), None]
)
def test_keys_that_no_registry_takes(key: object) -> None:
    """Other curves, other kinds."""
    with pytest.raises(UnusableKey):
        key_names(key)


def test_a_bundle_is_read_as_registries_read_it() -> None:
    """Certificates in order; other blocks and text between them are passed over, and named."""
    ring = ring_of()
    private = ring.active.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    content = b"subject=x\n" + ring.ca_certificate_pem.encode() + private + b"# end\n" + signing_pem(ring)
    found = read_bundle(content, "b")
    assert found.problem is None
    assert [one.is_ca for one in found.certificates] == [True, False, False, False]
    assert found.others == ("PRIVATE KEY",)
    ca, signing = ring_certificates(ring)
    assert found.certificates == (ca, *signing)
    assert (ca.key, ca.subject) == ("EC P-256", "CN=auth.example.com 0 token CA")


def test_a_bare_public_key() -> None:
    """zot accepts a bare public key, Distribution ignores it."""
    found = read_bundle(public_pem(ring_of()), "b")
    assert (found.certificates, len(found.public_keys), found.others) == ((), 1, ("PUBLIC KEY",))


def block(label: str, content: bytes) -> bytes:
    return f"-----BEGIN {label}-----\n".encode() + base64.b64encode(content) + f"\n-----END {label}-----\n".encode()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"\0\xff binary", None, id="garbage"),
        pytest.param(block("CERTIFICATE", b"nonsense"), "holds a block CERTIFICATE (the 1.)", id="no certificate"),
        pytest.param(block("PUBLIC KEY", b"nonsense"), "holds a block PUBLIC KEY (the 1.)", id="no key"),
        pytest.param(block("X", b"") * (MAX_CERTIFICATES + 1), "holds more than", id="too many"),
    ],
)
def test_bundles_that_hold_nothing(content: bytes, problem: str | None) -> None:
    """Nothing is trusted; what cannot be read stops a registry at its start."""
    found = read_bundle(content, "b")
    assert found.certificates == ()
    assert (found.problem or "").startswith(problem or "")
    assert (found.problem is None) == (problem is None)


def test_our_jwks_is_read() -> None:
    """Each key under its kid, with the names that the certificate's key has."""
    for algorithm in Algorithm:
        ring = ring_of(algorithm)
        found = read_jwks(jwk_set(ring).encode(), "j")
        assert found.problem is None
        assert [entry.kid for entry in found.keys] == [key.thumbprint for key in ring.published()]
        assert [entry.names for entry in found.keys] == [key_names(key.public_key) for key in ring.published()]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        pytest.param({"kty": "EC"}, "is a single JWK", id="one JWK"),
        pytest.param([], "is not a JSON object", id="a list"),
        pytest.param({"keys": {}}, "is not a JWKS", id="keys an object"),
        pytest.param({"keys": [{}] * (MAX_CERTIFICATES + 1)}, "is not a JWKS", id="too many"),
    ],
)
def test_no_jwks(value: Any, problem: str) -> None:
    """Each says what it is instead."""
    assert str(read_jwks(json.dumps(value).encode(), "j").problem).startswith(problem)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param({"kty": "OKP", "crv": "X25519", "x": "AA"}, id="X25519"),
        pytest.param({"kty": "oct", "k": "AA"}, id="a secret"),
        pytest.param({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, id="off the curve"),
        pytest.param({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}, id="another curve"),
        pytest.param({"kty": "RSA", "n": "*", "e": "AQAB"}, id="no base64"),
        pytest.param({"kty": "OKP", "crv": "Ed25519", "x": "AA"}, id="short"),
        pytest.param("x", id="text"),
    ],
)
def test_keys_of_a_jwks_that_cannot_be_used(key: Any) -> None:
    """They have no names; with one of them a registry does not start."""
    assert jwk_public_key(key) is None
    (entry,) = read_jwks(json.dumps({"keys": [key]}).encode(), "j").keys
    assert (entry.kid, entry.names) == (None, None)


def test_a_public_key_of_our_own_as_jwk() -> None:
    """And back."""
    ring = ring_of()
    (first, *_) = json.loads(jwk_set(ring))["keys"]
    read = jwk_public_key(first)
    assert read is not None
    formats = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert read.public_bytes(*formats) == ring.active.public_key.public_bytes(*formats)


@given(st.binary(max_size=300), st.sampled_from(["CERTIFICATE", "PUBLIC KEY", "X"]))
def test_any_bytes_are_read(content: bytes, label: str) -> None:
    """Neither reader ever raises."""
    for text in (content, block(label, content), signing_pem(ring_of())[:-60] + content):
        read_bundle(text, "b")
        read_jwks(text, "j")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"\xef\xbb\xbf{}", "begins with a byte order mark", id="byte order mark"),
        pytest.param("{}".encode("utf-16"), "is not UTF-8 text", id="UTF-16"),
        pytest.param(ring_of().ca_certificate_pem.encode(), "is not JSON but PEM", id="PEM"),
        pytest.param(b"{", "is not JSON", id="cut off"),
        pytest.param(b"\n<html>", "is not JSON but an HTML page", id="a page"),
    ],
)
def test_files_that_are_no_jwks(content: bytes, problem: str) -> None:
    """What Go's JSON rejects, although Python's would read some of it."""
    found = read_jwks(content, "j")
    assert found.keys == ()
    assert (found.problem or "").startswith(problem)
