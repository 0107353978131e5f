"""Which stored credentials are meant, and how lists show them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, bindparam, false, func, select

from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Claims, Sort
from tokenserver.storage.credential import (
    ACTIVE,
    SORT_LETTERS,
    CredentialRow,
    StoredCredential,
    UnreadableCredential,
    opened,
)
from tokenserver.storage.people.epochs import EVERYBODY, Whose, is_storable
from tokenserver.storage.tables import credentials, uses

_TABLE = credentials.c

_LIVE_OF = (
    select(_TABLE.id)
    .select_from(credentials.outerjoin(uses))
    .where(
        _TABLE.owner == bindparam("owner"),
        _TABLE.source == bindparam("source"),
        _TABLE.form == bindparam("form"),
        _TABLE.state == ACTIVE,
        _TABLE.ends > bindparam("now"),
    )
    .order_by(func.coalesce(uses.c.last, _TABLE.created), _TABLE.created, _TABLE.id)
)
"""The live credentials of an owner, those unused for longest first. Made once: that takes longer than the query."""

LISTED = (
    select(*credentials.c, uses.c.last, uses.c.last_from, uses.c.first_from, uses.c.times)
    .select_from(credentials.outerjoin(uses))
    .order_by(_TABLE.created.desc(), _TABLE.id)
)
"""The rows of lists: credentials with their uses, the newest first."""

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


class Owner(NamedTuple):
    """Who has live credentials. `source` is the user source of a person."""

    sort: Sort
    source: str
    owner: str


class DeclaredSessions(NamedTuple):
    """The sessions of a workload: of a declared one by its name, and how to tell one of its sessions."""

    name: str
    has: Callable[[StoredCredential], bool]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which credentials are meant: those for which everything holds that is not None.

    `before`: made before this moment, in seconds since the epoch. `claims`: those of a session have all of these.
    `state_key`: made with the key of this number. `workload`: those of a declared workload.
    """

    ids: frozenset[str] | None = None
    forms: frozenset[AccessKeyForm] | None = None
    owner: str | None = None
    source: str | None = None
    before: int | None = None
    sort: Sort | None = None
    state_key: int | None = None
    claims: Claims | None = None
    workload: DeclaredSessions | None = None

    @property
    def where(self) -> ColumnElement[bool]:
        """The condition in SQL; `claims` and `workload` are not part of it."""
        table = credentials.c
        if not all(is_storable(text) for text in (self.owner, self.source) if text is not None):
            return false()
        found: list[ColumnElement[bool]] = [table.id.is_not(None)]
        if self.ids is not None:
            found.append(table.id.in_(sorted(filter(is_storable, self.ids))))
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

    @property
    def whose(self) -> Whose | None:
        """Whose logins in flight end with the selection; None: nobody's.

        It is None for single credentials, and for those of a state key.
        """
        if self.ids is not None or self.state_key is not None:
            return None
        if self.workload is not None:
            return Whose("", "workload", self.workload.name)
        if self.owner is None:
            return EVERYBODY
        whose = Whose(self.source or "", "subject", self.owner)
        return None if whose.is_nobody else whose

    def has(self, credential: StoredCredential) -> bool:
        """Whether the claims are those of the selection, for a credential for which `where` holds."""
        if self.claims is not None and (credential.claims is None or not self.claims <= credential.claims):
            return False
        return self.workload is None or self.workload.has(credential)

    def narrowed(self, connection: Connection, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        """The condition in SQL that also covers the claims, for rows for which another condition holds."""
        wanted = and_(self.where, condition)
        if self.claims is None and self.workload is None:
            return wanted
        rows = connection.execute(select(credentials).where(wanted)).all()
        found = [row.id for row in rows if _has(self, CredentialRow(*row))]
        return and_(wanted, credentials.c.id.in_(found))


def live_of(connection: Connection, wanted: StoredCredential, *, now: int) -> list[str]:
    """The ids of the live credentials of the same form and owner; those unused for longest come first."""
    values = {"owner": wanted.owner, "source": wanted.source, "form": str(wanted.form), "now": now}
    return list(connection.execute(_LIVE_OF, values).scalars())


def _has(selection: Selection, row: CredentialRow) -> bool:
    try:
        return selection.has(opened(row))
    except UnreadableCredential:
        return False
