"""Raw JWS signatures: each algorithm with its keys, and every way in which a signature does not verify."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import example, given
from hypothesis import strategies as st
from rsa_keys import rsa_2048

from tokenserver.keys.signatures import (
    AlgorithmMismatch,
    SignatureLength,
    SignatureMismatch,
    _repeatable,
    is_repeatable,
    raw_of,
    signer,
    verify_signature,
)

KEYS: dict[str, Any] = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    **{f"{kind}{bits}": rsa_2048() for kind in ("RS", "PS") for bits in (256, 384, 512)},
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
CONTENT = b"header.payload"


def signed(algorithm: str) -> bytes:
    """A signature over `CONTENT`, by another implementation."""
    return bytes(jwt.get_algorithm_by_name(algorithm).sign(CONTENT, KEYS[algorithm]))


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_right_signature_verifies(algorithm: str) -> None:
    """Whatever PyJWT signs with it; and nothing else under the same signature."""
    key, signature = KEYS[algorithm].public_key(), signed(algorithm)
    verify_signature(key, algorithm, signature, CONTENT)
    with pytest.raises(SignatureMismatch):
        verify_signature(key, algorithm, signature, CONTENT + b"x")


@pytest.mark.parametrize("algorithm", KEYS)
def test_what_is_signed_verifies_elsewhere(algorithm: str) -> None:
    """PyJWT and `verify_signature` agree that it is right; equal content gets equal signatures where that is said."""
    sign, public = signer(KEYS[algorithm], algorithm), KEYS[algorithm].public_key()
    signature = sign(CONTENT)
    verify_signature(public, algorithm, signature, CONTENT)
    assert jwt.get_algorithm_by_name(algorithm).verify(CONTENT, public, signature)
    assert (sign(CONTENT) == signature) is is_repeatable(algorithm)
    assert sign(CONTENT + b"x") != signature


_WIDTHS = st.sampled_from([32, 48, 66])


@given(_WIDTHS, st.data())
def test_halves_of_any_length_are_read_as_the_library_reads_them(width: int, data: st.DataObject) -> None:
    """Short ones, those with a zero in front, and encodings whose length takes two bytes."""
    half = st.integers(1, 8 * width).flatmap(lambda bits: st.integers(1 << (bits - 1), (1 << bits) - 1))
    r, s = data.draw(half), data.draw(half)
    assert raw_of(encode_dss_signature(r, s), width) == r.to_bytes(width, "big") + s.to_bytes(width, "big")


@given(st.integers(0, 2**256 - 1), st.integers(0, 2**256 - 1), st.data())
@example(1, 1, None)
def test_a_damaged_encoding_is_refused_or_means_the_same(r: int, s: int, data: st.DataObject | None) -> None:
    """A changed length never moves a byte from one half to the other."""
    encoded = bytearray(encode_dss_signature(r, s))
    if data is not None:
        encoded[data.draw(st.sampled_from([0, 1, 2, 3]))] = data.draw(st.integers(0, 255))
    try:
        expected = decode_dss_signature(bytes(encoded))
    except ValueError:
        expected = None
    try:
        found = raw_of(bytes(encoded), 32)
    except (ValueError, IndexError, OverflowError):
        assert expected is None
        return
    assert found == r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES257", ""])
def test_no_other_algorithm_signs(algorithm: str) -> None:
    """Not with any key."""
    with pytest.raises(AlgorithmMismatch):
        signer(KEYS["RS256"], algorithm)
    assert is_repeatable(algorithm) is False


def test_an_old_library_repeats_no_ecdsa_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before OpenSSL 3.2 there are random nonces alone."""

    def refused(*_arguments: Any, **_named: Any) -> None:
        raise UnsupportedAlgorithm("not here")

    scheme = ec.ECDSA(SHA256())
    assert _repeatable(scheme) is not None
    monkeypatch.setattr("tokenserver.keys.signatures.ec.ECDSA", refused)
    assert _repeatable(scheme) is None


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512"])
@pytest.mark.parametrize("change", [lambda raw: raw[:-1], lambda raw: raw + b"\0", lambda _: b""])
def test_an_ecdsa_signature_has_one_length(algorithm: str, change: Any) -> None:
    """RFC 7518, section 3.4: two halves of the width of the curve."""
    with pytest.raises(SignatureLength):
        verify_signature(KEYS[algorithm].public_key(), algorithm, change(signed(algorithm)), CONTENT)


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("ES256", "ES384"),
        ("ES256", "RS256"),
        ("RS256", "ES256"),
        ("EdDSA", "ES256"),
        ("RS256", "EdDSA"),
        ("HS256", "RS256"),
        ("none", "ES256"),
        ("ES257", "ES256"),
        ("", "ES256"),
    ],
)
def test_the_algorithm_must_fit_the_key(algorithm: str, key: str) -> None:
    """RFC 8725, section 3.1: a key is used with the algorithms of its own type alone."""
    with pytest.raises(AlgorithmMismatch):
        verify_signature(KEYS[key].public_key(), algorithm, signed(key), CONTENT)


def test_one_hash_is_not_another() -> None:
    """An RSA key fits six algorithms, each signature only its own."""
    with pytest.raises(SignatureMismatch):
        verify_signature(rsa_2048().public_key(), "RS384", signed("RS256"), CONTENT)
