"""What followers read: all rows, those since a revision, last uses and totals; and what they write, the last uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, func, literal, not_, select, text, tuple_
from sqlalchemy.exc import SQLAlchemyError

from tokenserver.storage.connections.failures import unavailable
from tokenserver.storage.credential import ACTIVE, CredentialRow
from tokenserver.storage.database import Database
from tokenserver.storage.following.last_uses import NotedUse
from tokenserver.storage.following.missing_rows import UsedRow
from tokenserver.storage.following.packed_rows import PACKED
from tokenserver.storage.tables import credentials, uses

PAGE = 500
"""Changed rows of one query."""

USES_PAGE = 2_000
"""Last uses of one query, which takes some milliseconds."""

BATCH = 50
"""Rows between two rests of a load: some 0.2 milliseconds."""

_USED = select(*credentials.c, uses.c.last).select_from(credentials.outerjoin(uses))


class Total(NamedTuple):
    """Live credentials of one form: how many, and when the first of them ends that has no successor (None: none)."""

    live: int
    soonest: int | None


class EndingSoon(NamedTuple):
    """A live credential without a successor that ends soon; `ends` in seconds since the epoch."""

    id: str
    form: str
    owner: str
    name: str
    ends: int


class CredentialReader:
    """The queries of a follower on a database. All raise `StorageUnavailable` if it does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def revision(self) -> int:
        """The revision of the last change."""
        return self._database.revision()

    def row(self, identifier: str) -> UsedRow | None:
        """The row with this id, and its last use."""
        table = credentials.c
        statement = _USED.where(table.id == identifier)
        found = self._database.read(lambda connection: connection.execute(statement).first())
        return None if found is None else UsedRow(CredentialRow(*found[:-1]), found[-1])

    def changed(self, since: int) -> Iterator[list[CredentialRow]]:
        """The rows with a higher revision, in its order, page by page."""
        at: tuple[int, str] = (since, "~")  # behind every id
        place = tuple_(credentials.c.rev, credentials.c.id)
        while True:
            newer = place > tuple_(literal(at[0]), literal(at[1]))
            statement = select(credentials).where(newer).order_by(credentials.c.rev, credentials.c.id).limit(PAGE)
            rows = [CredentialRow(*row) for row in self._all(statement)]
            if rows:
                yield rows
            if len(rows) < PAGE:
                return
            at = (rows[-1].rev, rows[-1].id)

    def everything(self, pace: Callable[[], None]) -> dict[str, bytes]:
        """All rows as of one moment, packed, by id. `pace` is called after every few rows."""
        try:
            # Not by `read`, which limits the whole; here each wait for the database is limited.
            with self._database.engine.connect() as connection:
                return _packed_rows(connection, pace)
        except SQLAlchemyError as error:
            raise unavailable(error) from error

    def last_uses(self, since: int) -> Iterator[dict[str, int]]:
        """The last uses since a moment, of credentials that end if they are idle, page by page."""
        table, at = credentials.c, ""
        idle = and_(table.id == uses.c.id, table.idle.is_not(None), table.state == ACTIVE)
        statement = select(uses.c.id, uses.c.last).where(uses.c.last >= since, idle).order_by(uses.c.id)
        while True:
            found: dict[str, int] = dict(self._all(statement.where(uses.c.id > at).limit(USES_PAGE)))
            if found:
                yield found
            if len(found) < USES_PAGE:
                return
            at = next(reversed(found))

    def totals(self, now: int) -> dict[str, Total]:
        """The totals of each form at `now`."""
        live, last = _live(now), not_(_has_successor(now))
        counts = select(credentials.c.form, func.count()).where(live).group_by(credentials.c.form)
        soonest = (
            select(credentials.c.form, func.min(credentials.c.ends)).where(live, last).group_by(credentials.c.form)
        )
        ends = {form: int(end) for form, end in self._all(soonest)}
        return {form: Total(int(count), ends.get(form)) for form, count in self._all(counts)}

    def ending(self, now: int, until: int, *, forms: frozenset[str], limit: int) -> list[EndingSoon]:
        """The credentials of these forms that end before `until` and have no successor, the soonest first."""
        table = credentials.c
        wanted = and_(_live(now), table.ends < until, table.form.in_(sorted(forms)), not_(_has_successor(now)))
        columns = (table.id, table.form, table.owner, table.name, table.ends)
        statement = select(*columns).where(wanted).order_by(table.ends, table.id).limit(limit)
        return [EndingSoon(*row) for row in self._all(statement)]

    def write_uses(self, noted: Mapping[str, NotedUse]) -> None:
        """Write last uses; those of credentials that are gone are dropped."""
        rows = [{"id": identifier, **noted[identifier]._asdict()} for identifier in sorted(noted)]
        if rows:
            self._database.note(lambda connection: connection.execute(_USE, rows))

    def _all(self, statement: Any) -> list[Any]:
        return self._database.read(lambda connection: list(connection.execute(statement).all()))


# In the order of ids, so that two processes wait for each other's rows and not in a circle.
_USE = text(
    """
    INSERT INTO uses (id, last, last_from, first_from, times)
    SELECT id, CAST(:last AS bigint), CAST(:last_from AS text), CAST(:first_from AS text), CAST(:times AS bigint)
    FROM credentials WHERE id = :id
    ON CONFLICT (id) DO UPDATE SET
      last_from = CASE WHEN excluded.last >= uses.last THEN excluded.last_from ELSE uses.last_from END,
      last = CASE WHEN excluded.last >= uses.last THEN excluded.last ELSE uses.last END,
      times = uses.times + excluded.times
    """
)


def _packed_rows(connection: Connection, pace: Callable[[], None]) -> dict[str, bytes]:
    """All rows, by a cursor of the driver itself: making rows of SQLAlchemy would take longer than all the rest.

    What cannot be read is found out at the first use of a row.
    """
    found: dict[str, bytes] = {}
    dialect, driver = connection.dialect, connection.connection
    # A named cursor is one on the server; without a name, the driver of PostgreSQL would fetch all rows first.
    named = {"name": "credentials", "binary": True} if dialect.name == "postgresql" else {}
    cursor: Any = driver.cursor(**named)
    try:
        cursor.execute(f"SELECT id, {PACKED[dialect.name]} FROM credentials")  # noqa: S608 - constants of ours
        while rows := cursor.fetchmany(BATCH):
            found.update(rows)
            pace()
    except dialect.loaded_dbapi.Error as error:
        raise unavailable(error) from error
    finally:
        cursor.close()
    return found


def _live(now: int) -> Any:
    table = credentials.c
    return and_(table.state == ACTIVE, table.ends > now)


def _has_successor(now: int) -> Any:
    newer = credentials.alias("newer")
    ids = select(newer.c.replaces).where(newer.c.replaces.is_not(None), newer.c.state == ACTIVE, newer.c.ends > now)
    return credentials.c.id.in_(ids)
