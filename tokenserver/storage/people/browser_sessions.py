"""Browser sessions: rows that a cookie finds. The cookie is known to the browser alone; the row has its SHA-256.

A session grants nothing by itself: the person is looked up again at each use, as the owner of a refresh token is. The
seal covers all that says whose it is, so that writing to the database is not enough to be somebody else.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, func, select, update

from tokenserver.credentials import Secret
from tokenserver.identity import Kind
from tokenserver.storage.changes import ActingLogin, unrecorded
from tokenserver.storage.credential import ACTIVE, ENDED
from tokenserver.storage.database import Database
from tokenserver.storage.people.epochs import (
    EVERYBODY,
    Whose,
    end_logins_until,
    is_storable,
    require_later,
    require_live,
)
from tokenserver.storage.people.row_seals import RowSeals
from tokenserver.storage.state_keys import StateKeys
from tokenserver.storage.tables import browser_sessions, revision

IDLE_SECONDS = 3600
"""For how long a session may be unused."""

LIFETIME_SECONDS = 12 * 3600
"""For how long a session lives, however much it is used."""

SEEN_SECONDS = 60
"""How much later than the stored last use another one must be to be stored."""

COOKIE_BYTES = 32


class SessionRow(NamedTuple):
    """One row of the table `browser_sessions`. Moments are whole seconds since the epoch.

    `kind` is how the person logged in, `proof` changes with the password, `sub` and `sid` are what an OpenID provider
    calls the person and its own session. `pepper` is the number of the state key of the seal.
    """

    id: bytes
    source: str
    subject: str
    kind: str
    proof: bytes | None
    sub: str | None
    sid: str | None
    made: int
    made_from: str
    client: str
    seen: int
    ends: int
    state: int
    pepper: int
    seal: bytes


_SEALED = ("id", "source", "subject", "kind", "proof", "sub", "sid", "made", "ends")
_TABLE = browser_sessions.c
_ACTIVE = update(browser_sessions).where(_TABLE.state == ACTIVE)


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """A person's session in a browser. `id` is no secret: it is the SHA-256 of the cookie, in hexadecimal digits.

    `live_at` is the revision of the storage at which it was found live; see `Identity.verified`.
    """

    id: str
    source: str
    subject: str
    kind: Kind
    made: int
    ends: int
    seen: int
    made_from: str = ""
    client: str = ""
    proof: bytes | None = field(default=None, repr=False)
    sub: str | None = None
    sid: str | None = None
    live_at: int | None = field(default=None, compare=False)


class BrowserSessions:
    """The browser sessions of a server. `now` gives seconds since the epoch, `random` that many random bytes."""

    def __init__(
        self,
        database: Database,
        keys: StateKeys,
        *,
        now: Callable[[], float],
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._keys = keys
        self._seals = RowSeals(keys, purpose="browser session", columns=_SEALED)
        self._now = now
        self._random = random

    def on_behalf_of(self, login: ActingLogin) -> BrowserSessions:
        """The same for changes that this login asks for: each raises `OutdatedLogin` if it has ended by then."""
        guarded = self._database.guarded(partial(require_live, login=login))
        return BrowserSessions(guarded, self._keys, now=self._now, random=self._random)

    def begin(
        self,
        *,
        source: str,
        subject: str,
        kind: Kind,
        proof: bytes | None = None,
        sub: str | None = None,
        sid: str | None = None,
        made_from: str = "",
        client: str = "",
        lifetime: int = LIFETIME_SECONDS,
        verified: int | None = None,
    ) -> tuple[Secret, BrowserSession]:
        """Store the session of a person who logged in just now: the text of its cookie, which is kept nowhere.

        `made_from` and `client` are the address and the program, to be shown. `verified`: see `Identity.verified`.

        Raises:
            OutdatedLogin: what ended all logins of the person has ended this one.
            StorageUnavailable: nothing was stored.
        """
        cookie = Secret(self._random(COOKIE_BYTES).hex())  # digits need no quoting anywhere
        now = int(self._now())
        facts = {"source": source, "subject": subject, "kind": str(kind), "proof": proof, "sub": sub, "sid": sid}
        row = SessionRow(
            id=_id_of(cookie),
            **facts,  # type: ignore[arg-type]  # by name
            made=now,
            made_from=made_from,
            client=client,
            seen=now,
            ends=now + lifetime,
            state=ACTIVE,
            pepper=0,
            seal=b"",
        )
        pepper, seal = self._seals.of(row)
        row = row._replace(pepper=pepper, seal=seal)

        def work(connection: Connection, _: int) -> None:
            require_later(connection, verified, source=source, subject=subject, sub=sub, sid=sid)
            connection.execute(browser_sessions.insert(), row._asdict())

        self._database.write(work)  # in one order with what ends logins
        return cookie, _opened(row)

    def find(self, cookie: Secret) -> BrowserSession | None:
        """The live session of this cookie; None if there is none. Its use is noted.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        now, identifier = int(self._now()), _id_of(cookie)
        newest = select(revision.c.rev).scalar_subquery()
        statement = select(*browser_sessions.c, newest).where(_TABLE.id == identifier, *_live(now))
        found = self._database.read(lambda connection: connection.execute(statement).first())
        if found is None:
            return None
        row = SessionRow(*found[:-1])
        if not self._seals.is_genuine(row):
            return None
        if now - row.seen >= SEEN_SECONDS:
            used = update(browser_sessions).where(_TABLE.id == identifier, _TABLE.seen < now).values(seen=now)
            self._database.note(lambda connection: connection.execute(used))
        return replace(_opened(row), live_at=int(found[-1]))

    def revision(self) -> int:
        """The revision of the last change.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        return self._database.revision()

    def listed(self, *, source: str, subject: str) -> list[BrowserSession]:
        """The live sessions of a person, the newest first.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        if not (is_storable(source) and is_storable(subject)):
            return []
        whose = (_TABLE.source == source, _TABLE.subject == subject)
        statement = select(browser_sessions).where(*whose, *_live(int(self._now()))).order_by(_TABLE.made.desc())
        rows = self._database.read(lambda connection: connection.execute(statement).all())
        return [_opened(row) for row in map(SessionRow._make, rows) if self._seals.is_genuine(row)]

    def end(self, identifier: str, *, source: str, subject: str, recorded: Callable[[], None] = unrecorded) -> bool:
        """End the session with this id if it is this person's; whether it was. What it asks for later is not done.
        `recorded` is called in the transaction that ends it; see `Recorded`.

        Raises:
            StorageUnavailable: it was not ended.
        """
        whose = (_TABLE.source == source, _TABLE.subject == subject)
        statement = _ACTIVE.where(_TABLE.id == bytes.fromhex(identifier), *whose).values(state=ENDED)
        # Not by `note`: in one order with the changes that the session asks for.
        return self._database.change_one(statement, recorded)

    def end_all(self, whose: Whose, *, but: str | None = None) -> int:
        """End all sessions of somebody, and logins in flight, which cannot begin any; how many sessions were live.

        `but` is the id of one that goes on.

        Raises:
            StorageUnavailable: none was ended.
        """
        return 0 if whose.is_nobody else self._database.write(partial(self.end_within, whose=whose, but=but))

    def end_everybody(self, *, before: int) -> int:
        """End the sessions of everybody that began before this moment, and logins in flight; how many were live.

        Raises:
            StorageUnavailable: none was ended.
        """
        return self._database.write(partial(self.end_everybody_within, before=before))

    def end_within(self, connection: Connection, rev: int, *, whose: Whose, but: str | None = None) -> int:
        """As `end_all`, in a transaction of `Database.write`."""
        if whose.is_nobody:
            return 0
        column = {"subject": _TABLE.subject, "sub": _TABLE.sub, "sid": _TABLE.sid}[whose.kind]  # workloads have none
        wanted = [column == whose.name]
        if whose.source:
            wanted.append(_TABLE.source == whose.source)
        if but is not None:
            wanted.append(_TABLE.id != bytes.fromhex(but))
        return self._end(connection, rev, whose, *wanted)

    def end_everybody_within(self, connection: Connection, rev: int, *, before: int) -> int:
        """As `end_everybody`, in a transaction of `Database.write`."""
        return self._end(connection, rev, EVERYBODY, _TABLE.made < before, before=before)

    def _end(
        self,
        connection: Connection,
        rev: int,
        whose: Whose,
        *wanted: ColumnElement[bool],
        before: int | None = None,
    ) -> int:
        now = int(self._now())
        end_logins_until(connection, rev, whose, now=now, before=before)
        count = connection.execute(select(func.count()).where(*wanted, *_live(now))).scalar_one()
        connection.execute(_ACTIVE.where(*wanted).values(state=ENDED))
        return int(count)


def _id_of(cookie: Secret) -> bytes:
    return hashlib.sha256(cookie.reveal().encode("utf-8", "surrogatepass")).digest()


def _live(now: int) -> tuple[ColumnElement[bool], ...]:
    return (_TABLE.state == ACTIVE, _TABLE.ends > now, _TABLE.seen > now - IDLE_SECONDS)


def _opened(row: SessionRow) -> BrowserSession:
    return BrowserSession(
        id=row.id.hex(),
        source=row.source,
        subject=row.subject,
        kind=Kind(row.kind),
        made=row.made,
        ends=row.ends,
        seen=row.seen,
        made_from=row.made_from,
        client=row.client,
        proof=row.proof,
        sub=row.sub,
        sid=row.sid,
    )
