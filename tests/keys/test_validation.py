"""What is refused about a loaded key or certificate, one rule a row."""

from __future__ import annotations

import base64
import traceback
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from rsa_keys import known_rsa, rsa_2048
from self_signed import of_version

from tokenserver.keys.certificates import generate_p256, generate_private_key, issue_certificate, make_ca, private_pem
from tokenserver.keys.ring import Algorithm, PrivateKey
from tokenserver.keys.validation import (
    UnfitKey,
    belongs_to,
    ca_problem,
    certificate_problem,
    date_problem,
    parse_certificate,
    parse_private_key,
    signing_algorithm,
)

NOW = datetime(2027, 1, 31, 12, 0, tzinfo=UTC)
NOT_PEM = (
    "is not a private key in PEM that can be used here; expected an EC key on P-256 or P-384,"
    " an RSA key of at least 2048 bits or an Ed25519 key"
)
WRONG_KIND = NOT_PEM.replace("is not a private key in PEM that can be used here", "is a key of the wrong kind")
UNSUPPORTED = NOT_PEM.replace(
    "is not a private key in PEM that can be used here", "is a key of an unsupported kind or on an unsupported curve"
)
ENCRYPTED = "is encrypted; store it unencrypted and readable only by its owner"

P256 = generate_p256()
CA_KEY = generate_p256()
CA = make_ca(CA_KEY, issuer="auth.example.com", now=NOW)
CERTIFICATE = issue_certificate(P256, ca=CA, ca_key=CA_KEY, issuer="auth.example.com", now=NOW)
OTHER_CA_KEY = generate_p256()
OTHER_CA = make_ca(OTHER_CA_KEY, issuer="auth.example.com", now=NOW)


def der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    assert len(content) < 128
    return bytes([tag, len(content)]) + content


def sect233r1_pem() -> bytes:
    """A PKCS#8 key on a binary curve, put together by hand: the library below no longer makes any."""
    ec_public_key, sect233r1 = bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06052b8104001b")
    private = der(0x30, der(0x02, b"\x01"), der(0x04, b"\x01" * 30))
    content = der(0x30, der(0x02, b"\x00"), der(0x30, ec_public_key, sect233r1), der(0x04, private))
    return pem(b"PRIVATE KEY", content)


def pem(label: bytes, content: bytes) -> bytes:
    return b"-----BEGIN %s-----\n%s-----END %s-----\n" % (label, base64.encodebytes(content), label)


def pkcs8(
    key: dsa.DSAPrivateKey | ed448.Ed448PrivateKey | x25519.X25519PrivateKey | PrivateKey,
    encryption: KeySerializationEncryption | None = None,
    form: PrivateFormat = PrivateFormat.PKCS8,
) -> bytes:
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", NOT_PEM, id="empty"),
        pytest.param(b"\x00\xff garbage", NOT_PEM, id="garbage"),
        pytest.param(private_pem(P256)[:-40], NOT_PEM, id="cut short"),
        pytest.param(private_pem(P256).replace(b"M", b"N", 1), NOT_PEM, id="a changed letter"),
        pytest.param(CERTIFICATE.public_bytes(Encoding.PEM), NOT_PEM, id="a certificate"),
        pytest.param(
            P256.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), NOT_PEM, id="a public key"
        ),
        pytest.param(pkcs8(P256, BestAvailableEncryption(b"pw")), ENCRYPTED, id="encrypted PKCS#8"),
        pytest.param(
            pkcs8(P256, BestAvailableEncryption(b"pw"), PrivateFormat.TraditionalOpenSSL),
            ENCRYPTED,
            id="encrypted in OpenSSL's own form",
        ),
        pytest.param(pkcs8(x25519.X25519PrivateKey.generate()), WRONG_KIND, id="X25519"),
        pytest.param(pkcs8(ed448.Ed448PrivateKey.generate()), WRONG_KIND, id="Ed448"),
        pytest.param(pkcs8(dsa.generate_private_key(1024)), WRONG_KIND, id="DSA"),  # noqa: S505 - refused anyway
        pytest.param(sect233r1_pem(), UNSUPPORTED, id="SECT curve"),
    ],
)
def test_private_keys_that_are_not_taken(content: bytes, reason: str) -> None:
    """What cannot sign for any registry is refused with the reason."""
    with pytest.raises(UnfitKey) as refused:
        parse_private_key(content)
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    "form", [pytest.param(PrivateFormat.PKCS8, id="PKCS#8"), pytest.param(PrivateFormat.TraditionalOpenSSL, id="SEC1")]
)
def test_private_keys_of_both_forms_are_taken(form: PrivateFormat) -> None:
    """`openssl` writes either."""
    assert parse_private_key(pkcs8(P256, form=form)).public_key() == P256.public_key()


@given(content=st.binary(max_size=300))
def test_no_bytes_break_the_parsers(content: bytes) -> None:
    """Any content is a key, a certificate, or refused; no other error comes out."""
    for framed in (content, pem(b"PRIVATE KEY", content), pem(b"CERTIFICATE", content)):
        with pytest.raises(UnfitKey):
            parse_private_key(framed)
        with pytest.raises(UnfitKey):
            parse_certificate(framed)


def test_a_refused_key_is_in_no_traceback() -> None:
    """Neither the error nor its context repeats a line of the file, and no cause is kept that could."""
    broken = private_pem(P256).replace(b"-----END PRIVATE KEY-----", b"canary-body-line\n-----END PRIVATE KEY-----")
    with pytest.raises(UnfitKey) as refused:
        parse_private_key(broken)
    shown = "".join(traceback.format_exception(refused.value)) + repr(refused.value)
    lines = broken.decode().splitlines()[1:-1]
    assert [line for line in lines if line in shown] == []
    assert (refused.value.__cause__, refused.value.__context__) == (None, None)


def short_coordinate() -> ec.EllipticCurvePrivateKey:
    row = (ec.derive_private_key(secret, ec.SECP256R1()) for secret in range(1, 10_000))
    return next(key for key in row if key.public_key().public_numbers().y < 2**248)


SHORT = (
    "is an EC key whose X or Y coordinate begins with a zero byte: Distribution 3 computes a different thumbprint"
    " for it than other registries; create a new key"
)
CURVE = "is an EC key on the curve {}; expected P-256 (secp256r1) or P-384 (secp384r1)"
BITS = "is an RSA key of {} bits, which is too weak; at least 2048 are required"
EXPONENT = "is an RSA key with the public exponent {}; expected 65537"


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        pytest.param(known_rsa(1024), BITS.format(1024), id="RSA 1024"),
        pytest.param(known_rsa(2040), BITS.format(2040), id="RSA one byte short"),
        pytest.param(known_rsa(2048, 3), EXPONENT.format(3), id="e = 3"),
        pytest.param(known_rsa(2048, 17), EXPONENT.format(17), id="e = 17"),
        pytest.param(ec.generate_private_key(ec.SECP192R1()), CURVE.format("secp192r1"), id="P-192"),
        pytest.param(ec.generate_private_key(ec.SECP521R1()), CURVE.format("secp521r1"), id="P-521"),
        pytest.param(ec.generate_private_key(ec.SECP256K1()), CURVE.format("secp256k1"), id="secp256k1"),
        pytest.param(short_coordinate(), SHORT, id="short coordinate"),
    ],
)
def test_keys_that_must_not_sign(key: PrivateKey, reason: str) -> None:
    """Weak keys, and keys about which registries do not agree."""
    with pytest.raises(UnfitKey) as refused:
        signing_algorithm(key)
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        pytest.param(P256, Algorithm.ES256, id="P-256"),
        pytest.param(generate_private_key(Algorithm.ES384), Algorithm.ES384, id="P-384"),
        pytest.param(rsa_2048(), Algorithm.RS256, id="RSA 2048"),
        pytest.param(known_rsa(3072), Algorithm.RS256, id="RSA 3072"),
        pytest.param(ed25519.Ed25519PrivateKey.generate(), Algorithm.EdDSA, id="Ed25519"),
    ],
)
def test_the_type_of_a_key_fixes_its_algorithm(key: PrivateKey, algorithm: Algorithm) -> None:
    """No setting can make a key sign with another algorithm."""
    assert signing_algorithm(key) == algorithm


CA_PEM = CA.public_bytes(Encoding.PEM)
PUBLISHED_KEY = "contains a private key, but certificates are published; keep the key in its own .key file"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "contains no readable PEM certificates; it must contain exactly one", id="empty"),
        pytest.param(
            CA_PEM[:-60], "contains no readable PEM certificates; it must contain exactly one", id="cut short"
        ),
        pytest.param(
            pem(b"CERTIFICATE", of_version(CA.public_bytes(Encoding.DER), 73)),
            "contains no readable PEM certificates; it must contain exactly one",
            id="of a version that does not exist",
        ),
        pytest.param(
            CA_PEM + CERTIFICATE.public_bytes(Encoding.PEM),
            "contains 2 readable PEM certificates; it must contain exactly one",
            id="two",
        ),
        pytest.param(CA_PEM + private_pem(CA_KEY), PUBLISHED_KEY, id="with a PKCS#8 key"),
        pytest.param(
            pkcs8(CA_KEY, form=PrivateFormat.TraditionalOpenSSL) + CA_PEM, PUBLISHED_KEY, id="with an EC PRIVATE KEY"
        ),
        pytest.param(CA_PEM + pkcs8(CA_KEY, BestAvailableEncryption(b"pw")), PUBLISHED_KEY, id="with an encrypted key"),
    ],
)
def test_certificate_files_that_are_refused(content: bytes, reason: str) -> None:
    """A file that is published holds one certificate and no key."""
    with pytest.raises(UnfitKey) as refused:
        parse_certificate(content)
    assert str(refused.value) == reason


def ca_with(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
    *,
    basic: bool | None = True,
    sign_certificates: bool | None = True,
) -> x509.Certificate:
    """A self-signed certificate with these extensions; None leaves one out."""
    name = CA.subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
    )
    if basic is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=basic, path_length=None), critical=True)
    if sign_certificates is not None:
        usage = x509.KeyUsage(True, False, False, False, False, sign_certificates, False, False, False)
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


NOT_A_CA = "is not a CA certificate (basicConstraints CA:TRUE, keyUsage keyCertSign); registries would refuse it"
CA_KIND = "has a key that not every registry accepts; a token CA has an EC key (P-256) or an RSA key"


@pytest.mark.parametrize(
    ("ca", "expected"),
    [
        pytest.param(CA, None, id="as keys init makes it"),
        pytest.param(ca_with(ec.generate_private_key(ec.SECP384R1())), None, id="P-384"),
        pytest.param(ca_with(rsa_2048()), None, id="RSA 2048"),
        pytest.param(ca_with(CA_KEY, sign_certificates=None), None, id="without key usage"),
        pytest.param(ca_with(CA_KEY, sign_certificates=False), NOT_A_CA, id="may not sign certificates"),
        pytest.param(ca_with(CA_KEY, basic=False), NOT_A_CA, id="CA:FALSE"),
        pytest.param(ca_with(CA_KEY, basic=None), NOT_A_CA, id="without basic constraints"),
        pytest.param(CERTIFICATE, NOT_A_CA, id="a signing certificate"),
        pytest.param(ca_with(known_rsa(1024)), BITS.format(1024), id="RSA 1024"),
        pytest.param(ca_with(known_rsa(2048, 3)), EXPONENT.format(3), id="RSA with e = 3"),
        pytest.param(ca_with(ed25519.Ed25519PrivateKey.generate()), CA_KIND, id="Ed25519: Distribution 2 dies of it"),
        pytest.param(ca_with(ec.generate_private_key(ec.SECP192R1())), CA_KIND, id="P-192"),
        pytest.param(
            make_ca(CA_KEY, issuer="a", now=NOW - timedelta(days=3650)),
            "expired on 2027-01-31; registries refuse it, so new keys are needed",
            id="expired this second",
        ),
        pytest.param(
            make_ca(CA_KEY, issuer="a", now=NOW + timedelta(days=1)),
            "is not valid before 2027-02-01 11:00 UTC; is this clock right?",
            id="not yet valid",
        ),
    ],
)
def test_token_ca(ca: x509.Certificate, expected: str | None) -> None:
    """The CA must be one, be valid, and have a key that every registry takes."""
    assert ca_problem(ca, NOW) == expected


NOT_ISSUED = "was not issued by the token CA in token-ca.pem: registries that trust that CA would refuse its tokens"
NO_MATCH = "does not match its key: copy both files of the pair from the same place"


def forged() -> x509.Certificate:
    """Issued under the CA's name, but by another key."""
    return issue_certificate(P256, ca=CA, ca_key=OTHER_CA_KEY, issuer="auth.example.com", now=NOW)


@pytest.mark.parametrize(
    ("certificate", "ca", "expected"),
    [
        pytest.param(CERTIFICATE, CA, None, id="as keys init makes it"),
        pytest.param(CERTIFICATE, None, None, id="CA not known"),
        pytest.param(
            issue_certificate(generate_p256(), ca=CA, ca_key=CA_KEY, issuer="a", now=NOW), CA, NO_MATCH, id="other pair"
        ),
        pytest.param(CERTIFICATE, OTHER_CA, NOT_ISSUED, id="other CA of the same name"),
        pytest.param(CERTIFICATE, make_ca(OTHER_CA_KEY, issuer="b", now=NOW), NOT_ISSUED, id="other CA"),
        pytest.param(forged(), CA, NOT_ISSUED, id="the CA's name under another signature"),
        pytest.param(
            make_ca(P256, issuer="auth.example.com", now=NOW),
            CA,
            "is a CA certificate; a signing certificate is issued by the token CA and is not a CA itself",
            id="a CA",
        ),
    ],
)
def test_signing_certificate(certificate: x509.Certificate, ca: x509.Certificate | None, expected: str | None) -> None:
    """It belongs to its key, was issued by the token CA, and is no CA."""
    assert certificate_problem(certificate, P256, ca) == expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        pytest.param(CERTIFICATE.not_valid_before_utc, None, id="first second"),
        pytest.param(CERTIFICATE.not_valid_after_utc - timedelta(seconds=1), None, id="last second"),
        pytest.param(
            CERTIFICATE.not_valid_before_utc - timedelta(seconds=1),
            "is not valid before 2027-01-31 11:00 UTC; is this clock right?",
            id="a second early",
        ),
        pytest.param(
            CERTIFICATE.not_valid_after_utc,
            "expired on 2029-05-05; registries refuse it, so new keys are needed",
            id="at its end",
        ),
    ],
)
def test_dates(moment: datetime, expected: str | None) -> None:
    """Valid from the first second to the one before the end."""
    assert date_problem(CERTIFICATE, moment) == expected


def with_unknown_curve(certificate: x509.Certificate) -> x509.Certificate:
    content = certificate.public_bytes(Encoding.DER)
    p256_oid, unknown_oid = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d03017f")
    assert p256_oid in content
    return x509.load_der_x509_certificate(content.replace(p256_oid, unknown_oid))


def test_a_certificate_of_an_unreadable_key() -> None:
    """A certificate whose key the library cannot read matches no key and is no CA, instead of breaking the load."""
    assert belongs_to(with_unknown_curve(CERTIFICATE), P256) is False
    assert ca_problem(with_unknown_curve(CA), NOW) == CA_KIND
