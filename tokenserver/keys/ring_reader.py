"""Reads and validates the files of one key folder; a fault in one file does not hide those of others."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from tokenserver.documents.files import read_file, read_text
from tokenserver.errors import Fault, LoadError
from tokenserver.keys.certificates import signing_key
from tokenserver.keys.layout import KeyFolder
from tokenserver.keys.ring import KeyRing, PrivateKey, SigningKey
from tokenserver.keys.ring_file import RingEntry, State, read_entries
from tokenserver.keys.validation import (
    UnfitKey,
    belongs_to,
    ca_problem,
    certificate_problem,
    date_problem,
    parse_certificate,
    parse_private_key,
    signing_algorithm,
)

LIMIT = 64 * 1024

CaKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_Result = TypeVar("_Result")


class RingReading:
    """One pass over the files; collects their faults in `faults`.

    Without `dates`, an expired signing certificate is not a fault, so that a ring that cannot serve can be changed.
    """

    def __init__(self, place: KeyFolder, now: datetime, *, dates: bool = True) -> None:
        self.faults: list[Fault] = []
        self.text = ""
        self._place = place
        self._now = now
        self._dates = dates

    def ring(self) -> KeyRing:
        """The whole ring.

        Raises:
            LoadError: every fault of every file.
        """
        entries = self.entries()
        ca = self.ca()
        loaded: dict[State, list[SigningKey]] = {"next": [], "active": [], "retired": []}
        for entry in entries:
            key = self.signing_key(entry, ca)
            if key is not None:
                loaded[entry.state].append(key)
        if self.faults or ca is None:
            raise LoadError(self.faults)
        return KeyRing(
            # Encoded again from the parsed certificate, so that nothing else in the file is published.
            ca_certificate_pem=ca.public_bytes(Encoding.PEM).decode("ascii"),
            ca_not_after=ca.not_valid_after_utc,
            active=loaded["active"][0],
            next=tuple(loaded["next"]),
            retired=tuple(loaded["retired"]),
        )

    def entries(self) -> tuple[RingEntry, ...]:
        """The keys and their states; none if the file has faults."""
        path = self._place.ring

        def read() -> tuple[RingEntry, ...]:
            self.text = read_text(path, limit=LIMIT)
            return read_entries(self.text, str(path))

        return self._attempt(path, read) or ()

    def ca(self) -> x509.Certificate | None:
        """The validated token CA; its private key is validated as well if it can be read."""
        path, key_path = self._place.ca_certificate, self._place.ca_key
        ca = self._certificate(path)
        if ca is not None:
            self._note(path, ca_problem(ca, self._now))
        # The private key may be missing or belong to another user: nothing here signs with it.
        if os.access(key_path, os.R_OK):
            key = self._private_key(key_path)
            if ca is not None and key is not None and not belongs_to(ca, key):
                self._note(key_path, f"is not the key of {path}; copy both files from the same place")
        return ca

    def ca_key(self) -> CaKey | None:
        """The token CA's private key; None if it has faults. `ca` checks that it belongs to the CA."""
        key = self._private_key(self._place.ca_key)
        return key if isinstance(key, CaKey) else None

    def signing_key(self, entry: RingEntry, ca: x509.Certificate | None) -> SigningKey | None:
        """One signing key with its certificate issued by `ca`; None if anything is wrong with it."""
        path, key_path = self._place.certificate(entry.id), self._place.private_key(entry.id)
        certificate = self._certificate(path)
        if certificate is not None and self._must_be_valid(entry.state, certificate):
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
        return signing_key(entry.id, algorithm, key, certificate, since=entry.since or self._since_change(entry.state))

    def _must_be_valid(self, state: State, certificate: x509.Certificate) -> bool:
        """A retired key no longer signs. A next one may not be valid yet, if its maker's clock is ahead."""
        if state == "next":
            return self._dates and self._now >= certificate.not_valid_before_utc
        return self._dates and state == "active"

    def _since_change(self, state: State) -> datetime | None:
        """When a state began that has no recorded time: at the last change of `ring.json`, unless it is `active`."""
        if state == "active":
            return None
        try:
            changed = self._place.ring.stat().st_mtime
        except OSError:
            return self._now
        return datetime.fromtimestamp(changed, UTC)

    def _certificate(self, path: Path) -> x509.Certificate | None:
        return self._attempt(path, lambda: parse_certificate(read_file(path, limit=LIMIT)))

    def _private_key(self, path: Path) -> PrivateKey | None:
        return self._attempt(path, lambda: parse_private_key(read_file(path, private=True, limit=LIMIT)))

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
