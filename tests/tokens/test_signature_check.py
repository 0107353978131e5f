"""The check of signatures: which faults it detects, and when a token is verified instead of signed again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tokenserver.documents.base64url import encode_base64url
from tokenserver.errors import SigningFailed
from tokenserver.keys import signatures
from tokenserver.keys.certificates import generate_private_key
from tokenserver.keys.ring import Algorithm, KeyRing, SigningKey
from tokenserver.keys.signatures import signer
from tokenserver.tokens.claims import Compat
from tokenserver.tokens.issuer import read_as_registry
from tokenserver.tokens.jose_header import encoded_header
from tokenserver.tokens.signature_check import VERIFIED, SignatureCheck, Verify

REPEATED = [Algorithm.ES256, Algorithm.ES384, Algorithm.EdDSA]


class Counted:
    """Counts the verifications with the certificate's key."""

    def __init__(self) -> None:
        self.verified = 0

    def verify(self, text: str, header: str, key: SigningKey) -> dict[str, Any]:
        self.verified += 1
        return read_as_registry(text, header, key)


@pytest.fixture
def counted() -> Counted:
    return Counted()


def header_of(key: SigningKey) -> str:
    return encoded_header(key, Compat.JWKS)


def token(key: SigningKey, number: int = 1, *, by: Callable[[bytes], bytes] | None = None) -> str:
    """A token with the claim `n`; `by` signs it, by default the key."""
    payload = json.dumps({"n": number}).encode()
    content = f"{header_of(key)}.{encode_base64url(payload)}"
    sign = by or signer(key.private_key, key.algorithm)
    return f"{content}.{encode_base64url(sign(content.encode()))}"


def claimed(check: SignatureCheck, key: SigningKey, text: str, second: int = 0) -> Any:
    return check.claims_of(text, header_of(key), second=second)["n"]


def after_the_first(key: SigningKey, verify: Verify = read_as_registry) -> SignatureCheck:
    """A check whose next token of second 0 is signed again."""
    check = SignatureCheck(key, verify)
    claimed(check, key, token(key))
    return check


@pytest.mark.parametrize("algorithm", REPEATED)
def test_one_of_each_second_and_one_of_many_is_verified(
    rings: dict[Algorithm, KeyRing], algorithm: Algorithm, counted: Counted
) -> None:
    """All others are signed twice."""
    key = rings[algorithm].active
    check = SignatureCheck(key, counted.verify)
    seen = []
    for number in range(2 * VERIFIED + 1):
        assert claimed(check, key, token(key, number)) == number
        seen.append(counted.verified)
    assert [seen[index] for index in (0, 1, VERIFIED - 1, VERIFIED, 2 * VERIFIED - 1, 2 * VERIFIED)] == [
        1, 1, 1, 2, 2, 3,
    ]  # fmt: skip
    for second in (1, 1, 2, 1):
        claimed(check, key, token(key), second)
    assert counted.verified == 6


def test_rsa_is_always_verified(rings: dict[Algorithm, KeyRing], counted: Counted) -> None:
    """One faulty RSA signature factors the key, and verifying is cheap."""
    key = rings[Algorithm.RS256].active
    check = SignatureCheck(key, counted.verify)
    assert [claimed(check, key, token(key, number)) for number in range(5)] == [0, 1, 2, 3, 4]
    assert counted.verified == 5


def test_without_repeatable_signatures_every_token_is_verified(
    rings: dict[Algorithm, KeyRing], counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older OpenSSL has random nonces alone, so two signatures always differ."""
    monkeypatch.setattr(signatures, "_REPEATABLE_ECDSA", {})
    key = rings[Algorithm.ES256].active
    check = SignatureCheck(key, counted.verify)
    assert [claimed(check, key, token(key, number)) for number in range(5)] == [0, 1, 2, 3, 4]
    assert counted.verified == 5


def flipped(text: str, place: int) -> str:
    return text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]


@pytest.mark.parametrize("algorithm", list(Algorithm))
@pytest.mark.parametrize("is_first", [True, False])
def test_every_change_after_signing_is_detected(
    rings: dict[Algorithm, KeyRing], algorithm: Algorithm, is_first: bool
) -> None:
    """In header, claims and signature alike, also in a token that is not verified."""
    key = rings[algorithm].active
    text = token(key)
    ends = (0, len(header_of(key)) - 1, text.rindex(".") - 2, text.rindex(".") + 1, len(text) - 2)
    for place in ends:
        check = SignatureCheck(key, read_as_registry) if is_first else after_the_first(key)
        with pytest.raises(SigningFailed):
            claimed(check, key, flipped(text, place))


@pytest.mark.parametrize("algorithm", REPEATED)
def test_a_key_that_changed_in_memory_is_detected(rings: dict[Algorithm, KeyRing], algorithm: Algorithm) -> None:
    """The copy did not change with it, so its first signature already differs; from then on, tokens are verified."""
    key = rings[algorithm].active
    check = after_the_first(key)
    changed = signer(generate_private_key(algorithm), algorithm)
    with pytest.raises(SigningFailed) as failed:
        claimed(check, key, token(key, by=changed))
    assert str(failed.value) == f"a token signed with the key {key.id} has a wrong signature"


def test_both_keys_are_not_the_certificates(rings: dict[Algorithm, KeyRing]) -> None:
    """A wrong key was loaded: the copy agrees with it, and the first token is verified."""
    ring = rings[Algorithm.ES256]
    key = replace(ring.active, private_key=ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(SigningFailed, match="has a wrong signature"):
        claimed(SignatureCheck(key, read_as_registry), key, token(key))


def test_after_a_fault_every_token_is_verified(rings: dict[Algorithm, KeyRing], counted: Counted) -> None:
    """A machine that erred once is not trusted to err differently the next time."""
    key = rings[Algorithm.ES256].active
    check = after_the_first(key, counted.verify)
    with pytest.raises(SigningFailed):
        claimed(check, key, flipped(token(key), -2))
    before = counted.verified
    assert [claimed(check, key, token(key, number)) for number in range(5)] == [0, 1, 2, 3, 4]
    assert counted.verified - before == 5


def test_a_second_signature_that_fails(rings: dict[Algorithm, KeyRing]) -> None:
    """Reported by its type alone, like the first one."""
    key = rings[Algorithm.ES256].active
    check = after_the_first(key)

    def broken(_content: bytes) -> bytes:
        raise RuntimeError("canary")

    check._repeat = broken
    with pytest.raises(SigningFailed) as failed:
        claimed(check, key, token(key))
    assert str(failed.value) == "the key key-ES256 did not sign: RuntimeError"
