"""What can be done with stored credentials: make, rotate, end and list them. Every change is whole and on disk."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Connection, select, update

from tokenserver.access_keys import RANDOM_BYTES, AccessKey, compose_key
from tokenserver.storage.changes import (
    ActingLogin,
    MadeCredential,
    NoSuchCredential,
    Recorded,
    RotatedAlready,
    TooManyCredentials,
    unrecorded,
)
from tokenserver.storage.credential import (
    ACTIVE,
    ENDED,
    SORT_LETTERS,
    CredentialRow,
    StoredCredential,
    UnreadableCredential,
    WorkloadProof,
    opened,
    row_of,
)
from tokenserver.storage.database import Database
from tokenserver.storage.people.epochs import end_logins_until, is_storable, require_later, require_live
from tokenserver.storage.seals import is_sealed, new_row, sealed
from tokenserver.storage.selection import LISTED, Listed, Owner, Selection, Use, live_of
from tokenserver.storage.state_keys import StateKeys
from tokenserver.storage.tables import credentials

__all__ = ["CredentialStore", "Listed", "NoSuchCredential", "Selection", "TooManyCredentials", "Use"]


class CredentialStore:
    """The stored credentials of a server. `now` gives seconds since the epoch, `random` random bytes by number.

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
        self.database = database
        self.keys = keys
        self._now = now
        self._random = random
        self._applied = applied

    def on_behalf_of(self, login: ActingLogin) -> CredentialStore:
        """The same for changes that this login asks for: each raises `OutdatedLogin` if it has ended by then."""
        guarded = self.database.guarded(partial(require_live, login=login))
        return CredentialStore(guarded, self.keys, now=self._now, random=self._random, applied=self._applied)

    def require_live(self, login: ActingLogin) -> None:
        """Check that this login has not ended until now; raises as `on_behalf_of`, or `StorageUnavailable`."""
        self.database.read(partial(require_live, login=login))

    def create(
        self, wanted: StoredCredential, *, at_most: int, verified: int | None = None, recorded: Recorded = unrecorded
    ) -> tuple[AccessKey, StoredCredential]:
        """Store a new credential like `wanted`, whose `id` and `created` are filled in; its key, which is kept nowhere.

        `at_most` is how many live ones of this form its owner may have. `verified`: see `Identity.verified`.

        Raises:
            TooManyCredentials: there are as many already.
            OutdatedLogin: all logins of the owner were ended after the one that asks for it was verified.
            StorageUnavailable: nothing was stored.
        """

        def work(connection: Connection, rev: int) -> MadeCredential:
            require_later(connection, verified, source=wanted.source, subject=wanted.owner)
            self._require_room(connection, wanted, at_most)
            made = self._insert(connection, rev, wanted)
            recorded(made.credential)
            return made

        made = self.database.write(work)
        self._applied([made.row])
        return made.key, made.credential

    def create_in_place(
        self,
        wanted: StoredCredential,
        *,
        at_most: int,
        by: str,
        reason: str,
        verified: int | None = None,
        proof: WorkloadProof | None = None,
    ) -> tuple[AccessKey, StoredCredential, tuple[str, ...]]:
        """As `create`, but of too many, `by` ends the ones that were unused for longest; their ids come third.

        Raises:
            OutdatedLogin: as `create`.
            StorageUnavailable: nothing was stored, and none was ended.
        """

        def work(connection: Connection, rev: int) -> tuple[MadeCredential, list[CredentialRow]]:
            require_later(connection, verified, source=wanted.source, subject=wanted.owner, proof=proof)
            live = live_of(connection, wanted, now=int(self._now()))
            surplus = Selection(ids=frozenset(live[: max(0, len(live) - at_most + 1)]))
            return self._insert(connection, rev, wanted), self._end(connection, rev, surplus, by, reason)

        made, ended = self.database.write(work)
        self._applied([made.row, *ended])
        return made.key, made.credential, tuple(sorted(row.id for row in ended))

    def rotate(
        self,
        identifier: str,
        *,
        ends: int,
        overlap: int,
        by: str,
        at_most: int | None = None,
        verified: int | None = None,
        recorded: Recorded = unrecorded,
    ) -> tuple[AccessKey, StoredCredential]:
        """A successor of a live credential, with the same owner and limits, valid until `ends`.

        The old one ends after `overlap` seconds, or at its own end if that comes first. `at_most` is how many live ones
        of this form the owner may have meanwhile; None: any number.

        Raises:
            NoSuchCredential: there is no live one with this id, or its seal is wrong.
            RotatedAlready, TooManyCredentials: it is being rotated, or there are as many.
            OutdatedLogin: as `create`.
            StorageUnavailable: nothing was changed.
        """

        def work(connection: Connection, rev: int) -> tuple[MadeCredential, CredentialRow]:
            table, now = credentials.c, int(self._now())
            row = self._live(connection, identifier)
            require_later(connection, verified, source=row.source, subject=row.owner)
            live = (table.replaces == identifier, table.state == ACTIVE, table.ends > now)
            if connection.execute(select(table.id).where(*live)).first() is not None:
                raise RotatedAlready(f"{identifier} is being rotated already; fix: revoke the newer one first")
            wanted = replace(opened(row), ends=ends, created_by=by, replaces=identifier)
            self._require_room(connection, wanted, at_most)
            made = self._insert(connection, rev, wanted)
            cut = sealed(self.keys.by_number[row.pepper].seal, row._replace(ends=min(row.ends, now + overlap)))
            statement = update(credentials).where(table.id == identifier, table.state == ACTIVE)
            if connection.execute(statement.values(ends=cut.ends, seal=cut.seal, rev=rev)).rowcount != 1:
                raise NoSuchCredential(f"there is no live credential {identifier}")
            recorded(made.credential)
            return made, cut._replace(rev=rev)

        made, cut = self.database.write(work)
        self._applied([made.row, cut])
        return made.key, made.credential

    def rename(self, identifier: str, name: str, *, recorded: Recorded = unrecorded) -> StoredCredential:
        """The same live credential by another name.

        Raises:
            NoSuchCredential: there is no live one with this id, or its seal is wrong.
            StorageUnavailable: nothing was changed.
        """

        def work(connection: Connection, rev: int) -> tuple[CredentialRow, StoredCredential]:
            table = credentials.c
            row = self._live(connection, identifier)
            renamed = sealed(self.keys.by_number[row.pepper].seal, row._replace(name=name, rev=rev))
            statement = update(credentials).where(table.id == identifier, table.state == ACTIVE)
            if connection.execute(statement.values(name=name, seal=renamed.seal, rev=rev)).rowcount != 1:
                raise NoSuchCredential(f"there is no live credential {identifier}")
            credential = opened(renamed)
            recorded(credential)
            return renamed, credential

        row, credential = self.database.write(work)
        self._applied([row])
        return credential

    def end(
        self,
        selection: Selection,
        *,
        by: str,
        reason: str,
        recorded: Callable[[Sequence[str]], None] = unrecorded,
        also: Callable[[Connection, int], object] = unrecorded,
    ) -> list[str]:
        """End all live credentials of the selection; their ids, maybe none. They never come back.

        Logins in flight of those whose credentials it has cannot store any; see `Selection.whose`.

        `recorded` is called with the ids in the transaction, see `Recorded`; `also` changes more in it.

        Raises:
            StorageUnavailable: none was ended.
        """

        def work(connection: Connection, rev: int) -> list[CredentialRow]:
            ended = self._end(connection, rev, selection, by, reason)
            also(connection, rev)
            recorded(sorted(row.id for row in ended))
            return ended

        ended = self.database.write(work)
        self._applied(ended)
        return sorted(row.id for row in ended)

    def listed(self, selection: Selection) -> list[Listed]:
        """The credentials of the selection, the newest first, also those that ended not long ago.

        Rows that cannot be read are left out; `storage check` reports them.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        statement = LISTED.where(selection.where)
        rows = self.database.read(lambda connection: connection.execute(statement).all())
        found = [self._listed(tuple(row)) for row in rows]
        return [one for one in found if one is not None and selection.has(one.credential)]

    def owners(self) -> list[Owner]:
        """Everybody who has live credentials, once.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        table = credentials.c
        live = (table.state == ACTIVE, table.ends > int(self._now()))
        statement = select(table.sort, table.source, table.owner).where(*live).distinct()
        rows = self.database.read(lambda connection: connection.execute(statement).all())
        sorts = {letter: sort for sort, letter in SORT_LETTERS.items()}
        return sorted(Owner(sorts[row.sort], row.source, row.owner) for row in rows if row.sort in sorts)

    def is_genuine(self, row: CredentialRow) -> bool:
        """Whether the row is what this server wrote: its seal is right, by a state key that is known here."""
        key = self.keys.by_number.get(row.pepper)
        return key is not None and is_sealed(key.seal, row)

    def _end(self, connection: Connection, rev: int, selection: Selection, by: str, reason: str) -> list[CredentialRow]:
        table = credentials.c
        if selection.whose is not None:
            end_logins_until(connection, rev, selection.whose, now=int(self._now()), before=selection.before)
        live = selection.narrowed(connection, table.state == ACTIVE)
        values = {"state": ENDED, "ended": int(self._now()), "ended_by": by, "reason": reason, "rev": rev}
        found = connection.execute(update(credentials).where(live).values(values).returning(*table))
        return [CredentialRow(*row) for row in found]

    def _require_room(self, connection: Connection, wanted: StoredCredential, at_most: int | None) -> None:
        if at_most is not None and len(live_of(connection, wanted, now=int(self._now()))) >= at_most:
            raise TooManyCredentials(f"{wanted.owner} has {at_most} live ones, the limit; fix: revoke one first")

    def _insert(self, connection: Connection, rev: int, wanted: StoredCredential) -> MadeCredential:
        key = compose_key(wanted.form, self._random(RANDOM_BYTES))
        made = replace(wanted, id=key.id, created=int(self._now()))
        newest = self.keys.newest
        row = new_row(
            row_of(made, digest=b"", pepper=0),
            key,
            pepper=newest.pepper,
            pepper_number=newest.number,
            seal_key=newest.seal,
        )._replace(rev=rev)
        connection.execute(credentials.insert(), row._asdict())
        return MadeCredential(key, row, made)

    def _live(self, connection: Connection, identifier: str) -> CredentialRow:
        """The row of a live credential that this server wrote: resealing another one would make it genuine."""
        table = credentials.c
        live = (table.id == identifier, table.state == ACTIVE, table.ends > int(self._now()))
        row = connection.execute(select(credentials).where(*live)).first() if is_storable(identifier) else None
        if row is None:
            raise NoSuchCredential(f"there is no live credential {identifier}")
        if not self.is_genuine(CredentialRow(*row)):
            message = "was changed in the database, or made with a state key that is missing here; fix: make a new one"
            raise NoSuchCredential(f"the credential {identifier} {message}")
        return CredentialRow(*row)

    def _listed(self, values: tuple[Any, ...]) -> Listed | None:
        width = len(CredentialRow._fields)
        row = CredentialRow(*values[:width])
        use = None if values[width] is None else Use(*values[width:])
        try:
            return Listed(opened(row), use, row.ended, row.ended_by, row.reason, self.is_genuine(row))
        except UnreadableCredential:
            return None
