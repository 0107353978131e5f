"""Which stored credentials are meant, and how lists show them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, select

from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Claims, Sort
from tokenserver.storage.credential import SORT_LETTERS, CredentialRow, StoredCredential, UnreadableCredential, opened
from tokenserver.storage.tables import credentials

PERSONAL = frozenset({AccessKeyForm.PERSONAL})
ROBOT_SECRETS = frozenset({AccessKeyForm.ROBOT})
LOGINS = frozenset({AccessKeyForm.REFRESH, AccessKeyForm.SESSION})
"""The `forms` of a `Selection`."""


@dataclass(frozen=True, slots=True)
class Use:
    """When (seconds since the epoch) and from where a credential was used; exact to a minute.

    `times` is how many intervals of a minute it was used in. Addresses are empty where they were not known.
    """

    last: int
    last_from: str
    first_from: str
    times: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A credential as lists show it; without more, one that was just made.

    `ended` is None while it is active; it may have expired all the same.
    `is_genuine`: the row is what this server wrote. Another one is never accepted.
    """

    credential: StoredCredential
    use: Use | None = None
    ended: int | None = None
    ended_by: str | None = None
    reason: str | None = None
    is_genuine: bool = True


@dataclass(frozen=True, slots=True)
class Selection:
    """Which credentials are meant: those for which everything holds that is not None.

    `before`: made before this moment, in seconds since the epoch. `claims`: those of a session have all of these.
    `state_key`: made with the key of this number.
    """

    ids: frozenset[str] | None = None
    forms: frozenset[AccessKeyForm] | None = None
    owner: str | None = None
    source: str | None = None
    before: int | None = None
    sort: Sort | None = None
    state_key: int | None = None
    claims: Claims | None = None

    @property
    def where(self) -> ColumnElement[bool]:
        """The condition in SQL; `claims` is not part of it."""
        table = credentials.c
        found: list[ColumnElement[bool]] = [table.id.is_not(None)]
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
        if self.sort is not None:
            found.append(table.sort == SORT_LETTERS[self.sort])
        if self.state_key is not None:
            found.append(table.pepper == self.state_key)
        if self.claims is not None:
            found.append(table.claims.is_not(None))
        return and_(*found)

    def has(self, credential: StoredCredential) -> bool:
        """Whether the claims are those of the selection, for a credential for which `where` holds."""
        return self.claims is None or (credential.claims is not None and self.claims <= credential.claims)

    def narrowed(self, connection: Connection, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        """The condition in SQL that also covers `claims`, for rows for which another condition holds."""
        wanted = and_(self.where, condition)
        if self.claims is None:
            return wanted
        rows = connection.execute(select(credentials).where(wanted)).all()
        found = [row.id for row in rows if _has(self, CredentialRow(*row))]
        return and_(wanted, credentials.c.id.in_(found))


def _has(selection: Selection, row: CredentialRow) -> bool:
    try:
        return selection.has(opened(row))
    except UnreadableCredential:
        return False
