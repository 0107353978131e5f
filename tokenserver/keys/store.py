"""The key store: initialises and loads the folder of keys, whose files are described in `layout`.

Several replicas may share the folder. Everything that is loaded is validated; partial content is never used.
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
    """Create the token CA and the first signing key in `folder`, which is created (0700) if it does not exist.

    `issuer` becomes the certificates' common name, `lifetime` is that of the signing certificate. Returns true if keys
    were made, false if there were keys already; these are not touched. Of several concurrent processes exactly one gets
    true, and the others return when the keys are complete.

    Raises:
        LoadError: the folder is unsafe or not writable, or contains an incomplete set of keys, which is never
            overwritten; each with its fix.
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
                message = f"holds {found} but no {place.ring.name}, so nothing was overwritten; {place.recovery()}"
                raise LoadError([Fault(str(folder), 0, "", message)])
            _write(place, _new_files(place, issuer, algorithm, now, lifetime))
    except OSError as error:
        raise LoadError([Fault(str(folder), 0, "", f"keys cannot be made here: {error.strerror}")]) from error
    return True


def load_keys(folder: Path, *, now: datetime, dates: bool = True) -> KeyRing:
    """Load and validate all keys. The CA's private key may be missing or unreadable; it is not kept in memory.

    Without `dates`, expired signing certificates are accepted. If another process replaces the ring in the meantime, it
    is read again.

    Raises:
        LoadError: every fault of every file: others can read or change it, it is missing, malformed, weak or expired,
            or does not match the other files.
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
        # The files of a key are removed right after a ring that no longer names it was written.
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
    """All files in the order in which they are written: the ring comes last, since it makes the others count."""
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
    """Write all files, or none if that fails."""
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
