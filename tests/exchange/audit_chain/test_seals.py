"""Seals: what is signed, and that neither a seal can be taken for a token, nor a token for a seal."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from audit_chains import CA, KEYS, START, key
from cryptography import x509
from key_folders import ISSUER, keys
from self_signed import of_version

from tokenserver.access_keys import RANDOM_BYTES
from tokenserver.documents.base64url import decode_base64url, encode_base64url
from tokenserver.exchange.audit_chain.seal_check import SealKeys
from tokenserver.exchange.audit_chain.seal_text import NotASeal, Seal, StatedChain, UnknownSealKey, read_seal
from tokenserver.exchange.audit_chain.seals import make_seal
from tokenserver.identity import Identity, Kind
from tokenserver.keys.ring import KeyRing
from tokenserver.keys.store import load_keys
from tokenserver.tokens.claims import Compat, Registry
from tokenserver.tokens.issuer import TokenIssuer
from tokenserver.tokens.verification import InvalidToken, verify_own

__all__ = ["keys"]
SIGNS = key()
RING = KeyRing("", START, SIGNS)
LINK = "abcdefgh:7:" + "0" * 64
OTHER = StatedChain("hgfedcba", 12, "2027-01-31T11:59:00.000Z")
TIME = "2027-01-31T12:00:00.000Z"
SEAL = make_seal(SIGNS, LINK, time=TIME, closes=True)
ODD = b64encode(of_version(b64decode(SIGNS.x5c[0]), 73)).decode()
"""A certificate of a version that does not exist."""


def parts_of(text: str) -> tuple[dict[str, object], dict[str, object], str]:
    header, payload, signature = text.split(".")
    return json.loads(decode_base64url(header)), json.loads(decode_base64url(payload)), signature


def made(header: dict[str, object], payload: dict[str, object], signature: str) -> str:
    encoded = [encode_base64url(json.dumps(part).encode()) for part in (header, payload)]
    return ".".join([*encoded, signature])


def test_a_seal_is_opened() -> None:
    """By the authority of its key, with all that was signed."""
    seal = KEYS.open_seal(SEAL)
    assert (seal.link, seal.time, seal.closes, seal.others) == (LINK, TIME, True, ())
    assert SealKeys([], [SIGNS.thumbprint]).open_seal(SEAL) == seal


def test_a_seal_is_no_token() -> None:
    """It has another type, and none of the claims that a registry requires; this server does not take it either."""
    header, payload, _ = parts_of(SEAL)
    assert header["typ"] == "tokenserver-audit-seal"
    assert set(payload) == {"audit_seal"}
    for compat in Compat:
        registry = Registry("registry", ISSUER, compat, 900)
        with pytest.raises(InvalidToken):
            verify_own(SEAL, RING, registry, now=int(START.timestamp()) + 60)
    with pytest.raises(jwt.MissingRequiredClaimError):
        jwt.decode(
            SEAL,
            SIGNS.public_key,
            algorithms=["ES256"],
            audience="registry",
            issuer=ISSUER,
            options={"require": ["aud", "iss", "exp"]},
        )


@pytest.mark.parametrize("compat", Compat)
def test_a_token_is_no_seal(compat: Compat) -> None:
    """Whatever kind of registry it is for."""
    issuer = TokenIssuer(RING, now=START.timestamp, new_id=lambda: "1" * RANDOM_BYTES)
    identity = Identity("ann", Kind.PASSWORD, "local")
    token = issuer.issue(identity, Registry("registry", ISSUER, compat, 900), ()).text.reveal()
    with pytest.raises(NotASeal, match="its header is not that of a seal"):
        KEYS.open_seal(token)


CHANGES = [
    pytest.param({"typ": "JWT"}, {}, "header", id="the type of a token"),
    pytest.param({"alg": "none"}, {}, "signature", id="no algorithm"),
    pytest.param({"alg": "HS256"}, {}, "signature", id="a symmetric algorithm"),
    pytest.param({"jwk": {}}, {}, "header", id="a key in the header"),
    pytest.param({"x5c": []}, {}, "names no key", id="no certificate"),
    pytest.param({"x5c": [7]}, {}, "certificates cannot be read", id="a number for a certificate"),
    pytest.param({"x5c": ["AAAA"]}, {}, "certificate cannot be read", id="no certificate in x5c"),
    pytest.param({"x5c": [ODD]}, {}, "certificate cannot be read", id="a version that does not exist"),
    pytest.param({}, {"aud": "registry"}, "content is not", id="a claim besides"),
    pytest.param({}, {"audit_seal": {"chain": LINK}}, "incomplete", id="no time"),
    pytest.param({}, {"audit_seal": {"chain": LINK, "time": TIME}}, "signature is wrong", id="other content"),
    pytest.param({}, {"audit_seal": {"chain": LINK, "time": TIME, "others": [7]}}, "other chains", id="no statement"),
    pytest.param({}, {"audit_seal": {"chain": LINK, "time": TIME, "others": {}}}, "other chains", id="an object"),
    pytest.param({}, {"audit_seal": {"chain": LINK, "time": TIME, "before": [7]}}, "other chains", id="nothing before"),
    pytest.param({}, {"audit_seal": {"chain": LINK, "time": TIME, "server": 7}}, "incomplete", id="no server"),
    pytest.param(
        {},
        {"audit_seal": {"chain": LINK, "time": TIME, "others": [{**OTHER._asdict(), "number": True}]}},
        "other chains",
        id="no number",
    ),
    pytest.param({}, {"audit_seal": []}, "content is not", id="a list"),
]


@pytest.mark.parametrize(("header", "payload", "reason"), CHANGES)
def test_a_changed_seal_is_none(header: dict[str, object], payload: dict[str, object], reason: str) -> None:
    """One thing wrong at a time."""
    own_header, own_payload, signature = parts_of(SEAL)
    with pytest.raises(NotASeal, match=reason):
        KEYS.open_seal(made({**own_header, **header}, {**own_payload, **payload}, signature))


@pytest.mark.parametrize(
    "text", ["", "a.b", "a.b.c", ".".join([SEAL] * 2), SEAL + "x" * 70_000, "e30.e30.", "W10.W10.AA"]
)
def test_other_texts_are_no_seal(text: str) -> None:
    """Nothing raises another error."""
    with pytest.raises(NotASeal):
        read_seal(text)


def test_a_seal_of_another_authority() -> None:
    """The key is named by its thumbprint."""
    with pytest.raises(UnknownSealKey, match=SIGNS.thumbprint):
        SealKeys([]).open_seal(SEAL)
    other = SealKeys([CA], ["another"])
    assert isinstance(other.open_seal(SEAL), Seal)


@pytest.mark.parametrize(
    ("time", "is_valid"),
    [
        pytest.param(START, True, id="when the key was new"),
        pytest.param(START + timedelta(days=30), True, id="later"),
        pytest.param(SIGNS.not_after + timedelta(days=1), False, id="after its certificate"),
        pytest.param(START - timedelta(days=2), False, id="before its certificate"),
        pytest.param(None, False, id="no time at all"),
    ],
)
def test_the_time_of_a_seal(time: object, is_valid: bool) -> None:
    """It is within that of the certificate, whatever the time is now."""
    text = "yesterday" if time is None else time.isoformat()  # type: ignore[attr-defined]
    seal = make_seal(SIGNS, LINK, time=text, closes=False)
    if is_valid:
        assert KEYS.open_seal(seal).link == LINK
    else:
        with pytest.raises(NotASeal, match="its time is not within"):
            KEYS.open_seal(seal)


def test_the_certificates_of_real_keys(keys: Path) -> None:
    """A folder of `keys init` vouches for the seals of its key, and for no others."""
    ring = load_keys(keys, now=START)
    trusted = SealKeys([x509.load_pem_x509_certificate((keys / "token-ca.pem").read_bytes())])
    assert trusted.open_seal(make_seal(ring.active, LINK, time=TIME, closes=False, others=[OTHER])).others == (OTHER,)
    with pytest.raises(UnknownSealKey):
        trusted.open_seal(SEAL)
