"""Makes and verifies raw JWS signatures (RFC 7518, section 3; RFC 8037, section 3.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from tokenserver.errors import TokenserverError

_ECDSA = {
    "ES256": ("secp256r1", 32, ec.ECDSA(SHA256())),
    "ES384": ("secp384r1", 48, ec.ECDSA(SHA384())),
    "ES512": ("secp521r1", 66, ec.ECDSA(SHA512())),
}
"""The curve, the bytes of each half of a signature, and the scheme of each algorithm."""

_HASHES: dict[str, HashAlgorithm] = {"256": SHA256(), "384": SHA384(), "512": SHA512()}
_RSA = {
    **{f"RS{bits}": (padding.PKCS1v15(), digest) for bits, digest in _HASHES.items()},
    **{f"PS{bits}": (padding.PSS(padding.MGF1(one), one.digest_size), one) for bits, one in _HASHES.items()},
}


class _FixedScheme(ec.ECDSA):
    """A scheme whose properties are plain attributes: the library asks for both of them at each signature."""

    algorithm: Any = None
    deterministic_signing: Any = False

    def __init__(self, scheme: ec.ECDSA) -> None:
        super().__init__(scheme.algorithm, scheme.deterministic_signing)
        self.algorithm, self.deterministic_signing = scheme.algorithm, scheme.deterministic_signing


def _repeatable(scheme: ec.ECDSA) -> ec.ECDSA | None:
    """The same scheme with nonces derived from key and content (RFC 6979); None if OpenSSL is older than 3.2."""
    try:
        return _FixedScheme(ec.ECDSA(scheme.algorithm, deterministic_signing=True))
    except UnsupportedAlgorithm:
        return None


_DIGESTS = {"ES256": hashlib.sha256, "ES384": hashlib.sha384, "ES512": hashlib.sha512}
_RANDOM_ECDSA = {f"ES{bits}": ec.ECDSA(Prehashed(digest)) for bits, digest in _HASHES.items()}
_REPEATABLE_ECDSA = {name: scheme for name in _ECDSA if (scheme := _repeatable(_RANDOM_ECDSA[name])) is not None}
"""Content is hashed by Python's own library before it is signed, which takes a few microseconds less."""


_INTEGER = 2
"""The tag of a DER integer."""

_LONG_FORM = 130
"""The smallest DER encoding, in bytes, whose length takes more than one byte. Only signatures of ES512 are as long."""


class SignatureMismatch(TokenserverError):
    """The signature does not verify with this key and content."""


class SignatureLength(SignatureMismatch):
    """The signature does not have the length that the algorithm requires."""


class AlgorithmMismatch(SignatureMismatch):
    """The algorithm is unknown or does not fit the type of key."""


def is_repeatable(algorithm: str) -> bool:
    """Whether `signer` returns the same signature for the same key and content each time."""
    return algorithm in _REPEATABLE_ECDSA or algorithm == "EdDSA" or algorithm.startswith("RS")


def signer(key: Any, algorithm: str) -> Callable[[bytes], bytes]:
    """A function that signs content with a private key; `algorithm` is the JWS `alg` and fits the key.

    Raises:
        AlgorithmMismatch: the algorithm is unknown.
    """
    if algorithm in _ECDSA:
        width, digest_of = _ECDSA[algorithm][1], _DIGESTS[algorithm]
        scheme = _REPEATABLE_ECDSA.get(algorithm, _RANDOM_ECDSA[algorithm])

        def signed(content: bytes) -> bytes:
            return raw_of(key.sign(digest_of(content).digest(), scheme), width)

        return signed
    if algorithm in _RSA:
        padded, digest = _RSA[algorithm]
        return lambda content: bytes(key.sign(content, padded, digest))
    if algorithm == "EdDSA":
        return lambda content: bytes(key.sign(content))
    raise AlgorithmMismatch


def raw_of(signature: bytes, width: int) -> bytes:
    """The two halves of an ECDSA signature of the library's, each of `width` bytes, from their DER encoding.

    The lengths of both halves must add up to that of the whole, in the form of one byte (X.690, section 8.1.3.4). Then
    they are read here, in a third of the time that the library takes; it reads everything else.

    Raises:
        ValueError, IndexError, OverflowError: it is no signature, or one of a larger curve.
    """
    # 30 LENGTH, 02 LENGTH R, 02 LENGTH S. A zero precedes a half whose first bit is set.
    size, of_r = len(signature), signature[3]
    r, s = signature[4 : 4 + of_r], signature[6 + of_r :]
    is_short = signature[1] + 2 == size == 6 + of_r + signature[5 + of_r] < _LONG_FORM
    if is_short and signature[4 + of_r] == _INTEGER and of_r <= width + 1 >= len(s):
        return r[-width:].rjust(width, b"\0") + s[-width:].rjust(width, b"\0")
    first, second = decode_dss_signature(signature)
    return first.to_bytes(width, "big") + second.to_bytes(width, "big")


def verify_signature(key: object, algorithm: str, signature: bytes, content: bytes) -> None:
    """Verify `signature` over `content` with a public key; `algorithm` is the JWS `alg`.

    Raises:
        SignatureMismatch: it does not verify; `AlgorithmMismatch` and `SignatureLength` if it cannot.
    """
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and algorithm in _ECDSA:
            curve, width, scheme = _ECDSA[algorithm]
            if key.curve.name != curve:
                raise AlgorithmMismatch
            if len(signature) != 2 * width:
                raise SignatureLength
            r, s = int.from_bytes(signature[:width], "big"), int.from_bytes(signature[width:], "big")
            key.verify(encode_dss_signature(r, s), content, scheme)
        elif isinstance(key, rsa.RSAPublicKey) and algorithm in _RSA:
            scheme_of_rsa, digest = _RSA[algorithm]
            key.verify(signature, content, scheme_of_rsa, digest)
        elif isinstance(key, ed25519.Ed25519PublicKey) and algorithm == "EdDSA":
            key.verify(signature, content)
        else:
            raise AlgorithmMismatch
    except InvalidSignature:
        raise SignatureMismatch from None
