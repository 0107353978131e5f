"""Epochs: a login that was verified before all logins of its person or workload were ended stores and changes nothing.

Ends and logins are ordered by the revision of the database, not by clocks: a login notes which revision was known when
its verification began, and whatever stores it compares that with the epoch, in the transaction that inserts the row. A
token that the issuer of a workload has made before is too old as well: its workload has no password that changes.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from sqlalchemy import Connection, bindparam, select, text

from tokenserver.errors import OutdatedLogin
from tokenserver.storage.changes import ActingLogin
from tokenserver.storage.credential import ACTIVE, WorkloadProof
from tokenserver.storage.tables import browser_sessions, credentials, revision


class Whose(NamedTuple):
    """Whose logins have ended: of a subject, of what an OpenID provider calls a person (`sub`) or a session (`sid`), or
    of all clients that are a declared workload (`workload`).

    An empty `source` is any user source, an empty `name` everybody.
    """

    source: str
    kind: Literal["subject", "sub", "sid", "workload"]
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


_OLDEST = 8 * 86_400
"""Seconds. No token of a workload is accepted for so long after it was made (`max_age`), and epochs are kept longer."""


def end_logins_until(connection: Connection, rev: int, whose: Whose, *, now: int, before: int | None = None) -> None:
    """Refuse to store what was verified before this revision, in the transaction that ends what is stored already.

    For tokens of workloads that were made before the moment `before`, too (None: until now).
    """
    made = now if before is None else max(min(before - 1, now), now - _OLDEST)
    connection.execute(_END, {**whose._asdict(), "rev": rev, "made": made})


def require_later(
    connection: Connection,
    verified: int | None,
    *,
    source: str,
    subject: str,
    sub: str | None = None,
    sid: str | None = None,
    proof: WorkloadProof | None = None,
) -> None:
    """Check that a login was verified after the last end of its logins. The caller's transaction is `Database.write`.

    `verified` is the revision that was known when its verification began; None: no login vouched for what is stored.
    `sub` and `sid` are what an OpenID provider calls the person and its own session, if one did. `proof` is that of a
    workload.

    Raises:
        OutdatedLogin: it was not.
    """
    if verified is None:
        return
    values = {"source": source, "subject": subject, "sub": sub, "sid": sid}
    found = [connection.execute(_NEWEST, values).one()]
    if proof is not None and proof.names:
        found.append(connection.execute(_NEWEST_OF_WORKLOADS, {"names": proof.names}).one())
    for rev, made in found:
        if rev is not None and (rev > verified or (proof is not None and proof.issued <= made)):
            raise OutdatedLogin(int(rev))


def require_live(connection: Connection, login: ActingLogin) -> None:
    """Check that the login by which somebody asks for a change has not ended. In the transaction of the change.

    What ends a login commits before that, so that the change is not made, or after it. Ends and changes that the
    database can make concurrently are both by `Database.write`.

    Raises:
        OutdatedLogin: it has ended, or all logins of this person or workload, or of everybody, have.
    """
    require_later(connection, login.verified, source=login.source, subject=login.subject, proof=login.proof)
    sessions, stored = browser_sessions.c, credentials.c
    if login.session:
        live = select(sessions.id).where(sessions.id == bytes.fromhex(login.session), sessions.state == ACTIVE)
        has_ended = connection.execute(live).first() is None
    else:  # a declared secret has no row
        ended = select(stored.id).where(stored.id == login.credential, stored.state != ACTIVE)
        has_ended = bool(login.credential) and connection.execute(ended).first() is not None
    if has_ended:
        raise OutdatedLogin(int(connection.execute(select(revision.c.rev)).scalar_one()), "this login was")


# Written out, since composing it would take longer than the question.
_NEWEST = text(
    """
    SELECT max(rev), max(made) FROM epochs
    WHERE (source IN ('', :source) AND kind = 'subject' AND name IN ('', :subject))
      OR (source = :source AND kind = 'sub' AND name = :sub)
      OR (source = :source AND kind = 'sid' AND name = :sid)
    """
)

_NEWEST_OF_WORKLOADS = text(
    "SELECT max(rev), max(made) FROM epochs WHERE source = '' AND kind = 'workload' AND name IN :names"
).bindparams(bindparam("names", expanding=True))

_END = text(
    """
    INSERT INTO epochs (source, kind, name, rev, made) VALUES (:source, :kind, :name, :rev, :made)
    ON CONFLICT (source, kind, name) DO UPDATE SET
        rev = excluded.rev, made = CASE WHEN excluded.made > epochs.made THEN excluded.made ELSE epochs.made END
    """
)
