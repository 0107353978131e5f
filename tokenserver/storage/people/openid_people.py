"""People of OpenID providers in the storage: pinned at the first login, with the groups of the last answer, sealed.

Importing this imports SQLAlchemy, so it is imported only where a storage is configured.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Connection, delete, or_, select, update

from tokenserver.credentials import Secret
from tokenserver.storage.boxes import Boxes, UnreadableBox
from tokenserver.storage.credential import ACTIVE, ENDED
from tokenserver.storage.database import Database
from tokenserver.storage.people.openid_person import NotThisPerson, OpenIdPerson
from tokenserver.storage.people.row_seals import RowSeals
from tokenserver.storage.state_keys import StateKeys
from tokenserver.storage.tables import people

CLAIM_SECONDS = 60
"""For how long nobody else asks a provider about a person after somebody began to."""


class PersonRow(NamedTuple):
    """One row of the table `people`. Moments are whole seconds since the epoch, `groups` is a JSON list.

    `upstream` is a box with the provider's refresh token, `claimed` when somebody began to use it. `pepper` is the
    number of the state key of the seal.
    """

    source: str
    sub: str
    subject: str
    groups: str
    seen: int
    asked: int
    not_before: int
    state: int
    upstream: bytes | None
    claimed: int | None
    pepper: int
    seal: bytes
    rev: int


_SEALED = ("source", "sub", "subject", "groups", "seen", "asked", "not_before", "state")
_TABLE = people.c


class OpenIdPeople:
    """The people of all providers of a server. `now` gives seconds since the epoch."""

    def __init__(self, database: Database, keys: StateKeys, *, now: Callable[[], float]) -> None:
        self._database = database
        self._seals = RowSeals(keys, purpose="openid person", columns=_SEALED)
        self._boxes = Boxes(keys)
        self._now = now

    def find(self, source: str, subject: str) -> OpenIdPerson | None:
        """The person of this name; None if nobody has logged in by it, or the row is not what this server wrote.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        return self._one(_TABLE.source == source, _TABLE.subject == subject)

    def by_sub(self, source: str, sub: str) -> OpenIdPerson | None:
        """The person whom the provider calls `sub`, as `find`.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        return self._one(_TABLE.source == source, _TABLE.sub == sub)

    def listed(self, source: str | None = None) -> list[OpenIdPerson]:
        """Everybody who has logged in, by source and name.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        statement = select(people).where(*(() if source is None else (_TABLE.source == source,)))
        ordered = statement.order_by(_TABLE.source, _TABLE.subject)
        rows = self._database.read(lambda connection: connection.execute(ordered).all())
        return [_opened(row) for row in map(PersonRow._make, rows) if self._seals.is_genuine(row)]

    def log_in(
        self, source: str, *, sub: str, subject: str, groups: frozenset[str], upstream: Secret | None = None
    ) -> OpenIdPerson:
        """Record a login; the first one pins `sub` and `subject` to each other for good.

        `upstream` is the refresh token of the provider, if it gives one.

        Raises:
            NotThisPerson: one of the two is pinned already, to something else.
            StorageUnavailable: nothing was recorded.
        """
        now = int(self._now())
        box = None if upstream is None else self._box(source, sub, upstream)

        def work(connection: Connection, rev: int) -> OpenIdPerson:
            found = connection.execute(
                select(people).where(_TABLE.source == source, or_(_TABLE.sub == sub, _TABLE.subject == subject))
            ).all()
            rows = [PersonRow(*row) for row in found]
            for row in rows:
                if (row.sub, row.subject) != (sub, subject):
                    raise NotThisPerson(row.subject if row.sub == sub else None)
            # Otherwise deleting or changing a row would bring back what the provider has ended.
            before = rows[0].not_before if rows and self._seals.is_genuine(rows[0]) else now
            wanted = PersonRow(source, sub, subject, _spelled(groups), now, now, before, ACTIVE, box, None, 0, b"", rev)
            return self._put(connection, wanted, is_new=not rows)

        return self._database.write(work)

    def claim(self, person: OpenIdPerson) -> Secret | None:
        """The refresh token of the provider, for the only caller that may use it now; None if there is none, or another
        one uses it.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        now = int(self._now())
        free = or_(_TABLE.claimed.is_(None), _TABLE.claimed <= now - CLAIM_SECONDS)
        whose = (_TABLE.source == person.source, _TABLE.sub == person.sub)
        # Whoever read an older answer may not claim: the refresh token has been replaced since then.
        statement = update(people).where(*whose, _TABLE.asked == person.asked, free, _TABLE.upstream.is_not(None))

        def work(connection: Connection, rev: int) -> bytes | None:
            found = connection.execute(statement.values(claimed=now, rev=rev).returning(_TABLE.upstream)).first()
            return None if found is None else bytes(found[0])

        box = self._database.write(work)
        if box is None:
            return None
        try:
            return Secret(self._boxes.open(box, about=_about(person.source, person.sub)).decode())
        except (UnreadableBox, UnicodeDecodeError):
            return None

    def answered(self, person: OpenIdPerson, groups: frozenset[str], upstream: Secret | None) -> OpenIdPerson:
        """Record that the provider still knows the person, in these groups. `upstream`: None: the old one stays.

        Raises:
            StorageUnavailable: nothing was recorded.
        """
        now = int(self._now())
        box = None if upstream is None else self._box(person.source, person.sub, upstream)

        def change(row: PersonRow) -> PersonRow:
            kept = row.upstream if box is None else box
            return row._replace(groups=_spelled(groups), asked=now, upstream=kept, claimed=None)

        return self._change(person, change)

    def end(self, person: OpenIdPerson) -> OpenIdPerson:
        """End what was made for the person until now; the next login makes them active again.

        Raises:
            StorageUnavailable: nothing was ended.
        """
        now = int(self._now())
        return self._change(
            person,
            lambda row: row._replace(state=ENDED, not_before=max(now, row.not_before + 1), upstream=None, claimed=None),
        )

    def refuse(self, person: OpenIdPerson) -> OpenIdPerson:
        """Refuse the person until the next login, after which what was made before works again.

        Raises:
            NotThisPerson: the name has been freed.
            StorageUnavailable: nothing was changed.
        """
        return self._change(person, lambda row: row._replace(state=ENDED, upstream=None, claimed=None))

    def unpin(self, source: str, subject: str) -> bool:
        """Forget the person, so that the name can be somebody else's; whether there was one.

        Raises:
            StorageUnavailable: nothing was changed.
        """
        statement = delete(people).where(_TABLE.source == source, _TABLE.subject == subject)
        return self._database.write(lambda connection, _: connection.execute(statement).rowcount) == 1

    def _change(self, person: OpenIdPerson, change: Callable[[PersonRow], PersonRow]) -> OpenIdPerson:
        whose = (_TABLE.source == person.source, _TABLE.sub == person.sub, _TABLE.subject == person.subject)

        def work(connection: Connection, rev: int) -> OpenIdPerson:
            found = connection.execute(select(people).where(*whose)).first()
            row = None if found is None else PersonRow(*found)
            if row is None or not self._seals.is_genuine(row):
                raise NotThisPerson(None)
            return self._put(connection, change(row)._replace(rev=rev), is_new=False)

        return self._database.write(work)

    def _put(self, connection: Connection, row: PersonRow, *, is_new: bool) -> OpenIdPerson:
        pepper, seal = self._seals.of(row)
        row = row._replace(pepper=pepper, seal=seal)
        if is_new:
            connection.execute(people.insert(), row._asdict())
        else:
            whose = (_TABLE.source == row.source, _TABLE.sub == row.sub)
            connection.execute(update(people).where(*whose).values(row._asdict()))
        return _opened(row)

    def _one(self, *where: object) -> OpenIdPerson | None:
        statement = select(people).where(*where)  # type: ignore[arg-type]  # comparisons of columns
        found = self._database.read(lambda connection: connection.execute(statement).first())
        row = None if found is None else PersonRow(*found)
        return None if row is None or not self._seals.is_genuine(row) else _opened(row)

    def _box(self, source: str, sub: str, upstream: Secret) -> bytes:
        return self._boxes.close(upstream.reveal().encode(), about=_about(source, sub))


def _about(source: str, sub: str) -> bytes:
    return f"upstream\0{source}\0{sub}".encode()


def _spelled(groups: frozenset[str]) -> str:
    return json.dumps(sorted(groups))


def _opened(row: PersonRow) -> OpenIdPerson:
    groups = frozenset(map(str, json.loads(row.groups)))
    is_active, is_rechecked = row.state == ACTIVE, row.upstream is not None
    return OpenIdPerson(
        row.source, row.sub, row.subject, groups, row.seen, row.asked, row.not_before, is_active, is_rechecked
    )
