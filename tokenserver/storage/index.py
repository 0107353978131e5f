"""The credential index: all stored credentials in the memory of a worker, so that no request waits for the database.

A row is opened, with its seal checked, at its first use here. `following/` keeps the index current.
"""

from __future__ import annotations

import hmac
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from tokenserver.access_keys import digest_of
from tokenserver.credentials import Key
from tokenserver.storage.credential import ACTIVE, CredentialRow, StoredCredential, UnreadableCredential, opened
from tokenserver.storage.following.last_uses import LastUses
from tokenserver.storage.following.missing_rows import MissingRows, UsedRow
from tokenserver.storage.following.packed_rows import packed, revision_of, unpacked
from tokenserver.storage.seals import digest_of_key, is_sealed
from tokenserver.storage.state_keys import StateKeys
from tokenserver.storage.unavailable import StorageUnavailable

logger = logging.getLogger("tokenserver.storage")

Address = IPv4Address | IPv6Address

LEAST_GRACE = 5.0
"""Seconds without any look that are no outage: there is one every second, and it may run into its limits."""

MAX_OPENED = 20_000
"""How many credentials stay opened; opening one again takes some 20 microseconds."""

MAX_REPORTED = 10_000
"""How many refused rows are counted and reported."""

_NO_DIGEST = bytes(32)


class HeldCredential(NamedTuple):
    """A stored credential whose secret was presented; its seal is right.

    `ended` is why it has been ended, None while it is active; whether it has expired is the caller's business. A row
    that has changed is another object.
    """

    credential: StoredCredential
    ended: str | None
    uses: LastUses

    @property
    def used(self) -> int | None:
        """Its last use as of now in seconds since the epoch; None if it was never used.

        The last one here, or the last one in another process as of `LAG_SECONDS` ago; later ones may be unknown.
        """
        return self.uses.last(self.credential.id)


class _Opened(NamedTuple):
    """A row after its first use with the right key; without a credential it is refused.

    `hash` is the SHA-256 of the key, which is computed faster than the digest and is kept in memory only.
    """

    hash: bytes
    held: HeldCredential | None


class CredentialIndex:
    """The stored credentials as a worker knows them; empty at first. Safe for concurrent use by threads.

    `read` finds a row by its id in the database, with its last use, for ids that are missing here. Known credentials
    work for `grace` seconds after the last good look at the database. A line of the log is written if `is_first(line)`.
    """

    def __init__(
        self,
        keys: StateKeys,
        read: Callable[[str], UsedRow | None],
        *,
        grace: float,
        monotonic: Callable[[], float] = time.monotonic,
        is_first: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._keys = keys
        self.grace = grace
        self._monotonic = monotonic
        self._is_first = is_first
        self._missing = MissingRows(read, monotonic=monotonic)
        self._uses = LastUses()
        self.touch = self._uses.touch
        self._lock = threading.Lock()
        self._rows: dict[str, bytes] = {}
        self._opened: OrderedDict[str, _Opened] = OrderedDict()
        self._applied: dict[str, bytes] | None = None
        self._reported: set[bytes] = set()
        self._good_at: float | None = None
        self._outage: str | None = None
        self.revision = -1
        """The revision up to which all changes are here; -1 before the first load."""
        self.refused_rows = 0
        """How many rows were refused since the start because their seal is wrong or they cannot be read."""

    touch: Callable[[str, float, Address | None], None]
    """Record a use of a credential, by id, moment (seconds since the epoch) and address of the client."""

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def uses(self) -> LastUses:
        """The last uses that are not in the database yet."""
        return self._uses

    @property
    def outage(self) -> str | None:
        """Why the last look at the database failed; None if it did not."""
        return self._outage

    @property
    def age(self) -> float | None:
        """Seconds since the last good look at the database; None if there was none."""
        return None if self._good_at is None else self._monotonic() - self._good_at

    def verified(self, key: Key) -> HeldCredential | None:
        """The credential of this key, None if its id is unknown or its secret wrong, which takes the same work.

        A row whose seal is wrong is unknown, too.

        Raises:
            StorageUnavailable: the database has not answered for too long, or cannot be asked about an id that is new.
            Overloaded: too many requests wait for the same new id.
        """
        found = self._opened.get(key.id)
        if found is None or not hmac.compare_digest(digest_of(key.text), found.hash):
            return self._first_use(key)
        self._require_current()
        return found.held

    def is_current(self, identifier: str, held: object) -> bool:
        """Whether `held`, which `verified` returned for a key with this id, is what it would return now.

        False as well if the row was closed to make room, or if the database has not answered for too long.
        """
        found = self._opened.get(identifier)
        return found is not None and found.held is held and self._is_current()

    def apply(self, rows: Iterable[CredentialRow]) -> None:
        """Take over rows that are in the database, such as those that this process has written; older ones are left."""
        with self._lock:
            for row in rows:
                known = self._rows.get(row.id)
                if known is None or _is_newer(row, known):
                    self._put(row)

    def begin_load(self) -> None:
        """Before a load of all rows, so that rows which are applied meanwhile survive it."""
        with self._lock:
            self._applied = {}

    def replace(self, rows: dict[str, bytes], revision: int) -> None:
        """Put the packed rows of a load in force, which began with this revision. They are the index's from now on."""
        with self._lock:
            for identifier, one in (self._applied or {}).items():
                other = rows.get(identifier)
                if other is None or revision_of(other) <= revision_of(one):
                    rows[identifier] = one
            for identifier in [one for one in self._opened if rows.get(one) != self._rows.get(one)]:
                del self._opened[identifier]
            self._rows, self._applied, self.revision = rows, None, revision

    def looked(self) -> None:
        """Record a good look at the database."""
        self._good_at, self._outage = self._monotonic(), None

    def failed(self, reason: str) -> None:
        """Record that the database does not answer."""
        self._outage = reason

    def _first_use(self, key: Key) -> HeldCredential | None:
        data = self._rows.get(key.id)
        if data is None:
            data = self._looked_up(key.id)
        else:
            self._require_current()
        row = None if data is None else self._readable(key.id, data)
        state_key = self._keys.newest if row is None else self._keys.by_number.get(row.pepper, self._keys.newest)
        is_right = hmac.compare_digest(digest_of_key(state_key.pepper, key.text), row.digest if row else _NO_DIGEST)
        if row is None or not is_right:
            return None
        found = self._open(row, digest_of(key.text))
        with self._lock:
            if self._rows.get(key.id) == data:  # otherwise it has changed meanwhile
                self._opened[key.id] = found
                if len(self._opened) > MAX_OPENED:
                    self._opened.popitem(last=False)
        return found.held

    def _looked_up(self, identifier: str) -> bytes | None:
        """The row of an id that is missing here, from the database."""
        if self._outage is not None:
            raise StorageUnavailable(self._outage)
        found, is_certain = self._missing.find(identifier)
        if found is None:
            if self.revision < 0 and not is_certain:
                raise StorageUnavailable("the stored credentials are being loaded", retry_after=1)
            return None
        if found.last is not None:
            self._uses.learn({identifier: found.last})
        self.apply([found.row])
        if self.revision < 0:
            self.looked()  # the first load is still to come
        return self._rows.get(identifier)

    def _is_current(self) -> bool:
        # A look that is late is no outage yet; one that failed is, whatever the age of the last good one.
        grace = max(self.grace, LEAST_GRACE) if self._outage is None else self.grace
        return self._good_at is not None and self._monotonic() - self._good_at <= grace

    def _require_current(self) -> None:
        if not self._is_current():
            raise StorageUnavailable(self._outage or "has not been looked at for too long")

    def _put(self, row: CredentialRow) -> None:
        self._opened.pop(row.id, None)
        self._missing.forget(row.id)
        try:
            data = packed(row)
        except UnreadableCredential as error:
            self._rows.pop(row.id, None)
            self.unreadable(error)
            return
        self._rows[row.id] = data
        if self._applied is not None:
            self._applied[row.id] = data

    def _readable(self, identifier: str, data: bytes) -> CredentialRow | None:
        try:
            return unpacked(identifier, data)
        except UnreadableCredential as error:
            self.unreadable(error)
            return None

    def _open(self, row: CredentialRow, text_hash: bytes) -> _Opened:
        """The row after the check of its seal; without a credential if it must not be used."""
        state_key = self._keys.by_number.get(row.pepper, self._keys.newest)
        ended = None if row.state == ACTIVE else row.reason or "ended"
        held: HeldCredential | None = None
        if is_sealed(state_key.seal, row):
            try:
                held = HeldCredential(opened(row), ended, self._uses)
            except UnreadableCredential as error:
                self.unreadable(error)
        else:
            self._refuse(
                f"the stored credential {row.id} is refused: its seal is wrong, so that another program or another"
                f" state.key has written it; fix: tokenserver storage check",
                mark=row.seal,
            )
        return _Opened(text_hash, held)

    def unreadable(self, error: UnreadableCredential) -> None:
        """Report a row that cannot be read, and so is refused."""
        self._refuse(f"{error} and is refused; fix: tokenserver storage check")

    def _refuse(self, line: str, mark: bytes = b"") -> None:
        """Count and log a refused row, once for each version of it."""
        known = line.encode("utf-8", "surrogatepass") + mark
        if known in self._reported or len(self._reported) >= MAX_REPORTED:
            return
        self._reported.add(known)
        self.refused_rows += 1
        if self._is_first(line):
            logger.error("%s", line)


def _is_newer(row: CredentialRow, known: bytes) -> bool:
    """Whether the row replaces the known one. Changes that share a transaction share a revision; none revives a row."""
    before = revision_of(known)
    return row.rev > before or (row.rev == before and not (row.state == ACTIVE != unpacked(row.id, known).state))
