"""Stored logins: refresh tokens, sessions of workloads, and sessions of browsers. Their owners end them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from tokenserver.credentials import AccessKeyForm
from tokenserver.identity import Sort
from tokenserver.management.actors import Actor
from tokenserver.management.context import ManagementContext
from tokenserver.management.facts import is_live, registries_of
from tokenserver.management.operations.stored_secrets import BY_OWNER, end_one
from tokenserver.management.refusals import Conflict, NotFoundHere
from tokenserver.management.views import LoginView
from tokenserver.management.wishes import parse_reason
from tokenserver.storage.people.epochs import Whose
from tokenserver.storage.selection import LOGINS, Listed, Selection

if TYPE_CHECKING:
    from tokenserver.storage.database import Connection
    from tokenserver.storage.people.browser_sessions import BrowserSession


BY_ADMINISTRATOR = "ended by an administrator"

_BROWSER_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)


class LoginManagement:
    """Stored logins, for actors."""

    def __init__(self, context: ManagementContext) -> None:
        self._context = context

    def listed(self, actor: Actor, user: str | None = None) -> list[LoginView]:
        """The logins of the actor, or of `user` for an administrator, that can be used; newest first.

        Raises:
            MayNotManage: the actor's credential may not, or it asks about somebody else and is no administrator.
            StorageUnavailable: the storage does not answer.
        """
        context, now = self._context, self._context.moment
        subject, source = self._whose(actor, user)
        stored = context.store.listed(Selection(forms=LOGINS, owner=subject, source=source))
        found = [_view(one) for one in stored if is_live(one, now)]
        found += [self._browser_view(actor, one) for one in self._sessions(subject, source)]
        return sorted(found, key=lambda one: (-one.created, one.id))

    def end(self, actor: Actor, identifier: str, user: str | None = None) -> None:
        """End a login of the actor, or of `user` for an administrator. It never comes back.

        Raises:
            MayNotManage, AuditUnavailable, StorageUnavailable: it was not ended.
            NotFoundHere: there is no such login.
            Conflict: it has ended before.
        """
        context = self._context
        whose = {} if user is None else {"owner": user}
        with context.events.change(actor, "end_login", credential=identifier, **whose) as record:
            subject, source = self._whose(actor, user)
            why = BY_OWNER if subject == actor.identity.subject else BY_ADMINISTRATOR
            facts = {"credential": identifier, "owner": subject, "reason": why}
            if _BROWSER_ID.fullmatch(identifier):
                session = next((one for one in self._sessions(subject, source) if one.id == identifier), None)
                if session is None:
                    raise NotFoundHere("there is no such login")
                whose_session = {"source": session.source, "subject": session.subject}
                sessions = context.sessions_for(actor)
                if not sessions.end(identifier, **whose_session, recorded=partial(record, **facts)):
                    raise Conflict("the login has ended before")
                return
            selection = Selection(ids=frozenset({identifier}), forms=LOGINS, owner=subject, source=source)
            if not context.store.listed(selection):
                raise NotFoundHere("there is no such login")
            end_one(context, actor, selection, record, what="login", **facts)

    def end_all(self, actor: Actor, subject: str, reason: str | None = None) -> int:
        """End all logins of the actor, whose session in this browser goes on, or for an administrator with a reason
        those of anybody, also of a workload; how many.

        Raises:
            MayNotManage, InvalidWish, AuditUnavailable, StorageUnavailable: none was ended.
        """
        context = self._context
        with context.events.change(actor, "end_logins", owner=subject) as record:
            owner, source = self._whose(actor, subject)
            is_own = owner == actor.identity.subject
            why = BY_OWNER if is_own and reason is None else parse_reason(reason)
            selection = Selection(forms=LOGINS, owner=owner, source=source)
            current = None if actor.session is None else actor.session.id
            whose = Whose(source or "", "subject", owner)
            browsers = [0]  # how many, once for each attempt

            def end_browsers(connection: Connection, rev: int) -> None:
                browsers.append(context.sessions.end_within(connection, rev, whose=whose, but=current))

            def recorded(ended: Iterable[str]) -> None:
                record(owner=owner, credentials=sorted(ended), browsers=browsers[-1], reason=why)

            ended = context.store_for(actor).end(
                selection, by=actor.identity.subject, reason=why, recorded=recorded, also=end_browsers
            )
        return len(ended) + browsers[-1]

    def _whose(self, actor: Actor, user: str | None) -> tuple[str, str | None]:
        """The subject whose logins are meant, and the user source that vouches for it; None: any."""
        identity = actor.identity
        self._context.require_manager(actor)
        subject = identity.subject if user is None else unicodedata.normalize("NFC", user)
        if subject == identity.subject and identity.sort is Sort.USER:
            return subject, identity.source
        if user is not None:
            self._context.require_administrator(actor)
        return subject, None

    def _sessions(self, subject: str, source: str | None) -> list[BrowserSession]:
        names = [one.name for one in self._context.owners.sources] if source is None else [source]
        return [one for name in names for one in self._context.sessions.listed(source=name, subject=subject)]

    @staticmethod
    def _browser_view(actor: Actor, session: BrowserSession) -> LoginView:
        return LoginView(
            id=session.id,
            kind="browser",
            subject=session.subject,
            source=session.source,
            client=session.client,
            created=session.made,
            created_from=session.made_from,
            ends=session.ends,
            last_used=session.seen,
            is_current=_is_current(actor, session),
        )


def _is_current(actor: Actor, session: BrowserSession) -> bool:
    return actor.session is not None and actor.session.id == session.id


def _view(listed: Listed) -> LoginView:
    one, use = listed.credential, listed.use
    registries = registries_of(listed)
    return LoginView(
        id=one.id,
        kind="refresh_token" if one.form is AccessKeyForm.REFRESH else "session",
        subject=one.owner,
        source=one.source,
        client=one.client,
        created=one.created,
        created_from=one.created_from,
        ends=one.ends,
        last_used=None if use is None else use.last,
        last_from="" if use is None else use.last_from,
        first_from="" if use is None else use.first_from,
        registries=None if registries is None else tuple(sorted(registries)),
    )
