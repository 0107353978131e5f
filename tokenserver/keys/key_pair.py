"""Key pairs for transfer between folders: a private key and its certificate in one PEM file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tokenserver.documents.files import read_file
from tokenserver.errors import Fault, LoadError
from tokenserver.keys.certificates import BACKDATED, generate_private_key, issue_certificate, new_key_id, private_pem
from tokenserver.keys.layout import KeyFolder, is_absent
from tokenserver.keys.ring import Algorithm, PrivateKey
from tokenserver.keys.ring_reader import LIMIT, CaKey, RingReading
from tokenserver.keys.validation import (
    UnfitKey,
    certificate_problem,
    date_problem,
    parse_certificate,
    parse_private_key,
    signing_algorithm,
)

_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]{1,40})-----.*?-----END \1-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key and its certificate. `id` becomes the name of their files."""

    id: str
    private_key: PrivateKey = field(repr=False)
    certificate: x509.Certificate = field(repr=False)

    @property
    def key_pem(self) -> bytes:
        """The private key in PEM."""
        return private_pem(self.private_key)

    @property
    def certificate_pem(self) -> bytes:
        """The certificate in PEM."""
        return self.certificate.public_bytes(Encoding.PEM)


def issue_pair(place: KeyFolder, *, issuer: str, algorithm: Algorithm, lifetime: timedelta, now: datetime) -> KeyPair:
    """A new signing key with a certificate issued by the token CA in the folder; only the CA is needed. Writes nothing.

    Raises:
        LoadError: the CA or its private key is missing or unusable.
    """
    ca, ca_key = read_ca(place, now)
    key = generate_private_key(algorithm)
    certificate = issue_certificate(key, ca=ca, ca_key=ca_key, issuer=issuer, now=now, lifetime=lifetime)
    return KeyPair(new_key_id(certificate, now), key, certificate)


def read_ca(place: KeyFolder, now: datetime) -> tuple[x509.Certificate, CaKey]:
    """The token CA with its private key.

    Raises:
        LoadError: every fault of both.
    """
    place.require_safe()
    if is_absent(place.ca_key):
        message = (
            "is not here, so no signing key can be made; run `tokenserver keys rotate --to FILE` where it is kept,"
            " and `tokenserver keys import FILE` here"
        )
        raise LoadError([Fault(str(place.ca_key), 0, "", message)])
    reading = RingReading(place, now)
    ca, key = reading.ca(), reading.ca_key()
    if reading.faults or ca is None or key is None:
        raise LoadError(reading.faults)
    return ca, key


def read_pair(path: Path, place: KeyFolder, now: datetime) -> KeyPair:
    """The pair in a file written by `keys rotate --to` or `keys export`, validated against the folder's token CA.

    Raises:
        LoadError: others can read the file, the key or the certificate is missing, they do not match each other or the
            CA, the key is weak, or the certificate has expired; or the folder has no valid token CA.
    """
    place.require_safe()
    reading = RingReading(place, now)
    ca = reading.ca()
    if reading.faults:
        raise LoadError(reading.faults)
    content = read_file(path, private=True, limit=LIMIT)
    blocks = [(match[1], match[0]) for match in _BLOCK.finditer(content)]
    keys = [block + b"\n" for name, block in blocks if name.endswith(b"PRIVATE KEY")]
    certificates = [block + b"\n" for name, block in blocks if name == b"CERTIFICATE"]
    if len(keys) != 1 or len(certificates) != 1:
        message = (
            "must contain one private key and one certificate in PEM, as `tokenserver keys rotate --to FILE` writes"
        )
        raise LoadError([Fault(str(path), 0, "", message)])
    try:
        key, certificate = parse_private_key(keys[0]), parse_certificate(certificates[0])
        signing_algorithm(key)
    except UnfitKey as error:
        problem: str | None = str(error)
    else:
        problem = certificate_problem(certificate, key, ca) or date_problem(certificate, now)
        if problem is None:
            return KeyPair(new_key_id(certificate, certificate.not_valid_before_utc + BACKDATED), key, certificate)
    raise LoadError([Fault(str(path), 0, "", str(problem))])
