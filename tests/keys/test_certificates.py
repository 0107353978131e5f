"""What is made: keys, the token CA, and the certificates under it."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from harness.programs import need
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.keys.certificates import (
    generate_p256,
    generate_private_key,
    has_short_coordinate,
    issue_certificate,
    make_ca,
)
from tokenserver.keys.ring import Algorithm

NOW = datetime(2027, 1, 31, 12, 0, tzinfo=UTC)
CA_KEY = generate_p256()
CA = make_ca(CA_KEY, issuer="auth.example.com", now=NOW)
KEY = generate_p256()
CERTIFICATE = issue_certificate(KEY, ca=CA, ca_key=CA_KEY, issuer="auth.example.com", now=NOW)


def common_name(name: x509.Name) -> str | bytes:
    return name.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def test_ca_is_a_ca_for_signing_certificates_only() -> None:
    """CA:TRUE, no further CA below it, allowed to sign certificates, and signed by itself."""
    basic = CA.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = CA.extensions.get_extension_for_class(x509.KeyUsage)
    CA.verify_directly_issued_by(CA)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (True, True, False)


def test_signing_certificate_is_none() -> None:
    """The leaf vouches for nothing: CA:FALSE, for signatures only, under the token CA."""
    basic = CERTIFICATE.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = CERTIFICATE.extensions.get_extension_for_class(x509.KeyUsage)
    CERTIFICATE.verify_directly_issued_by(CA)
    assert (basic.critical, basic.value.ca) == (True, False)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (True, False, True)
    assert CERTIFICATE.public_key() == KEY.public_key()


def test_identifiers_link_the_certificate_to_its_ca() -> None:
    """Two installations may use one issuer name: the authority's key identifier tells their CAs apart."""
    subject = CA.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    authority = CERTIFICATE.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert authority.key_identifier == subject.digest


def test_a_signing_certificate_is_short() -> None:
    """It travels in each token of `compat: universal`: three extensions, a serial number of nine bytes, one name."""
    names = [extension.oid._name for extension in CERTIFICATE.extensions]
    assert names == ["basicConstraints", "keyUsage", "authorityKeyIdentifier"]
    assert len(CERTIFICATE.public_bytes(Encoding.DER)) <= 384
    serials = {issue_certificate(KEY, ca=CA, ca_key=CA_KEY, issuer="a", now=NOW).serial_number for _ in range(50)}
    assert len(serials) == 50
    assert {serial.bit_length() for serial in serials} == {71}


def test_lifetimes() -> None:
    """Both begin an hour back, for registries whose clock is behind; the CA lives 10 years, the leaf 825 days."""
    begin = NOW - timedelta(hours=1)
    spans = [(one.not_valid_before_utc, one.not_valid_after_utc) for one in (CA, CERTIFICATE)]
    assert spans == [(begin, NOW + timedelta(days=3650)), (begin, NOW + timedelta(days=825))]


def test_a_signing_certificate_does_not_outlive_its_ca() -> None:
    """What is issued near the CA's end ends with it."""
    late = NOW + timedelta(days=3000)
    issued = issue_certificate(KEY, ca=CA, ca_key=CA_KEY, issuer="auth.example.com", now=late)
    assert issued.not_valid_after_utc == CA.not_valid_after_utc


@given(issuer=st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=100))
def test_any_issuer_makes_a_bounded_common_name(issuer: str) -> None:
    """X.509 bounds a common name to 64; a longer issuer is cut between characters, never refused."""
    ca = make_ca(CA_KEY, issuer=issuer, now=NOW)
    certificate = issue_certificate(KEY, ca=ca, ca_key=CA_KEY, issuer=issuer, now=NOW)
    names = [common_name(ca.subject), common_name(certificate.subject)]
    assert all(isinstance(name, str) and len(name.encode()) <= 64 for name in names)
    assert str(names[0]).endswith(" token CA")
    assert issuer.startswith(str(names[1]))


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        pytest.param(Algorithm.ES256, (ec.EllipticCurvePrivateKey, "secp256r1"), id="ES256: P-256"),
        pytest.param(Algorithm.ES384, (ec.EllipticCurvePrivateKey, "secp384r1"), id="ES384: P-384"),
        pytest.param(Algorithm.RS256, (rsa.RSAPrivateKey, 2048, 65537), id="RS256: RSA 2048, e = 65537"),
        pytest.param(Algorithm.EdDSA, (ed25519.Ed25519PrivateKey,), id="EdDSA: Ed25519"),
    ],
)
def test_key_type_of_each_algorithm(algorithm: Algorithm, expected: tuple[object, ...]) -> None:
    """The algorithm fixes type and size of a new key."""
    key = generate_private_key(algorithm)
    facts: tuple[object, ...] = ()
    if isinstance(key, rsa.RSAPrivateKey):
        facts = (key.key_size, key.public_key().public_numbers().e)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        facts = (key.curve.name,)
    assert isinstance(key, expected[0])  # type: ignore[arg-type]  # the first of a row is a class
    assert facts == expected[1:]


def p256_with(*, x_bits: range, y_bits: range) -> ec.EllipticCurvePrivateKey:
    """The first key in a fixed row whose coordinates have a length in these ranges."""
    for secret in range(1, 100_000):
        key = ec.derive_private_key(secret, ec.SECP256R1())
        point = key.public_key().public_numbers()
        if point.x.bit_length() in x_bits and point.y.bit_length() in y_bits:
            return key
    raise AssertionError("no such key in the row")


FULL, SHORT = range(249, 257), range(249)


@pytest.mark.parametrize(
    ("x_bits", "y_bits", "expected"),
    [
        pytest.param(FULL, FULL, False, id="both full"),
        pytest.param(SHORT, FULL, True, id="short X"),
        pytest.param(FULL, SHORT, True, id="short Y"),
        pytest.param(range(249, 250), FULL, False, id="X with the smallest first byte"),
        pytest.param(range(248, 249), FULL, True, id="X with exactly one zero byte"),
    ],
)
def test_short_coordinates_are_recognised(x_bits: range, y_bits: range, expected: bool) -> None:
    """Short is a coordinate whose first byte is zero, and no other."""
    assert has_short_coordinate(p256_with(x_bits=x_bits, y_bits=y_bits).public_key()) == expected


def test_keys_with_a_short_coordinate_are_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Generation goes on until both coordinates are full."""
    good = p256_with(x_bits=FULL, y_bits=FULL)
    row = iter([p256_with(x_bits=SHORT, y_bits=FULL), p256_with(x_bits=FULL, y_bits=SHORT), good])
    monkeypatch.setattr(ec, "generate_private_key", lambda _curve: next(row))
    assert generate_private_key(Algorithm.ES256) is good


@pytest.mark.real("openssl")
@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_openssl_accepts_the_chain(tmp_path: Path, algorithm: Algorithm) -> None:
    """An independent verifier takes the certificate of every kind of key, strictly and under the CA alone."""
    openssl = str(need("openssl"))
    key = generate_private_key(algorithm)
    certificate = issue_certificate(key, ca=CA, ca_key=CA_KEY, issuer="auth.example.com", now=NOW)
    (tmp_path / "ca.pem").write_bytes(CA.public_bytes(Encoding.PEM))
    (tmp_path / "leaf.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    command = [openssl, "verify", "-x509_strict", "-attime", str(int(NOW.timestamp())), "-CAfile", "ca.pem"]
    done = subprocess.run([*command, "leaf.pem"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "leaf.pem: OK\n", "")
