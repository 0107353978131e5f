"""Back-channel logout: a provider ends a person's sessions by a token that it sends itself, without any browser.

OpenID Connect Back-Channel Logout 1.0, section 2.6. The browser sessions of the provider's session end, or all of the
person if it names none, and with them the refresh tokens: docker is logged out, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tokenserver.authn.oidc.logout_token import Logout, logout_in
from tokenserver.authn.oidc.ports import EndLoginsOf, EndSession, TokenMemory
from tokenserver.authn.oidc.refusals import unusable_answer
from tokenserver.authn.oidc.source import OidcSource
from tokenserver.authn.workload.jwt_reader import read_jwt
from tokenserver.authn.workload.verifier import require_signature
from tokenserver.credentials import Secret

LOGOUT_TYPES = frozenset({"jwt", "logout+jwt"})


@dataclass(frozen=True, slots=True)
class EndedByProvider:
    """What a logout token ended: the person, if it names one that logged in here, and the provider's session."""

    logout: Logout
    subject: str | None


class BackChannelLogout:
    """Ends what logout tokens name. `now` is in seconds since the epoch."""

    def __init__(
        self,
        *,
        seen: TokenMemory,
        end_session: EndSession,
        end_logins: EndLoginsOf,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._seen = seen
        self._end_session = end_session
        self._end_logins = end_logins
        self._now = now

    def read(self, source: OidcSource, token: Secret) -> EndedByProvider:
        """What a logout token is about; nothing has ended yet. It is accepted until `end` succeeds with it.

        Raises:
            InvalidCredentials: the provider did not make it for this server just now, or it was used before.
            BackendUnavailable: the keys of the provider are not known, or the storage does not answer.
        """
        jwt = read_jwt(token.reveal(), types=LOGOUT_TYPES)
        require_signature(jwt, source.keys)
        logout = logout_in(jwt.claims, source.provider, now=self._now())
        if self._seen.is_known(source.provider.issuer, logout.jti):
            raise unusable_answer("the logout token was used before")
        account = None if logout.sub is None else source.account(logout.sub)
        return EndedByProvider(logout, None if account is None else account[1])

    def end(self, source: OidcSource, found: EndedByProvider) -> None:
        """End what `read` has found. If that fails, the provider may send the same token again.

        Raises:
            BackendUnavailable: the storage does not answer.
        """
        accounts, sid = source.source_of_accounts, found.logout.sid
        if sid is not None:
            self._end_session(accounts, sid)
        if found.subject is not None:
            reason = f"{source.name} has logged the person out"
            self._end_logins(accounts, found.subject, reason, sessions=sid is None)
        self._seen.is_new(source.provider.issuer, found.logout.jti, found.logout.ends)
