"""What can be done with stored credentials: make, rotate, end and list them. Every change is whole and on disk."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, select, update

from tokenserver.access_keys import RANDOM_BYTES, AccessKey, compose_key
from tokenserver.credentials import AccessKeyForm
from tokenserver.errors import TokenserverError
from tokenserver.storage.credential import ACTIVE, ENDED, CredentialRow, StoredCredential, opened, row_of
from tokenserver.storage.database import Database
from tokenserver.storage.seals import new_row, sealed
from tokenserver.storage.state_keys import StateKeys
from tokenserver.storage.tables import credentials, uses


class TooManyCredentials(TokenserverError):
    """The owner has as many live credentials of this form as there may be. The text says how to go on."""


class NoSuchCredential(TokenserverError):
    """There is no live credential with this id."""


@dataclass(frozen=True, slots=True)
class Use:
    """When (seconds since the epoch) and from where a credential was used; exact to a minute."""

    last: int
    last_from: str
    first_from: str
    times: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A credential as lists show it. `ended` is None while it is active; it may have expired all the same."""

    credential: StoredCredential
    use: Use | None
    ended: int | None
    ended_by: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which credentials are meant: those for which everything holds that is not None."""

    ids: frozenset[str] | None = None
    forms: frozenset[AccessKeyForm] | None = None
    owner: str | None = None
    source: str | None = None
    before: int | None = None
    """Made before this moment, in seconds since the epoch."""

    @property
    def where(self) -> ColumnElement[bool]:
        """The condition in SQL."""
        table = credentials.c
        found: list[ColumnElement[bool]] = [table.id == table.id]
        if self.ids is not None:
            found.append(table.id.in_(sorted(self.ids)))
        if self.forms is not None:
            found.append(table.form.in_(sorted(map(str, self.forms))))
        if self.owner is not None:
            found.append(table.owner == self.owner)
        if self.source is not None:
            found.append(table.source == self.source)
        if self.before is not None:
            found.append(table.created < self.before)
        return and_(*found)


class _Made(NamedTuple):
    """A new credential with its key, and the row that was stored."""

    key: AccessKey
    row: CredentialRow
    credential: StoredCredential


class CredentialStore:
    """The stored credentials of a server. `now` gives seconds since the epoch, `random` so many random bytes.

    `applied` is called with the rows of each change once it is on disk, such as `CredentialIndex.apply`.
    """

    def __init__(
        self,
        database: Database,
        keys: StateKeys,
        *,
        now: Callable[[], float],
        random: Callable[[int], bytes] = secrets.token_bytes,
        applied: Callable[[Sequence[CredentialRow]], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._keys = keys
        self._now = now
        self._random = random
        self._applied = applied

    def create(self, wanted: StoredCredential, *, at_most: int) -> tuple[AccessKey, StoredCredential]:
        """Store a new credential like `wanted`, whose `id` and `created` are filled in; its key, which is kept nowhere.

        `at_most` is how many live ones of this form, owner and name (for robots: of this owner) there may be.

        Raises:
            TooManyCredentials: there are as many already.
            StorageUnavailable: nothing was stored.
        """
        key, row, made = self._database.write(lambda connection, rev: self._create(connection, rev, wanted, at_most))
        self._applied([row])
        return key, made

    def rotate(self, identifier: str, *, ends: int, overlap: int, by: str) -> tuple[AccessKey, StoredCredential]:
        """A successor of a live credential, with the same owner and limits, valid until `ends`.

        The old one ends after `overlap` seconds, or at its own end if that comes first.

        Raises:
            NoSuchCredential: there is no live one with this id.
            TooManyCredentials: it is being rotated already.
            StorageUnavailable: nothing was changed.
        """

        def work(connection: Connection, rev: int) -> tuple[_Made, CredentialRow]:
            table = credentials.c
            row = self._live(connection, identifier)
            old = opened(row)
            now = int(self._now())
            live = (table.replaces == identifier, table.state == ACTIVE, table.ends > now)
            taken = select(table.id).where(*live)
            if connection.execute(taken).first() is not None:
                raise TooManyCredentials(f"{identifier} is being rotated already; fix: revoke the newer one first")
            wanted = replace(old, ends=ends, created_by=by, replaces=identifier)
            made = self._insert(connection, rev, wanted)
            cut = sealed(self._keys.by_number[row.pepper].seal, row._replace(ends=min(row.ends, now + overlap)))
            statement = update(credentials).where(table.id == identifier, table.state == ACTIVE)
            connection.execute(statement.values(ends=cut.ends, seal=cut.seal, rev=rev))
            return made, cut._replace(rev=rev)

        made, cut = self._database.write(work)
        self._applied([made.row, cut])
        return made.key, made.credential

    def end(self, selection: Selection, *, by: str, reason: str) -> list[str]:
        """End all live credentials of the selection; their ids, maybe none. They never come back.

        Raises:
            StorageUnavailable: none was ended.
        """

        def work(connection: Connection, rev: int) -> list[CredentialRow]:
            table = credentials.c
            live = and_(selection.where, table.state == ACTIVE)
            values = {"state": ENDED, "ended": int(self._now()), "ended_by": by, "reason": reason, "rev": rev}
            found = connection.execute(update(credentials).where(live).values(values).returning(*table))
            return [CredentialRow(*row) for row in found]

        ended = self._database.write(work)
        self._applied(ended)
        return sorted(row.id for row in ended)

    def listed(self, selection: Selection) -> list[Listed]:
        """The credentials of the selection, the newest first, also those that ended not long ago.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        joined = credentials.outerjoin(uses)
        columns = (*credentials.c, uses.c.last, uses.c.last_from, uses.c.first_from, uses.c.times)
        statement = select(*columns).select_from(joined).where(selection.where)
        ordered = statement.order_by(credentials.c.created.desc(), credentials.c.id)
        width = len(CredentialRow._fields)
        rows = self._database.read(lambda connection: connection.execute(ordered).all())
        return [_listed(CredentialRow(*row[:width]), row[width:]) for row in rows]

    def _create(self, connection: Connection, rev: int, wanted: StoredCredential, at_most: int) -> _Made:
        table, now = credentials.c, int(self._now())
        same = (table.owner == wanted.owner, table.source == wanted.source, table.form == str(wanted.form))
        live = select(table.id).where(*same, table.state == ACTIVE, table.ends > now)
        if len(connection.execute(live).all()) >= at_most:
            raise TooManyCredentials(f"{wanted.owner} has {at_most} live ones, the limit; fix: revoke one first")
        return self._insert(connection, rev, wanted)

    def _insert(self, connection: Connection, rev: int, wanted: StoredCredential) -> _Made:
        key = compose_key(wanted.form, self._random(RANDOM_BYTES))
        made = replace(wanted, id=key.id, created=int(self._now()))
        newest = self._keys.newest
        row = new_row(
            row_of(made, digest=b"", pepper=0),
            key,
            pepper=newest.pepper,
            pepper_number=newest.number,
            seal_key=newest.seal,
        )._replace(rev=rev)
        connection.execute(credentials.insert().values(row._asdict()))
        return _Made(key, row, made)

    def _live(self, connection: Connection, identifier: str) -> CredentialRow:
        table = credentials.c
        statement = select(credentials).where(table.id == identifier, table.state == ACTIVE, table.ends > self._now())
        row = connection.execute(statement).first()
        if row is None:
            raise NoSuchCredential(f"there is no live credential {identifier}")
        return CredentialRow(*row)


def _listed(row: CredentialRow, use: Iterable[object]) -> Listed:
    last, last_from, first_from, times = use
    used = None if last is None else Use(int(str(last)), str(last_from), str(first_from), int(str(times)))
    return Listed(opened(row), used, row.ended, row.ended_by, row.reason)
