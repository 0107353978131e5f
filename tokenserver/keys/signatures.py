"""Verifies raw JWS signatures (RFC 7518, section 3; RFC 8037, section 3.1)."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
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


class SignatureMismatch(TokenserverError):
    """The signature does not verify with this key and content."""


class SignatureLength(SignatureMismatch):
    """The signature does not have the length that the algorithm requires."""


class AlgorithmMismatch(SignatureMismatch):
    """The algorithm is unknown or does not fit the type of key."""


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
