"""Key sets of issuers: which keys are used, and for which JWTs."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given
from hypothesis import strategies as st
from rsa_keys import known_rsa
from workload_jwts import jwk, key_set, private_key

from tokenserver.authn.workload.algorithms import ALGORITHMS
from tokenserver.authn.workload.jwt_reader import RefusedJwt
from tokenserver.authn.workload.key_sets import MAX_JWKS, MAX_KEYS, IssuerKeySet, UnusableKeys, read_key_set
from tokenserver.documents.base64url import encode_base64url
from tokenserver.keys.signatures import signer

P256, P384, ED, RSA = (private_key(name) for name in ("ES256", "ES384", "EdDSA", "RS256"))


def read(*entries: Any) -> IssuerKeySet:
    """The keys of a document with these entries."""
    return read_key_set(key_set(*entries))


def found(keys: IssuerKeySet, key_id: str | None, algorithm: str) -> str | None:
    """The id of the key that is found, or why the JWT is refused; None: no such key."""
    try:
        key = keys.find(key_id, algorithm)
    except RefusedJwt as error:
        return error.reason
    return None if key is None else f"{key.key_id} {key.type}"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_signatures(algorithm: str) -> None:
    """A right one verifies; of another content, cut, extended, empty or by another key, it does not."""
    key = private_key(algorithm)
    name = "EdDSA" if algorithm == "Ed25519" else algorithm
    signature = signer(key, name)(b"content")
    public = read(jwk(key, "k")).find("k", algorithm)
    assert public is not None
    assert public.has_signed(algorithm, b"content", signature)
    wrong = (signature[:-1], signature + b"\0", b"", b"\0" * len(signature), signature[::-1], b"\xff" * len(signature))
    assert not any(public.has_signed(algorithm, b"content", one) for one in wrong)
    assert not public.has_signed(algorithm, b"Content", signature)


def test_another_key_does_not_verify() -> None:
    """Of the same type and with the same id."""
    signature = signer(private_key("ES256", 1), "ES256")(b"content")
    key = read(jwk(P256, "k")).find("k", "ES256")
    assert key is not None
    assert not key.has_signed("ES256", b"content", signature)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        pytest.param("x", "is not an object", id="a text"),
        pytest.param({}, "is of an unknown type", id="empty"),
        pytest.param({"kty": "oct", "k": "c2VjcmV0"}, "is not a public key", id="symmetric"),
        pytest.param(jwk(P256, "k", d="AAAA"), "is not a public key", id="private"),
        pytest.param(jwk(P256, "k", use="enc"), "is not for signatures", id="for encryption"),
        pytest.param(jwk(P256, "k", use=None), "is not for signatures", id="use null"),
        pytest.param(jwk(P256, "k", use=["sig"]), "is not for signatures", id="use a list"),
        pytest.param(jwk(P256, "k", use="x509-svid"), "is not for signatures", id="certificates of SPIFFE"),
        pytest.param(jwk(P256, "k", key_ops=["sign"]), "is not for verification", id="for signing"),
        pytest.param(jwk(P256, "k", key_ops="verify"), "is not for verification", id="operations as text"),
        pytest.param(jwk(P256, "k", alg="ECDH-ES"), "is for an algorithm that is not accepted", id="alg of encryption"),
        pytest.param(jwk(RSA, "k", alg="HS256"), "is for an algorithm that is not accepted", id="alg of a MAC"),
        pytest.param(
            jwk(P256, "k", alg="ES384"), "is for an algorithm that is not accepted", id="alg of another curve"
        ),
        pytest.param(jwk(P256, "k", alg="RS256"), "is for an algorithm that is not accepted", id="alg of another type"),
        pytest.param({**jwk(P256), "kid": 1}, "has a kid or alg that is no text", id="kid a number"),
        pytest.param({**jwk(P256), "alg": ["ES256"]}, "has a kid or alg that is no text", id="alg a list"),
        pytest.param({**jwk(P256), "kty": "AKP"}, "is of an unknown type", id="after quantum computers"),
        pytest.param({**jwk(P256), "kty": ["EC"]}, "is of an unknown type", id="type a list"),
        pytest.param({**jwk(P256), "crv": "secp256k1"}, "is of an unknown type", id="another curve"),
        pytest.param({**jwk(P256), "crv": {}}, "is of an unknown type", id="curve an object"),
        pytest.param({**jwk(P256), "crv": "P-384"}, "is malformed", id="a point on another curve"),
        pytest.param({**jwk(P256), "x": "AAAA"}, "is malformed", id="a point on no curve"),
        pytest.param({**jwk(P256), "x": ""}, "is malformed", id="no coordinate"),
        pytest.param({**jwk(P256), "x": 7}, "is malformed", id="a coordinate as number"),
        pytest.param({**jwk(P256), "x": "?"}, "is malformed", id="no base64url"),
        pytest.param({"kty": "EC", "crv": "P-256"}, "is malformed", id="no point"),
        pytest.param({**jwk(ED), "x": "AAAA"}, "is malformed", id="too short for its curve"),
        pytest.param({**jwk(RSA), "n": 5}, "is malformed", id="modulus a number"),
        pytest.param({**jwk(RSA), "n": "ä"}, "is malformed", id="modulus not ASCII"),
        pytest.param({"kty": "RSA", "e": "AQAB"}, "is malformed", id="no modulus"),
        pytest.param(jwk(known_rsa(1024)), "is an RSA key of 1024 bits, not 2048 to 8192", id="RSA short"),
        pytest.param(jwk(known_rsa(2040)), "is an RSA key of 2040 bits, not 2048 to 8192", id="RSA a byte too short"),
        pytest.param(
            {**jwk(RSA), "n": encode_base64url(b"\xff" * 1025)},
            "is an RSA key of 8200 bits, not 2048 to 8192",
            id="RSA long",
        ),
        pytest.param(jwk(known_rsa(2048, 3)), "is an RSA key with an unusual exponent", id="exponent 3"),
        pytest.param(
            {**jwk(RSA), "e": encode_base64url(b"\xff" * 64)},
            "is an RSA key with an unusual exponent",
            id="exponent long",
        ),
    ],
)
def test_keys_that_are_skipped(entry: Any, problem: str) -> None:
    """They do not hurt the others, and a set of nothing else is no set."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        keys = read(entry, jwk(ED, "good"))
    assert ([key.key_id for key in keys.keys], keys.skipped) == (["good"], (f"key 1 {problem}",))
    with pytest.raises(UnusableKeys) as caught:
        read(entry)
    assert str(caught.value) == f"has no usable key: key 1 {problem}"


def test_the_largest_rsa_keys() -> None:
    """The longest modulus and exponent that are accepted."""
    largest = {"n": encode_base64url(b"\xff" * 1024), "e": encode_base64url(b"\xff" * 4)}
    assert read({**jwk(RSA, "k"), **largest}).skipped == ()


def test_a_spiffe_bundle() -> None:
    """Its JWT keys have a use of their own."""
    document = {"spiffe_sequence": 1, "spiffe_refresh_hint": 300, "keys": [jwk(P256, "k", use="jwt-svid")]}
    assert [key.key_id for key in read_key_set(json.dumps(document).encode()).keys] == ["k"]


def test_what_is_ignored_in_a_key() -> None:
    """Members that are not needed may hold anything."""
    extra = {"x5c": 1, "x5u": [], "key_ops": ["verify", "strange"], "use": "sig", "x5t": None, "ext": True}
    keys = read(jwk(P256, "a", **extra), jwk(RSA, "b", alg="PS256"), jwk(ED, "c", alg="Ed25519"))
    assert [key.key_id for key in keys.keys] == ["a", "b", "c"]
    curve25519 = x25519.X25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    other = {"kty": "OKP", "crv": "X25519", "x": encode_base64url(curve25519)}
    assert read(other, jwk(P256)).skipped == ("key 1 is of an unknown type",)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"", "is not JSON", id="empty"),
        pytest.param(b"<html>", "is not JSON", id="a page"),
        pytest.param(b"[]", "is not a JSON object", id="an array"),
        pytest.param(b"{}", "has no list of keys", id="an object"),
        pytest.param(b'{"keys": {}}', "has no list of keys", id="keys an object"),
        pytest.param(b'{"keys": [], "keys": []}', "has a duplicate member", id="keys twice"),
        pytest.param(key_set(), "has no usable key", id="no key"),
        pytest.param(key_set(*[{}] * (MAX_KEYS + 1)), "has more than 200 keys", id="too many"),
        pytest.param(b" " * (MAX_JWKS + 1), "is larger than 256 KiB", id="too large"),
        pytest.param(b"[" * MAX_JWKS, None, id="deep"),
    ],
)
def test_documents_that_are_no_key_set(content: bytes, problem: str | None) -> None:
    """The text says what is wrong."""
    with pytest.raises(UnusableKeys) as caught:
        read_key_set(content)
    assert problem in (None, str(caught.value))


def test_the_largest_document() -> None:
    """As many bytes and keys as the limits."""
    document = key_set(*[{}] * (MAX_KEYS - 1), jwk(P256, "k"))
    assert len(read_key_set(document + b" " * (MAX_JWKS - len(document))).keys) == 1


TYPES = [jwk(P256, "p"), jwk(P384, "q"), jwk(ED, "e"), jwk(RSA, "r")]
TWO = [jwk(P256, "a"), jwk(private_key("ES256", 1), "b"), jwk(ED)]


@pytest.mark.parametrize(
    ("entries", "key_id", "algorithm", "answer"),
    [
        pytest.param(TYPES, "p", "ES256", "p P-256", id="by id"),
        pytest.param(TYPES, "r", "PS384", "r RSA", id="any algorithm of its type"),
        pytest.param(TYPES, "e", "Ed25519", "e Ed25519", id="either name of its algorithm"),
        pytest.param(TYPES, "z", "ES256", None, id="unknown id"),
        pytest.param(TYPES, "", "ES256", None, id="empty id"),
        pytest.param(TYPES, "P", "ES256", None, id="id in another case"),
        pytest.param(TYPES, "p", "RS256", "the JWT has a kid of a key that is not for its alg", id="another type"),
        pytest.param(TYPES, "q", "ES256", "the JWT has a kid of a key that is not for its alg", id="another curve"),
        pytest.param(
            TYPES, "e", "ES256", "the JWT has a kid of a key that is not for its alg", id="another curve type"
        ),
        pytest.param(
            TYPES, "r", "HS256", "the JWT has a kid of a key that is not for its alg", id="public key as secret"
        ),
        pytest.param(TYPES, "r", "none", "the JWT has a kid of a key that is not for its alg", id="none"),
        pytest.param(TYPES, None, "ES384", "q P-384", id="no id, one of its type"),
        pytest.param(TYPES, None, "ES512", None, id="no id, none of its type"),
        pytest.param(TWO, None, "ES256", "the JWT has no kid, and its issuer has several keys", id="no id, two"),
        pytest.param(TWO, None, "EdDSA", "None Ed25519", id="no id in both"),
        pytest.param(TWO, "a", "ES256", "a P-256", id="one of two"),
        pytest.param(TWO, "x", "EdDSA", None, id="an id, and a key without one"),
        pytest.param([jwk(RSA, "r", alg="RS256")], "r", "RS256", "r RSA", id="its own algorithm"),
        pytest.param(
            [jwk(RSA, "r", alg="RS256")],
            "r",
            "PS256",
            "the JWT has a kid of a key that is not for its alg",
            id="other",
        ),
        pytest.param([jwk(RSA, "r", alg="RS256")], None, "RS512", None, id="no id, of another algorithm"),
        pytest.param([jwk(ED, "e", alg="EdDSA")], "e", "Ed25519", "e Ed25519", id="the other name"),
        pytest.param([jwk(P256, "k"), jwk(RSA, "k")], "k", "RS256", "k RSA", id="one id, two types"),
        pytest.param(
            [jwk(P256, "k"), jwk(private_key("ES256", 1), "k")],
            "k",
            "ES256",
            "the JWT has a kid that several keys of its issuer have",
            id="one id, two keys",
        ),
        pytest.param([jwk(P256, "a"), jwk(P256, "b")], "b", "ES256", "b P-256", id="one key, two ids"),
        pytest.param(
            [jwk(RSA, "k", alg="RS256"), jwk(RSA, "k", alg="PS256")], "k", "PS256", "k RSA", id="two algorithms"
        ),
        pytest.param([jwk(RSA, "k", crv=[], x={}), jwk(RSA, "k")], "k", "RS256", "k RSA", id="members of other types"),
        pytest.param([jwk(P256, "k"), jwk(P256, "k", x5t="x")], "k", "ES256", "k P-256", id="the same key twice"),
    ],
)
def test_which_key(entries: list[Any], key_id: str | None, algorithm: str, answer: str | None) -> None:
    """The id and the algorithm decide, and never the JWT alone."""
    assert found(read(*entries), key_id, algorithm) == answer


MEMBERS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use", "key_ops", "d"]),
    st.sampled_from(["EC", "RSA", "OKP", "P-256", "Ed25519", "ES256", "AQAB", "sig", "k", "", 1, None, [], {}]),
)
ENTRIES = st.one_of(
    MEMBERS,
    st.builds(lambda changes: {**jwk(P256, "k"), **changes}, MEMBERS),
    st.builds(lambda changes: {**jwk(RSA, "k"), **changes}, MEMBERS),
    st.builds(lambda changes: {**jwk(ED, "k"), **changes}, MEMBERS),
    st.none() | st.text(max_size=3),
)


@given(st.one_of(st.binary(max_size=40), st.lists(ENTRIES, max_size=4).map(lambda entries: key_set(*entries))))
@example(b'{"keys": [{"kty": "RSA", "n": "AA", "e": "AA"}]}')
def test_any_document(content: bytes) -> None:
    """It is a set of public keys that can be used, or no set; never anything else."""
    try:
        keys = read_key_set(content)
    except UnusableKeys:
        return
    assert keys.keys
    for key in keys.keys:
        assert any(key.suits(algorithm) for algorithm in ALGORITHMS)
        assert not key.suits("HS256")
        for algorithm in ALGORITHMS:
            assert not key.suits(algorithm) or not key.has_signed(algorithm, b"", b"x" * 64)
    assert len(keys.keys) + len(keys.skipped) <= len(json.loads(content)["keys"])


def test_no_key_prints() -> None:
    """Nor does joserfc's object."""
    assert repr(read(jwk(P256, "k")).keys[0]) == "IssuerKey(key_id='k', type=<KeyType.P256: 'P-256'>, algorithm=None)"
