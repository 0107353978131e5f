"""A source of people who log in at an OpenID provider: found by the name of their last login, as long as that counts.

No password ever comes here. With `accounts`, the people are those of another user source, which knows their groups and
whether they may log in; the provider only says who somebody is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from tokenserver.authn.authenticator import KnownUsers
from tokenserver.authn.oidc.client import ProviderClient
from tokenserver.authn.oidc.id_token import VerifiedPerson, person_in
from tokenserver.authn.oidc.known_people import KnownPeople
from tokenserver.authn.oidc.ports import EndLoginsOf
from tokenserver.authn.oidc.refusals import (
    ACCOUNT_REFUSED,
    NAME_TAKEN,
    NAME_WAS_TAKEN,
    NO_ACCOUNT,
    RENAMED,
    RefusedByProvider,
    RefusedLogin,
)
from tokenserver.authn.reported import require_person
from tokenserver.authn.workload.jwt_reader import RefusedJwt, read_jwt
from tokenserver.authn.workload.verifier import require_signature
from tokenserver.credentials import Secret
from tokenserver.errors import AccountEnded, BackendUnavailable, InvalidCredentials, LoginTooOld
from tokenserver.identity import Identity, Kind
from tokenserver.storage.people.openid_person import NotThisPerson, OpenIdPerson

logger = logging.getLogger("tokenserver.oidc")

MAX_ID_TOKEN = 64 * 1024
"""Bytes. It may list a thousand groups, and never travels in a header of a request."""


class OidcSource:
    """A `KnownUsers`. `others` are the user sources that know people by their passwords, and `accounts` the one of
    them whose people log in here. `login_page` is the URL where people log in again; `end_logins` is called when the
    provider has ended somebody. `now` is in seconds since the epoch.
    """

    def __init__(
        self,
        client: ProviderClient,
        people: KnownPeople,
        *,
        login_page: str,
        end_logins: EndLoginsOf,
        others: Sequence[KnownUsers] = (),
        accounts: KnownUsers | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.provider = client.provider
        self.name = client.provider.name
        self.client = client
        self.keys = client.keys
        self._people = people
        self._login_page = login_page
        self._others = tuple(others)
        self._accounts = accounts
        self._end_logins = end_logins
        self._now = now
        self._is_warned = False

    def verified(self, token: Secret, *, nonce: str | None) -> VerifiedPerson:
        """The person of an ID token.

        Raises:
            InvalidCredentials: the provider does not vouch for it, or not for somebody who may log in here.
            BackendUnavailable: the keys of the provider are not known.
        """
        jwt = read_jwt(token.reveal(), most=MAX_ID_TOKEN)
        require_signature(jwt, self.keys)
        return person_in(jwt.claims, self.provider, nonce=nonce, now=self._now())

    def log_in(self, person: VerifiedPerson, upstream: Secret | None) -> Identity:
        """The identity of a person whom the provider has just vouched for. `upstream` is its refresh token.

        Raises:
            RefusedLogin: the name is that of somebody else.
            InvalidCredentials: the person may not log in at `accounts`.
            BackendUnavailable: the storage or another user source does not answer.
        """
        if self._accounts is None:
            for other in self._others:
                self._require_unknown(person.subject, other)
            self._warn_without_recheck(upstream)
            return self._identity(self._pinned(person, upstream))
        try:
            found = self._accounts.find(person.subject)
        except InvalidCredentials as error:
            raise RefusedLogin(f"{self._accounts.name}: {error.reason}", ACCOUNT_REFUSED) from error
        if found is None:
            reason = f"{self._accounts.name} has no user {person.subject}"
            raise RefusedLogin(reason, NO_ACCOUNT, subject=person.subject)
        identity = require_person(found, self._accounts.name)
        self._pinned(replace(person, groups=frozenset()), None)
        return replace(identity, kind=Kind.OIDC)

    def find(self, subject: str) -> Identity | None:
        """See `KnownUsers.find`. People who log in for `accounts` are found there instead.

        Raises:
            LoginTooOld: the last login does not count any more.
        """
        if self._accounts is not None:
            return None
        person = self._people.find(self.name, subject)
        if person is None:
            return None
        if not person.is_active:
            raise AccountEnded(f"{self.name} has ended the sessions of {subject}")
        return self._identity(self._rechecked(person))

    def account(self, sub: str) -> tuple[str, str] | None:
        """The source and the subject of the person whom the provider calls `sub`; None if there is none.

        Raises:
            BackendUnavailable: the storage does not answer.
        """
        person = self._people.store.by_sub(self.name, sub)
        return None if person is None else (self.source_of_accounts, person.subject)

    @property
    def source_of_accounts(self) -> str:
        """The name of the source whose people log in here."""
        return self.name if self._accounts is None else self._accounts.name

    def _warn_without_recheck(self, upstream: Secret | None) -> None:
        """Log, once, that the provider gives no refresh token, without which it cannot be asked about anybody."""
        if self.provider.recheck is not None and upstream is None and not self._is_warned:
            self._is_warned = True
            logger.warning(
                "%s: recheck has no effect, because the provider gave no refresh token; until login_valid is over,"
                " nobody asks whether the person still exists; fix: allow the client the scope offline_access at the"
                " provider",
                self.name,
            )

    def _require_unknown(self, subject: str, other: KnownUsers) -> None:
        try:
            is_known = other.find(subject) is not None
        except InvalidCredentials:
            is_known = True
        if is_known:
            fix = f"accounts: {other.name}, if they are the same people"
            raise RefusedLogin(f"{subject} is a user of {other.name}, too; fix: {fix}", NAME_TAKEN, subject=subject)

    def _pinned(self, person: VerifiedPerson, upstream: Secret | None) -> OpenIdPerson:
        try:
            return self._people.store.log_in(
                self.name, sub=person.sub, subject=person.subject, groups=person.groups, upstream=upstream
            )
        except NotThisPerson as error:
            fix = f"tokenserver people unpin --source {self.name} {error.pinned or person.subject}"
            if error.pinned is None:
                reason = f"the name {person.subject} was somebody else's; once that person is gone, fix: {fix}"
                raise RefusedLogin(reason, NAME_WAS_TAKEN, subject=person.subject) from None
            reason = f"the provider calls {error.pinned} now {person.subject}; if that is right, fix: {fix}"
            raise RefusedLogin(reason, RENAMED) from None

    def _identity(self, person: OpenIdPerson) -> Identity:
        left = max(person.seen, person.asked) + self.provider.login_valid - self._now()
        if left <= 0:
            raise LoginTooOld(f"the last login of {person.subject} is too long ago (login_valid)", self._login_page)
        found = Identity(person.subject, Kind.OIDC, self.name, person.groups, valid_for=left, proof=person.proof)
        return require_person(found, self.name)

    def _rechecked(self, person: OpenIdPerson) -> OpenIdPerson:
        """The person as the provider says now, if its last answer is older than `recheck`.

        While it does not answer, or another process asks, the last answer counts, up to `login_valid`.
        """
        every = self.provider.recheck
        if every is None or not person.is_rechecked or self._now() - person.asked < every:
            return person
        is_over = self._now() - person.asked >= self.provider.login_valid
        try:
            found = self._asked(person)
        except BackendUnavailable:
            if is_over:
                raise
            return person
        except NotThisPerson:
            raise AccountEnded(f"the name {person.subject} was freed at {self.name}") from None
        if is_over and found.asked == person.asked:
            raise BackendUnavailable(self.name, f"has not said for too long whether {person.subject} still exists")
        return found

    def _asked(self, person: OpenIdPerson) -> OpenIdPerson:
        _ = self.client.metadata  # nothing is claimed for a provider that cannot be asked
        token = self._people.store.claim(person)
        if token is None:
            return person
        try:
            answer = self.client.refresh(token)
        except RefusedByProvider as error:
            reason = f"{self.name} answers {error.error}: the person is disabled there, or was logged out"
            self._people.store.end(person)
            self._end_logins(self.name, person.subject, reason)
            raise AccountEnded(reason) from None
        groups = person.groups
        if answer.id_token is not None:
            try:
                groups = self._groups_now(person, answer.id_token)
            except RefusedJwt as error:  # what comes by a refresh may be an old token, or come from another clock
                raise BackendUnavailable(self.name, f"its ID token is not accepted: {error.reason}") from None
            except InvalidCredentials:  # the next request must not be served by the answer before
                self._people.store.refuse(person)
                raise
        return self._people.store.answered(person, groups, answer.refresh_token)

    def _groups_now(self, person: OpenIdPerson, token: Secret) -> frozenset[str]:
        found = self.verified(token, nonce=None)
        if (found.sub, found.subject) != (person.sub, person.subject):
            raise InvalidCredentials(f"{self.name} calls {person.subject} another name now")
        return found.groups
