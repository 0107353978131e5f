"""Makes the first content of the folder of keys, and loads it. `folder` says what stands where.

Several replicas may share the folder. What is loaded is checked in full; nothing half made is ever used.
"""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.serialization import Encoding

from tokenserver.documents.files import read_text, write_file
from tokenserver.errors import Fault, LoadError
from tokenserver.keys.certificates import (
    SIGNING_LIFETIME,
    generate_p256,
    generate_private_key,
    issue_certificate,
    make_ca,
    new_key_id,
    private_pem,
)
from tokenserver.keys.layout import KeyFolder
from tokenserver.keys.ring import Algorithm, KeyRing
from tokenserver.keys.ring_file import RingEntry, write_entries
from tokenserver.keys.ring_reader import LIMIT, RingReading

PUBLIC_MODE = 0o644
PRIVATE_MODE = 0o600

_READINGS = 3


class _NewFile(NamedTuple):
    path: Path
    content: bytes
    mode: int


def init_keys(
    folder: Path, *, issuer: str, algorithm: Algorithm, now: datetime, lifetime: timedelta = SIGNING_LIFETIME
) -> bool:
    """Make the token CA and the first signing key in `folder`, which is created (0700) if it is not there.

    `issuer` becomes the certificates' common name, `lifetime` is that of the signing certificate. True where keys
    were made; False, and nothing was touched, where there are keys already. Of several processes that try at once
    exactly one gets True, and the others return when the keys are whole.

    Raises:
        LoadError: the folder is unsafe or cannot be written, or holds half of a set of keys, which is never
            overwritten; each with what mends it.
    """
    place = KeyFolder(folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.require_safe()
        with place.locked():
            if place.why_no_keys() is None:
                return False
            found = ", ".join(path.name for path in place.leftovers())
            if found:
                message = f"holds {found} but no {place.ring.name}, so nothing was overwritten; {place.mend()}"
                raise LoadError([Fault(str(folder), 0, "", message)])
            _write(place, _new_files(place, issuer, algorithm, now, lifetime))
    except OSError as error:
        raise LoadError([Fault(str(folder), 0, "", f"keys cannot be made here: {error.strerror}")]) from error
    return True


def load_keys(folder: Path, *, now: datetime, dates: bool = True) -> KeyRing:
    """Load and check all keys. The CA's private key need not be there, nor be readable; it is not kept.

    Without `dates`, signing certificates that have expired are loaded as well. A ring that another process replaces
    meanwhile is read again.

    Raises:
        LoadError: every fault of every file: others can read or change it, it is missing, garbage, weak, expired,
            or does not belong to the rest.
    """
    place = KeyFolder(folder)
    place.require_safe()
    missing = place.why_no_keys()
    if missing is not None:
        raise LoadError([Fault(str(place.ring), 0, "", missing)])
    for _ in range(_READINGS):
        reading = RingReading(place, now, dates=dates)
        try:
            return reading.ring()
        except LoadError as error:
            refused = error
        # A key that the ring does not name any more is removed right after the ring was replaced.
        if not _was_replaced(place, reading.text):
            break
    raise refused


def _was_replaced(place: KeyFolder, text: str) -> bool:
    try:
        return read_text(place.ring, limit=LIMIT) != text
    except LoadError:
        return False


def _new_files(
    place: KeyFolder, issuer: str, algorithm: Algorithm, now: datetime, lifetime: timedelta
) -> list[_NewFile]:
    """All files, in the order in which they are written: the ring last, since it makes the rest count."""
    ca_key = generate_p256()
    ca = make_ca(ca_key, issuer=issuer, now=now)
    key = generate_private_key(algorithm)
    certificate = issue_certificate(key, ca=ca, ca_key=ca_key, issuer=issuer, now=now, lifetime=lifetime)
    key_id = new_key_id(certificate, now)
    return [
        _NewFile(place.private_key(key_id), private_pem(key), PRIVATE_MODE),
        _NewFile(place.certificate(key_id), certificate.public_bytes(Encoding.PEM), PUBLIC_MODE),
        _NewFile(place.ca_key, private_pem(ca_key), PRIVATE_MODE),
        _NewFile(place.ca_certificate, ca.public_bytes(Encoding.PEM), PUBLIC_MODE),
        _NewFile(place.ring, write_entries([RingEntry(id=key_id, state="active", since=now)]), PUBLIC_MODE),
    ]


def _write(place: KeyFolder, files: list[_NewFile]) -> None:
    """Write all files or, where that fails, none."""
    place.signing.mkdir(mode=0o700)
    written: list[Path] = []
    try:
        for file in files:
            write_file(file.path, file.content, mode=file.mode)
            written.append(file.path)
    except BaseException:
        with contextlib.suppress(OSError):
            for path in reversed(written):
                path.unlink()
            place.signing.rmdir()
        raise
