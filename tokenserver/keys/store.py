"""Makes the first content of the folder of keys, and loads it. `folder` says what stands where.

Several replicas may share the folder. What is loaded is checked in full; nothing half made is ever used.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tokenserver.errors import Fault, LoadError
from tokenserver.files import read_file, read_text, write_file
from tokenserver.keys.certificates import (
    generate_p256,
    generate_private_key,
    issue_certificate,
    make_ca,
    private_pem,
    signing_key,
)
from tokenserver.keys.checks import (
    UnfitKey,
    belongs_to,
    ca_problem,
    certificate_problem,
    date_problem,
    parse_certificate,
    parse_private_key,
    signing_algorithm,
)
from tokenserver.keys.folder import KeyFolder
from tokenserver.keys.ring import Algorithm, KeyRing, PrivateKey, SigningKey
from tokenserver.keys.states import State, read_states, write_states

SIGNING_WARNING = timedelta(days=30)
CA_WARNING = timedelta(days=180)
"""A new CA has to be brought to every registry, so its end is announced long before."""

PUBLIC_MODE = 0o644
PRIVATE_MODE = 0o600
_LIMIT = 64 * 1024

_Result = TypeVar("_Result")


class _NewFile(NamedTuple):
    path: Path
    content: bytes
    mode: int


def init_keys(folder: Path, *, issuer: str, algorithm: Algorithm, now: datetime) -> bool:
    """Make the token CA and the first signing key in `folder`, which is created (0700) if it is not there.

    `issuer` becomes the certificates' common name. True where keys were made; False, and nothing was touched,
    where there are keys already. Of several processes that try at once exactly one gets True, and the others
    return when the keys are whole.

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
            _write(place, _new_files(place, issuer, algorithm, now))
    except OSError as error:
        raise LoadError([Fault(str(folder), 0, "", f"keys cannot be made here: {error.strerror}")]) from error
    return True


def load_keys(folder: Path, *, now: datetime) -> KeyRing:
    """Load and check all keys. The CA's private key need not be there, nor be readable; it is not kept.

    Raises:
        LoadError: every fault of every file: others can read or change it, it is missing, garbage, weak, expired,
            or does not belong to the rest.
    """
    place = KeyFolder(folder)
    place.require_safe()
    missing = place.why_no_keys()
    if missing is not None:
        raise LoadError([Fault(str(place.ring), 0, "", missing)])
    reading = _Reading(place, now)
    states = reading.states()
    ca = reading.ca()
    loaded: dict[State, list[SigningKey]] = {"next": [], "active": [], "retired": []}
    for key_id, state in states.items():
        key = reading.signing_key(key_id, state, ca)
        if key is not None:
            loaded[state].append(key)
    if reading.faults or ca is None:
        raise LoadError(reading.faults)
    return KeyRing(
        # Written anew from what was parsed: whatever else stands in the file is not published.
        ca_certificate_pem=ca.public_bytes(Encoding.PEM).decode("ascii"),
        ca_not_after=ca.not_valid_after_utc,
        active=loaded["active"][0],
        next=tuple(loaded["next"]),
        retired=tuple(loaded["retired"]),
    )


def key_warnings(ring: KeyRing, now: datetime) -> list[str]:
    """What works now but will not for long, as sentences."""
    found = []
    for key in (ring.active, *ring.next):
        if key.not_after - now <= SIGNING_WARNING:
            found.append(
                f"the certificate of the signing key {key.id} {_ends(key.not_after, now)};"
                " registries then refuse every token that it signs: replace the keys before"
            )
    if ring.ca_not_after - now <= CA_WARNING:
        found.append(
            f"the token CA {_ends(ring.ca_not_after, now)}; every registry that trusts it needs a new one before"
        )
    return found


def _ends(not_after: datetime, now: datetime) -> str:
    days = (not_after - now).days
    return f"expires on {not_after:%Y-%m-%d}, in {days} days" if days >= 0 else f"expired on {not_after:%Y-%m-%d}"


def _new_files(place: KeyFolder, issuer: str, algorithm: Algorithm, now: datetime) -> list[_NewFile]:
    """All files, in the order in which they are written: the ring last, since it makes the rest count."""
    ca_key = generate_p256()
    ca = make_ca(ca_key, issuer=issuer, now=now)
    key = generate_private_key(algorithm)
    certificate = issue_certificate(key, ca=ca, ca_key=ca_key, issuer=issuer, now=now)
    digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
    key_id = f"{now:%Y-%m-%d}-{digest[:8]}"
    return [
        _NewFile(place.private_key(key_id), private_pem(key), PRIVATE_MODE),
        _NewFile(place.certificate(key_id), certificate.public_bytes(Encoding.PEM), PUBLIC_MODE),
        _NewFile(place.ca_key, private_pem(ca_key), PRIVATE_MODE),
        _NewFile(place.ca_certificate, ca.public_bytes(Encoding.PEM), PUBLIC_MODE),
        _NewFile(place.ring, write_states({key_id: "active"}), PUBLIC_MODE),
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


class _Reading:
    """Reads the files of one folder and collects what is wrong with them; no fault hides another file's."""

    def __init__(self, place: KeyFolder, now: datetime) -> None:
        self.faults: list[Fault] = []
        self._place = place
        self._now = now

    def states(self) -> dict[str, State]:
        """The states of the keys; none where the file is at fault."""
        path = self._place.ring
        return self._attempt(path, lambda: read_states(read_text(path, limit=_LIMIT), str(path))) or {}

    def ca(self) -> x509.Certificate | None:
        """The token CA, judged; its private key is judged too where it can be read."""
        path, key_path = self._place.ca_certificate, self._place.ca_key
        ca = self._certificate(path)
        if ca is not None:
            self._note(path, ca_problem(ca, self._now))
        # Kept away, or kept for another user: both are fine, since nothing here signs with it.
        if os.access(key_path, os.R_OK):
            key = self._private_key(key_path)
            if ca is not None and key is not None and not belongs_to(ca, key):
                self._note(key_path, f"is not the key of {path}; one of the two comes from somewhere else")
        return ca

    def signing_key(self, key_id: str, state: State, ca: x509.Certificate | None) -> SigningKey | None:
        """One signing key with its certificate under `ca`; None where anything is wrong with it."""
        path, key_path = self._place.certificate(key_id), self._place.private_key(key_id)
        certificate = self._certificate(path)
        if certificate is not None and state != "retired":  # nothing is signed with a retired key any more
            self._note(path, date_problem(certificate, self._now))
        key = self._private_key(key_path)
        if key is None:
            return None
        algorithm = self._attempt(key_path, lambda: signing_algorithm(key))
        if certificate is None:
            return None
        problem = certificate_problem(certificate, key, ca)
        self._note(path, problem)
        if problem is not None or algorithm is None:
            return None
        return signing_key(key_id, algorithm, key, certificate)

    def _certificate(self, path: Path) -> x509.Certificate | None:
        return self._attempt(path, lambda: parse_certificate(read_file(path, limit=_LIMIT)))

    def _private_key(self, path: Path) -> PrivateKey | None:
        return self._attempt(path, lambda: parse_private_key(read_file(path, private=True, limit=_LIMIT)))

    def _note(self, path: Path, problem: str | None) -> None:
        if problem is not None:
            self.faults.append(Fault(str(path), 0, "", problem))

    def _attempt(self, path: Path, read: Callable[[], _Result]) -> _Result | None:
        try:
            return read()
        except UnfitKey as error:
            self._note(path, str(error))
        except LoadError as error:
            self.faults.extend(error.faults)
        return None
