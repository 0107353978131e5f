"""The public keys of an issuer: reading a JWKS document (RFC 7517, section 5), and verification of signatures by them.

The only importer of joserfc, of which just the import of public keys and the verification of raw signatures are used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwa import EdDSAAlgorithm, ESAlgorithm, JWSAlgModel, RSAAlgorithm, RSAPSSAlgorithm
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tokenserver.authn.workload.algorithms import ALGORITHMS, KeyType, is_same_algorithm
from tokenserver.authn.workload.jwt_reader import RefusedJwt
from tokenserver.documents.base64url import decode_base64url
from tokenserver.documents.strict_json import InvalidJson, read_object
from tokenserver.errors import TokenserverError

MAX_JWKS = 256 * 1024
MAX_KEYS = 200

MIN_RSA, MAX_RSA = 2048, 8192
"""Bits. The time of a verification grows with the square of them."""

MIN_EXPONENT, MAX_EXPONENT = 65537, 2**32 - 1

_MODELS: Mapping[str, JWSAlgModel] = {
    **{f"RS{bits}": RSAAlgorithm(bits) for bits in (256, 384, 512)},
    **{f"PS{bits}": RSAPSSAlgorithm(bits) for bits in (256, 384, 512)},
    "ES256": ESAlgorithm("ES256", "P-256", 256),
    "ES384": ESAlgorithm("ES384", "P-384", 384),
    "ES512": ESAlgorithm("ES512", "P-521", 512),
    "EdDSA": EdDSAAlgorithm(),
    "Ed25519": EdDSAAlgorithm(),
}

_CURVES = {
    ("EC", "P-256"): KeyType.P256,
    ("EC", "P-384"): KeyType.P384,
    ("EC", "P-521"): KeyType.P521,
    ("OKP", "Ed25519"): KeyType.ED25519,
}
_USES = ("sig", "jwt-svid")
"""The second is that of the JWT keys in SPIFFE bundles, whose other keys are for certificates."""

_PRIVATE = ("d", "k", "p", "q", "dp", "dq", "qi", "oth")
_PUBLIC = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x")}
"""By `kty`, the members that make the public key."""


class UnusableKeys(TokenserverError):
    """A document that is no JWKS, or has no usable key. The text continues a sentence about the document."""


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """A public key. `algorithm` is the only one that it may be used with; None: any that suits its type."""

    key_id: str | None
    type: KeyType
    algorithm: str | None
    key: RSAKey | ECKey | OKPKey = field(repr=False)

    def suits(self, algorithm: str) -> bool:
        """Whether signatures of this algorithm may be verified by this key."""
        if ALGORITHMS.get(algorithm) is not self.type:
            return False
        return self.algorithm is None or is_same_algorithm(self.algorithm, algorithm)

    def has_signed(self, algorithm: str, content: bytes, signature: bytes) -> bool:
        """Whether `signature` is one of `content` by this key. The algorithm `suits` it."""
        return _MODELS[algorithm].verify(content, signature, self.key)


class IssuerKeySet:
    """The usable keys of an issuer, at least one. `skipped` says for each other key why it is not used."""

    def __init__(self, keys: Iterable[IssuerKey], skipped: Iterable[str] = ()) -> None:
        self.keys = tuple(keys)
        self.skipped = tuple(skipped)
        self._by_id: dict[str | None, list[IssuerKey]] = {}
        for key in self.keys:
            self._by_id.setdefault(key.key_id, []).append(key)
        # Each JWT of an issuer asks for one of these.
        self._only: dict[tuple[str | None, str], IssuerKey] = {}
        for key_id, algorithm in product((None, *self._by_id), ALGORITHMS):
            suitable = self._suitable(key_id, algorithm)
            if len(suitable) == 1:
                self._only[key_id, algorithm] = suitable[0]

    def find(self, key_id: str | None, algorithm: str) -> IssuerKey | None:
        """The key with this id, which suits the algorithm; without an id, the only key that does. None: there is none.

        Raises:
            RefusedJwt: the id is that of a key that does not suit, or several keys are possible.
        """
        only = self._only.get((key_id, algorithm))
        if only is not None:
            return only
        if self._suitable(key_id, algorithm):
            raise RefusedJwt("has no kid, and its issuer has several keys" if key_id is None else AMBIGUOUS)
        if key_id is not None and key_id in self._by_id:
            raise RefusedJwt("has a kid of a key that is not for its alg")
        return None

    def _suitable(self, key_id: str | None, algorithm: str) -> list[IssuerKey]:
        named = self.keys if key_id is None else self._by_id.get(key_id, ())
        return [key for key in named if key.suits(algorithm)]


AMBIGUOUS = "has a kid that several keys of its issuer have"


def unknown_key(key_id: str | None) -> RefusedJwt:
    """The refusal of a JWT whose key is not among those of its issuer."""
    return RefusedJwt("has a kid that no key of its issuer has" if key_id is not None else "has no kid")


def read_key_set(content: bytes) -> IssuerKeySet:
    """The keys of a JWKS document. Keys that cannot verify JWTs here are skipped, whatever is wrong with them.

    Skipped are keys of another `use`, unknown types and curves, private and symmetric keys, RSA keys that are too short
    or too long, and malformed ones. Of identical keys the first is kept.

    Raises:
        UnusableKeys: larger than `MAX_JWKS`, no strict JSON object, without a list `keys`, with more than `MAX_KEYS`
            of them, or without a usable one.
    """
    if len(content) > MAX_JWKS:
        raise UnusableKeys(f"is larger than {MAX_JWKS // 1024} KiB")
    try:
        listed = read_object(content).get("keys")
    except InvalidJson as error:
        raise UnusableKeys(str(error)) from None
    if not isinstance(listed, list):
        raise UnusableKeys("has no list of keys")
    if len(listed) > MAX_KEYS:
        raise UnusableKeys(f"has more than {MAX_KEYS} keys")
    found: dict[tuple[object, ...], IssuerKey] = {}
    skipped = []
    for number, entry in enumerate(listed):
        try:
            key = _key(entry)
        except _SkippedKey as reason:
            skipped.append(f"key {number + 1} {reason}")
        else:
            found.setdefault(_identity(entry), key)
    if not found:
        raise UnusableKeys(f"has no usable key{f': {skipped[0]}' if skipped else ''}")
    return IssuerKeySet(found.values(), skipped)


class _SkippedKey(Exception):
    """Why a key is not used."""


def _key(entry: object) -> IssuerKey:
    """The key of an entry.

    Raises:
        _SkippedKey: it is not used.
    """
    if not isinstance(entry, dict):
        raise _SkippedKey("is not an object")
    if any(member in entry for member in _PRIVATE):
        raise _SkippedKey("is not a public key")
    if entry.get("use", "sig") not in _USES:
        raise _SkippedKey("is not for signatures")
    operations = entry.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise _SkippedKey("is not for verification")
    key_id, algorithm = entry.get("kid"), entry.get("alg")
    if not isinstance(key_id, str | None) or not isinstance(algorithm, str | None):
        raise _SkippedKey("has a kid or alg that is no text")
    key_type = _key_type(entry)
    if algorithm is not None and ALGORITHMS.get(algorithm) is not key_type:
        raise _SkippedKey("is for an algorithm that is not accepted")
    return IssuerKey(key_id, key_type, algorithm, _imported(entry, key_type))


def _key_type(entry: Mapping[str, Any]) -> KeyType:
    kind, curve = entry.get("kty"), entry.get("crv")
    if kind == "RSA":
        return KeyType.RSA
    found = _CURVES.get((kind, curve)) if isinstance(kind, str) and isinstance(curve, str) else None
    if found is None:
        raise _SkippedKey("is of an unknown type")
    return found


def _imported(entry: Mapping[str, Any], key_type: KeyType) -> RSAKey | ECKey | OKPKey:
    # joserfc gets nothing else, so that it interprets nothing else.
    members: dict[str, Any] = {name: entry[name] for name in _PUBLIC[entry["kty"]] if name in entry}
    try:
        if key_type is KeyType.RSA:
            _check_rsa(_integer(members.get("n")), _integer(members.get("e")))
            return RSAKey.import_key(members)
        return OKPKey.import_key(members) if key_type is KeyType.ED25519 else ECKey.import_key(members)
    except (JoseError, ValueError):
        raise _SkippedKey("is malformed") from None


def _check_rsa(modulus: int, exponent: int) -> None:
    bits = modulus.bit_length()
    if not MIN_RSA <= bits <= MAX_RSA:
        raise _SkippedKey(f"is an RSA key of {bits} bits, not {MIN_RSA} to {MAX_RSA}")
    if not MIN_EXPONENT <= exponent <= MAX_EXPONENT:
        raise _SkippedKey("is an RSA key with an unusual exponent")


def _integer(text: object) -> int:
    """A number in base64url (RFC 7518, section 2).

    Raises:
        ValueError: it is none.
    """
    if not isinstance(text, str):
        raise ValueError("no text")  # noqa: TRY004 - handled like any other malformed number
    return int.from_bytes(decode_base64url(text), "big")


def _identity(entry: Mapping[str, Any]) -> tuple[object, ...]:
    """What two entries with the same key have in common. The entry has been imported, so that all of it is text."""
    return tuple(entry.get(name) for name in ("kid", "alg", *_PUBLIC[entry["kty"]]))
