"""Browser logins at OpenID providers: from the button to a session, and the logouts that a provider asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tokenserver.authn.oidc.authorization import logout_url
from tokenserver.authn.oidc.login import BegunLogin, OidcLogins
from tokenserver.authn.oidc.logout import BackChannelLogout
from tokenserver.authn.oidc.refusals import ACCOUNT_REFUSED, NotOurLogin, RefusedLogin, unusable_answer
from tokenserver.authn.oidc.source import OidcSource
from tokenserver.authn.workload.jwt_reader import RefusedJwt
from tokenserver.credentials import Secret
from tokenserver.errors import (
    BackendUnavailable,
    InvalidCredentials,
    OutdatedLogin,
    RequestError,
    ServiceError,
    TokenserverError,
)
from tokenserver.exchange.audit import reason_of
from tokenserver.exchange.audit_events import cut
from tokenserver.exchange.outcomes import outcome_of
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.management.sign_in import SignIn, Visitor

if TYPE_CHECKING:
    from tokenserver.storage.people.browser_sessions import BrowserSession

LOGOUT_EVENT = "provider_logout"
"""The value of `event` in audit events about logouts that a provider asks for."""


class NoSuchProvider(TokenserverError):
    """There is no provider of this name."""


class OpenIdSignIn:
    """The logins of one server at its providers. `snapshot` is called once per use; `record` writes an audit event."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        sign_in: SignIn,
        logins: OidcLogins,
        logout: BackChannelLogout,
        record: Callable[[dict[str, Any]], None],
    ) -> None:
        self._snapshot = snapshot
        self._sign_in = sign_in
        self._logins = logins
        self._logout = logout
        self._record = record

    def begin(self, name: str, next_path: str) -> BegunLogin:
        """Begin a login at the provider `name` that ends at the page `next_path`.

        Raises:
            NoSuchProvider: there is none.
            BackendUnavailable: nothing is known of the provider yet.
        """
        return self._logins.begin(self._source(name), next_path)

    def finish(
        self, name: str, cookie: Secret | None, answer: Mapping[str, str], visitor: Visitor
    ) -> tuple[Secret, str]:
        """The cookie of a new session, and the page that follows; `cookie` is that of `BegunLogin`.

        Raises:
            NoSuchProvider: there is none.
            RefusedLogin: nobody has logged in.
            BackendUnavailable: the provider, the storage or a user source does not answer.
            AuditUnavailable: the event could not be written; there is no session.
        """
        chain, source = self._snapshot().chain, self._source(name)
        try:
            verified = self._sign_in.revision()
            try:
                found = self._logins.finish(source, cookie, answer)
                if found.identity.stale:
                    raise BackendUnavailable(found.identity.source, "does not answer")
            except RefusedLogin:
                raise
            except RefusedJwt as error:
                raise unusable_answer(error.reason) from error
            except InvalidCredentials as error:
                raise RefusedLogin(error.reason, ACCOUNT_REFUSED) from error
        except (RequestError, ServiceError) as error:
            self._sign_in.failed(error, None, source=name, **visitor._asdict())
            raise
        person, identity = found.person, chain.confirmed(replace(found.identity, verified=verified))
        try:
            session, _ = self._sign_in.begin(identity, sub=person.sub, sid=person.sid, **visitor._asdict())
        except OutdatedLogin as error:
            self._sign_in.failed(error, None, source=name, **visitor._asdict())
            raise NotOurLogin(error.reason) from error
        return session, found.next

    def end_by_provider(self, name: str, token: Secret, visitor: Visitor) -> None:
        """End the sessions that a logout token names.

        Raises:
            NoSuchProvider: there is none.
            InvalidCredentials: the token is not accepted.
            BackendUnavailable: it is not known whether the token is right, or nothing could be ended.
            AuditUnavailable: the event could not be written; nothing has ended.
        """
        source = self._source(name)
        client = None if visitor.client is None else str(visitor.client)
        event = {"event": LOGOUT_EVENT, "request_id": visitor.request_id, "client": client, "source": name}
        try:
            found = self._logout.read(source, token)
        except (RequestError, ServiceError) as error:
            self._record({**event, "outcome": outcome_of(error), "reason": cut(reason_of(error))})
            raise
        who = {} if found.subject is None else {"subject": found.subject}
        self._record({**event, "outcome": "logged_out", **who})
        self._logout.end(source, found)

    def provider_of(self, session: BrowserSession | None) -> str | None:
        """The name of the provider by which a session began, where the person can log out, too; None: by none."""
        if session is None or session.sub is None:
            return None
        found = (one.name for one in self._snapshot().oidc_sources if one.source_of_accounts == session.source)
        return next(found, None)

    def logout_url(self, name: str, back: str) -> str | None:
        """Where a person logs out at the provider, and comes `back` from there; None if it has no such page.

        Raises:
            NoSuchProvider: there is no such provider.
        """
        source = self._source(name)
        try:
            return logout_url(source.provider, source.client.metadata, back)
        except BackendUnavailable:
            return None

    def _source(self, name: str) -> OidcSource:
        for source in self._snapshot().oidc_sources:
            if source.name == name:
                return source
        raise NoSuchProvider(f"there is no provider {name}")
