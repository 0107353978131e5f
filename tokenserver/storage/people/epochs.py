"""Epochs: a login that was verified before all logins of its person were ended is too old to be stored.

Ends and logins are ordered by the revision of the database, not by clocks: a login notes which revision was known when
its verification began, and whatever stores it compares that with the epoch, in the transaction that inserts the row.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from sqlalchemy import Connection, text

from tokenserver.errors import OutdatedLogin


class Whose(NamedTuple):
    """Whose logins have ended: of a subject, or of what an OpenID provider calls a person (`sub`) or a session (`sid`).

    An empty `source` is any user source, an empty `name` everybody.
    """

    source: str
    kind: Literal["subject", "sub", "sid"]
    name: str

    @property
    def is_nobody(self) -> bool:
        """Whether there can be no such name: it is not in any row, so nothing needs to be ended."""
        return not self.name or not (is_storable(self.name) and is_storable(self.source))


EVERYBODY = Whose("", "subject", "")


def is_storable(text: str) -> bool:
    """Whether a database can have this text, which clients may have sent: one with a NUL or a lone surrogate is in no
    row, and a question for it would fail as if the database was down."""
    try:
        return b"\0" not in text.encode("utf-8")
    except UnicodeEncodeError:
        return False


def end_logins_until(connection: Connection, rev: int, whose: Whose, *, now: int) -> None:
    """Refuse to store what was verified before this revision, in the transaction that ends what is stored already."""
    connection.execute(_END, {**whose._asdict(), "rev": rev, "made": now})


def require_later(
    connection: Connection,
    verified: int | None,
    *,
    source: str,
    subject: str,
    sub: str | None = None,
    sid: str | None = None,
) -> None:
    """Check that a login of this person was verified after the last end. The caller's transaction is `Database.write`.

    `verified` is the revision that was known when its verification began; None: no login vouched for what is stored.
    `sub` and `sid` are what an OpenID provider calls the person and its own session, if one did.

    Raises:
        OutdatedLogin: it was not.
    """
    if verified is None:
        return
    values = {"source": source, "subject": subject, "sub": sub, "sid": sid}
    found = connection.execute(_NEWEST, values).scalar_one()
    if found is not None and found > verified:
        raise OutdatedLogin(int(found))


# Written out, since composing it would take longer than the question.
_NEWEST = text(
    """
    SELECT max(rev) FROM epochs
    WHERE (source IN ('', :source) AND kind = 'subject' AND name IN ('', :subject))
      OR (source = :source AND kind = 'sub' AND name = :sub)
      OR (source = :source AND kind = 'sid' AND name = :sid)
    """
)

_END = text(
    """
    INSERT INTO epochs (source, kind, name, rev, made) VALUES (:source, :kind, :name, :rev, :made)
    ON CONFLICT (source, kind, name) DO UPDATE SET rev = excluded.rev, made = excluded.made
    """
)
