"""Verifies seals: by the token CA that issued their keys' certificates, or by a published key set."""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tokenserver.documents.tls_files import UNREADABLE_CERTIFICATE
from tokenserver.exchange.audit_chain.seal_text import NotASeal, Seal, UnknownSealKey, read_seal
from tokenserver.keys.jwk import thumbprint
from tokenserver.keys.ring import PublicKey
from tokenserver.keys.signatures import SignatureMismatch, verify_signature

SKEW = timedelta(minutes=10)
"""How much the clock of a server may have been wrong when its key was new, or about to expire."""

MAX_KNOWN = 1_000
"""Certificates whose verification is remembered; a server has a few a year."""


class SealKeys:
    """Whose seals are trusted: keys with a certificate by one of `authorities`, and those with one of the `thumbprints`
    (RFC 7638) of a key set.
    """

    def __init__(self, authorities: Sequence[x509.Certificate], thumbprints: Collection[str] = ()) -> None:
        self._authorities = authorities
        self._thumbprints = frozenset(thumbprints)
        self._known: dict[str, _Vouched] = {}

    def open_seal(self, text: str) -> Seal:
        """A seal of a trusted key, with a right signature, made while the key's certificate was valid.

        Raises:
            UnknownSealKey: nothing here vouches for the key.
            NotASeal: anything else that is wrong.
        """
        seal = read_seal(text)
        vouched = self._vouched(seal.certificates[0])
        try:
            verify_signature(vouched.key, seal.algorithm, seal.signature, seal.signed)
        except SignatureMismatch:
            raise NotASeal("its signature is wrong") from None
        try:
            time = datetime.fromisoformat(seal.time)
            is_valid = vouched.since - SKEW <= time <= vouched.until + SKEW
        except (ValueError, TypeError):
            is_valid = False
        if not is_valid:
            raise NotASeal("its time is not within that of its certificate")
        return seal

    def _vouched(self, encoded: str) -> _Vouched:
        known = self._known.get(encoded)
        if known is None:
            known = self._vouch(encoded)
            if len(self._known) < MAX_KNOWN:
                self._known[encoded] = known
        return known

    def _vouch(self, encoded: str) -> _Vouched:
        try:
            certificate = x509.load_der_x509_certificate(base64.b64decode(encoded, validate=True))
            key = certificate.public_key()
        except (*UNREADABLE_CERTIFICATE, UnsupportedAlgorithm):
            raise NotASeal("its certificate cannot be read") from None
        if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
            raise NotASeal("its key is of a kind that does not sign tokens")
        try:
            name = thumbprint(key)
        except KeyError:
            raise NotASeal("its key is on a curve that no token is signed with") from None
        if name not in self._thumbprints and not any(_is_issued_by(certificate, one) for one in self._authorities):
            raise UnknownSealKey(f"its key {name} is of none of the authorities and key sets given")
        return _Vouched(key, certificate.not_valid_before_utc, certificate.not_valid_after_utc)


class _Vouched(NamedTuple):
    """A key that is trusted, and from when to when."""

    key: PublicKey
    since: datetime
    until: datetime


def _is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
