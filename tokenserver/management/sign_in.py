"""Browser logins: from a password to a session, and from a session to the person as of now.

A login is the same as that of a token request: the same sources, the same throttle, the same work for a wrong password.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenserver.authn.classification import classify
from tokenserver.authn.stored.ports import Address
from tokenserver.credentials import Password, Secret
from tokenserver.errors import (
    AccountEnded,
    BackendUnavailable,
    InvalidCredentials,
    OutdatedLogin,
    RequestError,
    ServiceError,
    TokenserverError,
)
from tokenserver.exchange.audit import reason_of
from tokenserver.exchange.audit_events import cut, shown
from tokenserver.exchange.outcomes import outcome_of
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.identity import Identity, Kind
from tokenserver.management.actors import Actor

if TYPE_CHECKING:
    from tokenserver.storage.people.browser_sessions import BrowserSession, BrowserSessions

EVENT = "browser_login"
"""The value of `event` in audit events about logins and logouts of browsers."""

NO_PASSWORD = "this is an access key, not a password; log in with the password of your account"  # noqa: S105 - a sentence


class Visitor(NamedTuple):
    """The browser of a request: its address, its `User-Agent`, and the id of the request."""

    client: Address | None
    agent: str | None
    request_id: str


class NoPassword(InvalidCredentials):
    """An access key, a refresh token or the secret of a machine, where only a password is accepted."""

    def __init__(self) -> None:
        super().__init__("no password but another credential was typed", NO_PASSWORD)


class SignIn:
    """Begins, finds and ends the browser sessions of people. `snapshot` is called once per use.

    `record` writes an audit event, before anything is stored.
    """

    def __init__(
        self, sessions: BrowserSessions, snapshot: Callable[[], Snapshot], record: Callable[[dict[str, Any]], None]
    ) -> None:
        self._sessions = sessions
        self._snapshot = snapshot
        self._record = record

    def by_password(
        self, username: str, password: Secret, *, client: Address | None, agent: str | None, request_id: str
    ) -> tuple[Secret, BrowserSession]:
        """A new session for these credentials, and its cookie, which is kept nowhere. `username` is in form C.

        Raises:
            NoPassword: it is another kind of credential; it was not looked at.
            InvalidCredentials, Throttled, BackendUnavailable: as `Chain.authenticate`.
            AuditUnavailable: the event could not be written; there is no session.
        """
        credentials, visitor = Password(username, password), Visitor(client, agent, request_id)
        try:
            identity = self._authenticated(credentials, client)
            self._tell(identity, visitor)
            try:
                return self._stored(identity, visitor)
            except OutdatedLogin as error:  # such as one from the cache: it may be right again
                return self._stored(self._authenticated(credentials, client, error), visitor)
        except (RequestError, ServiceError) as error:
            self.failed(error, username, client=client, agent=agent, request_id=request_id)
            raise

    def failed(
        self,
        error: TokenserverError,
        username: str | None,
        *,
        client: Address | None,
        agent: str | None,
        request_id: str,
        source: str | None = None,
    ) -> None:
        """Record a login that failed with this error; `username` is as typed, `source` is where it was not typed.

        Raises:
            AuditUnavailable: the event could not be written.
        """
        visitor = Visitor(client, agent, request_id)
        who = {} if username is None else {"username": cut(shown(username))}
        where = {} if source is None else {"source": source}
        facts = {"outcome": outcome_of(error), "reason": cut(reason_of(error))}
        self._record(_event(visitor, **who, **where, **facts))

    def begin(
        self,
        identity: Identity,
        *,
        sub: str | None = None,
        sid: str | None = None,
        client: Address | None,
        agent: str | None,
        request_id: str,
    ) -> tuple[Secret, BrowserSession]:
        """A new session of somebody whom another server has authenticated; `sub` and `sid` are its names for them.

        Raises:
            OutdatedLogin: the sessions of the person were ended meanwhile.
            BackendUnavailable: the storage cannot keep it.
            AuditUnavailable: the event could not be written; there is no session.
        """
        visitor = Visitor(client, agent, request_id)
        self._tell(identity, visitor)
        return self._stored(identity, visitor, sub=sub, sid=sid)

    def revision(self) -> int:
        """The revision of the storage, for `Identity.verified` of what is verified from now on.

        Raises:
            BackendUnavailable: the storage does not answer.
        """
        return self._sessions.revision()

    def actor(self, cookie: Secret, *, client: Address | None, agent: str | None, request_id: str) -> Actor | None:
        """The person with this cookie, as of now; None if the session or the account has ended.

        Raises:
            BackendUnavailable: the storage or the user source cannot tell.
        """
        session = self._sessions.find(cookie)
        owners = self._snapshot().owners
        if session is None or owners is None:
            return None
        try:
            identity = owners.person(session.source, session.subject, session.proof)
        except AccountEnded:
            self._sessions.end(session.id, source=session.source, subject=session.subject)
            return None
        except InvalidCredentials:
            return None
        # The kind differs for somebody whom a provider has authenticated for a directory.
        identity = replace(identity, kind=session.kind, verified=session.live_at)
        return Actor(identity, request_id, client, agent, session, float(session.made))

    def end(self, actor: Actor) -> None:
        """Log out: end the session of this browser.

        Raises:
            BackendUnavailable: it was not ended.
            AuditUnavailable: the event could not be written; it was not ended.
        """
        session = actor.session
        if session is None:
            return
        visitor = Visitor(actor.client, actor.agent, actor.request_id)
        self._record(_event(visitor, outcome="logged_out", **_about(session.subject, session.source, session.id)))
        self._sessions.end(session.id, source=session.source, subject=session.subject)

    def _authenticated(
        self, credentials: Password, client: Address | None, outdated: OutdatedLogin | None = None
    ) -> Identity:
        if classify(credentials) is not credentials:
            raise NoPassword
        chain = self._snapshot().chain
        if outdated is None:
            identity = chain.confirmed(chain.authenticate(credentials, client))
        else:
            identity = chain.authenticate_again(credentials, client, outdated)
        if identity.kind is not Kind.PASSWORD:
            raise NoPassword
        if identity.stale:
            raise BackendUnavailable(identity.source, "does not answer, so nobody can log in by a browser")
        return identity

    def _tell(self, identity: Identity, visitor: Visitor) -> None:
        self._record(_event(visitor, outcome="logged_in", **_about(identity.subject, identity.source)))

    def _stored(
        self, identity: Identity, visitor: Visitor, *, sub: str | None = None, sid: str | None = None
    ) -> tuple[Secret, BrowserSession]:
        return self._sessions.begin(
            source=identity.source,
            subject=identity.subject,
            kind=identity.kind,
            proof=identity.proof,
            sub=sub,
            sid=sid,
            made_from="" if visitor.client is None else str(visitor.client),
            client="" if visitor.agent is None else cut(shown(visitor.agent)),
            verified=identity.verified,
        )


def _event(visitor: Visitor, **facts: Any) -> dict[str, Any]:
    agent = {} if visitor.agent is None else {"user_agent": cut(shown(visitor.agent))}
    client = None if visitor.client is None else str(visitor.client)
    return {"event": EVENT, "request_id": visitor.request_id, "client": client, **agent, **facts}


def _about(subject: str, source: str, session: str | None = None) -> dict[str, str]:
    return {"subject": subject, "source": source} | ({} if session is None else {"session": session[:12]})
