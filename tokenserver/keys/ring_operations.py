"""Operations on the key ring of a folder: create, import, switch to and remove signing keys, one change at a time.

Each operation takes the folder's lock, reads the current ring, decides, and ends by replacing `ring.json` atomically.
New files are written before that and old ones removed after it, so that a crash leaves the ring as it was or as it
will be, and at most some unreferenced files.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tokenserver.documents.files import write_file
from tokenserver.errors import Fault, LoadError, TokenserverError
from tokenserver.keys.key_pair import KeyPair, issue_pair
from tokenserver.keys.layout import KeyFolder
from tokenserver.keys.ring import Algorithm, KeyRing, SigningKey
from tokenserver.keys.ring_file import RingEntry, State, write_entries
from tokenserver.keys.ring_reader import RingReading
from tokenserver.keys.schedule import RotationStep, Schedule, due
from tokenserver.keys.store import PRIVATE_MODE, PUBLIC_MODE, load_keys
from tokenserver.keys.validation import date_problem, parse_certificate
from tokenserver.printable import shell_word

PATIENCE_SECONDS = 10.0


class RingOperationRefused(TokenserverError):
    """The operation would do harm now, or does not apply; the text says when it is possible, or what to do instead."""


@dataclass(frozen=True, slots=True)
class RingChange:
    """The step that was performed, its key, and the new ring."""

    step: RotationStep
    key_id: str
    ring: KeyRing


@dataclass(frozen=True, slots=True)
class RingOperations:
    """Operations on a folder's ring. `issuer` is the common name of new certificates, `algorithm` that of new keys;
    None: that of the active key.

    Every method raises `LoadError`, with the fix, if the keys have faults or the folder is not writable, and its
    subclass `KeysBusy` if another process held the lock for longer than `patience` seconds.
    """

    folder: Path
    issuer: str
    schedule: Schedule
    patience: float = PATIENCE_SECONDS
    algorithm: Algorithm | None = None

    def can_issue(self) -> bool:
        """Whether the token CA's private key exists and is readable."""
        return os.access(KeyFolder(self.folder).ca_key, os.R_OK)

    def advance(self, now: datetime) -> RingChange | None:
        """Perform the step that is due, if any: another process may have performed it already."""
        with self._locked() as place:
            ring = load_keys(self.folder, now=now)
            match due(ring, self.schedule, now):
                case RotationStep.PREPARE:
                    return self._prepare(place, ring, self.algorithm or ring.active.algorithm, now)
                case RotationStep.SWITCH:
                    return self._switch(place, ring, now)
                case RotationStep.FORGET:
                    expired = [key for key in ring.retired if self.schedule.gone_at(key) <= now]
                    return self._drop(place, ring, expired, now)
                case None:  # pragma: no branch - the type checker proves that nothing else is left
                    return None

    def prepare(self, now: datetime, algorithm: Algorithm | None = None) -> RingChange:
        """Create the next key, of `algorithm` if that is given, and publish it.

        Raises:
            RingOperationRefused: there is a next key already.
        """
        with self._locked() as place:
            ring = self._load(now)
            if ring.next:
                raise RingOperationRefused(f"the key {ring.next[0].id} is published as next already")
            return self._prepare(place, ring, algorithm or self.algorithm or ring.active.algorithm, now)

    def switch(self, now: datetime, *, early: bool = False) -> RingChange:
        """Make the next key active, and retire the active one.

        Raises:
            RingOperationRefused: there is no next key; or, unless `early`, it has not been published long enough.
        """
        with self._locked() as place:
            ring = self._load(now)
            if not ring.next:
                raise RingOperationRefused(
                    "there is no next key to switch to; create one with: tokenserver keys rotate"
                )
            at = self.schedule.switch_at(ring.next[0])
            # Once the certificate has expired, registries reject every token anyway, so switching loses nothing.
            if now < at and not early and now < ring.active.not_after:
                raise RingOperationRefused(
                    f"the key {ring.next[0].id} may sign from {at:%Y-%m-%d %H:%M:%S} UTC on; until then some registry"
                    " or replica may not know it (--now switches anyway)"
                )
            return self._switch(place, ring, now)

    def emergency(self, now: datetime, key_id: str | None = None) -> RingChange:
        """Remove a key immediately, by default the active one, which the next key or a new one then replaces.

        The files of the removed key may be damaged. It is no longer published, and its files are deleted. Other keys
        that are unusable leave the ring as well; their files stay.

        Raises:
            RingOperationRefused: there is no such key.
        """
        with self._locked() as place:
            reading = RingReading(place, now, dates=False)
            entries = reading.entries()
            if reading.faults:
                raise LoadError(reading.faults)
            states = {entry.id: entry.state for entry in entries}
            leaked = key_id or next(entry.id for entry in entries if entry.state == "active")
            if leaked not in states:
                raise RingOperationRefused(f"no key here has the id {leaked}; existing ids: {', '.join(states)}")
            # A ring with an unusable key would not load, and the leaked one would continue to sign.
            others = [entry for entry in entries if entry.id != leaked]
            rest = [entry for entry in others if entry.state == "active" or self._is_fit(place, entry, now)]
            if states[leaked] == "active":
                rest = self._with_another_active(place, rest, now)
            self._commit(place, rest)
            _remove(place, [leaked])
            return RingChange(
                RotationStep.SWITCH if states[leaked] == "active" else RotationStep.FORGET, leaked, self._load(now)
            )

    def retire(self, key_id: str, now: datetime, *, early: bool = False) -> RingChange:
        """Remove a key that does not sign: a next one, or a retired one whose last token has expired.

        Raises:
            RingOperationRefused: it is the active key; it is unknown; or, unless `early`, its tokens are still valid.
        """
        with self._locked() as place:
            ring = self._load(now)
            state = ring.state_of(key_id)
            if state is None:
                known = ", ".join(key.id for key in ring.published())
                raise RingOperationRefused(f"no key here has the id {key_id}; existing ids: {known}")
            if state == "active":
                raise RingOperationRefused(f"the key {key_id} signs; replace it with: tokenserver keys rotate")
            key = next(key for key in ring.published() if key.id == key_id)
            gone_at = self.schedule.gone_at(key)
            if state == "retired" and now < gone_at and not early:
                raise RingOperationRefused(
                    f"tokens of the key {key_id} are valid until {gone_at:%Y-%m-%d %H:%M:%S} UTC"
                )
            return self._drop(place, ring, [key], now)

    def import_pair(self, pair: KeyPair, now: datetime) -> RingChange:
        """Add a key from elsewhere to the ring as the next one, or in a folder with just a CA, as the active one.

        Raises:
            RingOperationRefused: the key is in the ring already, or another one is next.
        """
        with self._locked() as place:
            if place.has_only_ca():
                place.signing.mkdir(mode=0o700, exist_ok=True)
                entries = [RingEntry(id=pair.id, state="active", since=now)]
                self._add(place, pair, entries)
                return RingChange(RotationStep.SWITCH, pair.id, self._load(now))
            ring = self._load(now)
            public = pair.certificate.public_key()
            if any(key.public_key == public for key in ring.published()):
                raise RingOperationRefused(f"the key {pair.id} is in the ring already")
            if ring.next:
                first = ring.next[0].id
                command = f"tokenserver keys retire {shell_word(first)}"
                raise RingOperationRefused(f"the key {first} is next already; remove it with: {command}")
            entries = [*_entries(ring), RingEntry(id=pair.id, state="next", since=now)]
            self._add(place, pair, entries)
            return RingChange(RotationStep.PREPARE, pair.id, self._load(now))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[KeyFolder]:
        place = KeyFolder(self.folder)
        place.require_safe()
        try:
            with place.changing(patience=self.patience):
                yield place
        except OSError as error:
            message = f"the keys cannot be changed here: {error.strerror}"
            raise LoadError([Fault(str(self.folder), 0, "", message)]) from error

    def _load(self, now: datetime) -> KeyRing:
        return load_keys(self.folder, now=now, dates=False)

    def _prepare(self, place: KeyFolder, ring: KeyRing, algorithm: Algorithm, now: datetime) -> RingChange:
        pair = self._issue(place, algorithm, now)
        entries = [*_entries(ring), RingEntry(id=pair.id, state="next", since=now)]
        self._add(place, pair, entries)
        return RingChange(RotationStep.PREPARE, pair.id, self._load(now))

    def _switch(self, place: KeyFolder, ring: KeyRing, now: datetime) -> RingChange:
        first = ring.next[0]
        problem = date_problem(parse_certificate(first.certificate_pem.encode("ascii")), now)
        if problem is not None:
            raise LoadError([Fault(str(place.certificate(first.id)), 0, "", problem)])
        moved = {first.id: _entry(first, "active", now), ring.active.id: _entry(ring.active, "retired", now)}
        self._commit(place, [moved.get(entry.id, entry) for entry in _entries(ring)])
        return RingChange(RotationStep.SWITCH, first.id, self._load(now))

    def _drop(self, place: KeyFolder, ring: KeyRing, keys: list[SigningKey], now: datetime) -> RingChange:
        ids = [key.id for key in keys]
        self._commit(place, [entry for entry in _entries(ring) if entry.id not in ids])
        _remove(place, ids)
        return RingChange(RotationStep.FORGET, ", ".join(ids), self._load(now))

    def _with_another_active(self, place: KeyFolder, rest: list[RingEntry], now: datetime) -> list[RingEntry]:
        """`rest` with a new active key: the first next one that is valid, else a new one."""
        for entry in rest:
            if entry.state == "next" and self._fit_key(place, entry, now).not_before <= now:
                active = RingEntry(id=entry.id, state="active", since=now)
                return [active if one is entry else one for one in rest]
        pair = self._issue(place, self._algorithm(now), now)
        _write_pair(place, pair)
        return [RingEntry(id=pair.id, state="active", since=now), *rest]

    def _is_fit(self, place: KeyFolder, entry: RingEntry, now: datetime) -> bool:
        try:
            self._fit_key(place, entry, now)
        except LoadError:
            return False
        return True

    def _fit_key(self, place: KeyFolder, entry: RingEntry, now: datetime) -> SigningKey:
        reading = RingReading(place, now)
        key = reading.signing_key(entry, reading.ca())
        if reading.faults or key is None:
            raise LoadError(reading.faults)
        return key

    def _algorithm(self, now: datetime) -> Algorithm:
        """The algorithm of a new key: that of the active key, if its files can be read."""
        if self.algorithm is not None:
            return self.algorithm
        try:
            return self._load(now).active.algorithm
        except LoadError:
            return Algorithm.ES256

    def _issue(self, place: KeyFolder, algorithm: Algorithm, now: datetime) -> KeyPair:
        lifetime = self.schedule.certificate_lifetime
        return issue_pair(place, issuer=self.issuer, algorithm=algorithm, lifetime=lifetime, now=now)

    def _add(self, place: KeyFolder, pair: KeyPair, entries: list[RingEntry]) -> None:
        _write_pair(place, pair)
        try:
            self._commit(place, entries)
        except BaseException:
            _remove(place, [pair.id])
            raise

    def _commit(self, place: KeyFolder, entries: list[RingEntry]) -> None:
        write_file(place.ring, write_entries(entries), mode=PUBLIC_MODE)


def _entries(ring: KeyRing) -> list[RingEntry]:
    """The entries of the current ring, the active key first."""
    keys: list[tuple[State, tuple[SigningKey, ...]]] = [
        ("active", (ring.active,)),
        ("next", ring.next),
        ("retired", ring.retired),
    ]
    return [RingEntry(id=key.id, state=state, since=key.since) for state, some in keys for key in some]


def _entry(key: SigningKey, state: State, now: datetime) -> RingEntry:
    return RingEntry(id=key.id, state=state, since=now)


def _write_pair(place: KeyFolder, pair: KeyPair) -> None:
    """Write both files or none."""
    try:
        write_file(place.private_key(pair.id), pair.key_pem, mode=PRIVATE_MODE)
        write_file(place.certificate(pair.id), pair.certificate_pem, mode=PUBLIC_MODE)
    except BaseException:
        _remove(place, [pair.id])
        raise


def _remove(place: KeyFolder, ids: list[str]) -> None:
    """Delete the files of keys that the ring no longer names. `keys list` reports those that cannot be deleted."""
    for key_id in ids:
        for path in (place.private_key(key_id), place.certificate(key_id)):
            with contextlib.suppress(OSError):
                path.unlink()
