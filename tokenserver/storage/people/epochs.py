"""Epochs: a login that was verified before all logins of its person were ended is too old to be stored.

Ends and logins are ordered by the revision of the database, not by clocks: a login notes which revision was known when
its verification began, and whatever stores it compares that with the epoch, in the transaction that inserts the row.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from sqlalchemy import Connection, func, select, text, tuple_

from tokenserver.errors import OutdatedLogin
from tokenserver.storage.tables import epochs

_TABLE = epochs.c


class Whose(NamedTuple):
    """Whose logins have ended: of a subject, or of what an OpenID provider calls a person (`sub`) or a session (`sid`).

    An empty `source` is any user source, an empty `name` everybody.
    """

    source: str
    kind: Literal["subject", "sub", "sid"]
    name: str


EVERYBODY = Whose("", "subject", "")


def end_logins_until(connection: Connection, rev: int, whose: Whose, *, now: int) -> None:
    """Refuse to store what was verified before this revision, in the transaction that ends what is stored already."""
    connection.execute(_END, {**whose._asdict(), "rev": rev, "made": now})


def require_later(connection: Connection, verified: int | None, whose: Iterable[Whose]) -> None:
    """Check that a login of this person was verified after the last end. The caller's transaction is `Database.write`.

    `verified` is the revision that was known when its verification began; None: no login vouched for what is stored.

    Raises:
        OutdatedLogin: it was not.
    """
    if verified is None:
        return
    names = {EVERYBODY, *whose}
    newest = select(func.max(_TABLE.rev)).where(tuple_(_TABLE.source, _TABLE.kind, _TABLE.name).in_(sorted(names)))
    found = connection.execute(newest).scalar_one()
    if found is not None and found > verified:
        raise OutdatedLogin(int(found))


def of_subject(source: str, subject: str) -> tuple[Whose, Whose]:
    """The epochs of a person of this source."""
    return Whose(source, "subject", subject), Whose("", "subject", subject)


_END = text(
    """
    INSERT INTO epochs (source, kind, name, rev, made) VALUES (:source, :kind, :name, :rev, :made)
    ON CONFLICT (source, kind, name) DO UPDATE SET rev = excluded.rev, made = excluded.made
    """
)
