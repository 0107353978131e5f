"""Public keys: the published vectors, an independent computation, and that no private part ever shows."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tokenserver.keys.jwk import jwk_set, libtrust_id, public_jwk, thumbprint
from tokenserver.keys.ring import Algorithm, KeyRing, PublicKey

RFC7638_MODULUS = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
    "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
    "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK"
    "nqDKgw"
)


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number(text: str) -> int:
    return int.from_bytes(decoded(text), "big")


def p256(x: str, y: str) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicNumbers(number(x), number(y), ec.SECP256R1()).public_key()


RFC7638_RSA = rsa.RSAPublicNumbers(65537, number(RFC7638_MODULUS)).public_key()
RFC8037_ED25519 = ed25519.Ed25519PublicKey.from_public_bytes(decoded("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"))
RFC7517_P256 = p256("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM")
DISTRIBUTION_P256 = p256("m7zUpx3b-zmVE5cymSs64POG9QcyEpJaYCD82-549_Q", "dU3biz8sZ_8GPB-odm8Wxz3lNDr1xcAQQPQaOcr1fmc")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        pytest.param(RFC7638_RSA, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", id="RFC 7638, section 3.1"),
        pytest.param(RFC8037_ED25519, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", id="RFC 8037, A.3"),
        pytest.param(RFC7517_P256, "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s", id="the P-256 key of RFC 7517, A.1"),
    ],
)
def test_thumbprint_of_published_keys(key: PublicKey, expected: str) -> None:
    """The thumbprint is the one of RFC 7638."""
    assert thumbprint(key) == expected


def test_libtrust_id_of_the_published_key() -> None:
    """The fingerprint is the one that Distribution's token documentation shows for its example key."""
    expected = "PYYO:TEWU:V7JH:26JV:AQTZ:LJC3:SXVJ:XGHA:34F2:2LAQ:ZRMK:Z7Q6"
    assert libtrust_id(DISTRIBUTION_P256) == expected


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_names_agree_with_an_independent_computation(rings: dict[Algorithm, KeyRing], algorithm: Algorithm) -> None:
    """A key's two ids are those computed from its published JWK and from its certificate."""
    key = rings[algorithm].active
    jwk = public_jwk(key)
    required = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}[jwk["kty"]]
    canonical = "{" + ",".join(f'"{name}":"{jwk[name]}"' for name in required) + "}"
    digest = base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest())
    spki = key.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    bits = f"{int.from_bytes(hashlib.sha256(spki).digest(), 'big'):0256b}"[:240]
    letters = ["ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[int(bits[at : at + 5], 2)] for at in range(0, 240, 5)]
    groups = ["".join(letters[at : at + 4]) for at in range(0, 48, 4)]
    assert (key.thumbprint, key.libtrust_id) == (digest.decode().rstrip("="), ":".join(groups))


def test_coordinates_are_as_wide_as_the_field() -> None:
    """A coordinate with leading zero bytes keeps them (RFC 7518, section 6.2.1.2)."""
    candidates = (ec.derive_private_key(secret, ec.SECP256R1()).public_key() for secret in range(1, 10_000))
    short = next(key for key in candidates if key.public_numbers().x < 2**248)
    spki = short.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    x, y = (base64.urlsafe_b64encode(half).decode().rstrip("=") for half in (spki[1:33], spki[33:]))
    canonical = f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'
    expected = base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).decode().rstrip("=")
    assert thumbprint(short) == expected


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_jwk_makes_the_same_public_key(rings: dict[Algorithm, KeyRing], algorithm: Algorithm) -> None:
    """Whoever reads the JWK gets the key of the certificate."""
    key = rings[algorithm].active
    jwk = public_jwk(key)
    made: PublicKey
    match jwk["kty"]:
        case "EC":
            curve = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}[jwk["crv"]]
            made = ec.EllipticCurvePublicNumbers(number(jwk["x"]), number(jwk["y"]), curve).public_key()
        case "RSA":
            made = rsa.RSAPublicNumbers(number(jwk["e"]), number(jwk["n"])).public_key()
        case _:
            made = ed25519.Ed25519PublicKey.from_public_bytes(decoded(jwk["x"]))
    assert made == key.public_key


@pytest.mark.parametrize(
    ("algorithm", "members"),
    [
        pytest.param(Algorithm.ES256, {"kty", "crv", "x", "y", "kid", "use", "alg"}, id="ES256"),
        pytest.param(Algorithm.ES384, {"kty", "crv", "x", "y", "kid", "use", "alg"}, id="ES384"),
        pytest.param(Algorithm.RS256, {"kty", "n", "e", "kid", "use", "alg"}, id="RS256"),
        pytest.param(Algorithm.EdDSA, {"kty", "crv", "x", "kid", "use", "alg"}, id="EdDSA"),
    ],
)
def test_only_public_members_are_published(
    rings: dict[Algorithm, KeyRing], algorithm: Algorithm, members: set[str]
) -> None:
    """No private member (d, p, q, dp, dq, qi, k), and every member that a verifier needs."""
    [jwk] = json.loads(jwk_set(rings[algorithm]))["keys"]
    assert set(jwk) == members


def test_the_set_holds_every_published_key(rings: dict[Algorithm, KeyRing]) -> None:
    """Next, active and retired keys are all known to verifiers, each by its thumbprint."""
    keys = [ring.active for ring in rings.values()]
    ring = KeyRing("", keys[0].not_after, active=keys[0], next=(keys[1],), retired=(*keys[2:],))
    published = json.loads(jwk_set(ring))["keys"]
    assert [(jwk["kid"], jwk["alg"], jwk["use"]) for jwk in published] == [
        (key.thumbprint, key.algorithm.value, "sig") for key in keys
    ]
