"""The authenticator chain: credentials to identity, each kind by its own means.

Access keys are looked up among those that exist. For passwords, the user sources are asked in the order of the
configuration. Malformed names and passwords are rejected here, before any source, so that no source can forget to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import assert_never

from tokenserver.authn.access_key_logins import AccessKeyLogins, RobotAuthenticator, count_unknown
from tokenserver.authn.authenticator import (
    Authenticator,
    FromFile,
    Guard,
    KeyAuthenticator,
    NamespaceOwner,
    Rest,
    Stamped,
    WorkloadAuthenticator,
)
from tokenserver.authn.classification import IssuerOf, classify, may_be_jwt, password_problem, sent_secret
from tokenserver.authn.reported import reject_shared, require_person
from tokenserver.authn.stored.known_revision import NOT_LOADED_YET, KnownRevision
from tokenserver.authn.token_uses import TokenUse
from tokenserver.authn.usernames import typed_name_problem
from tokenserver.credentials import (
    Credentials,
    Jwt,
    Key,
    MalformedCredentials,
    NoCredentials,
    Password,
    RefreshToken,
    Secret,
    UnreadSecret,
)
from tokenserver.errors import (
    AuthenticationRequired,
    BackendUnavailable,
    InvalidCredentials,
    OutdatedLogin,
    Overloaded,
    UnknownRefreshToken,
)
from tokenserver.identity import ANONYMOUS, Identity, Kind

MALFORMED_KEY_TEXT = "the access key is incomplete or mistyped; fix: copy it again as a whole"


class Chain:
    """Asks the user sources in the order of the configuration, and `workloads` for their tokens.

    Access keys go to `robots` if a policy file declares them, and to `stored` otherwise.

    `decoy` does the work of a wrong password for a user unknown to all sources, so that response times do not reveal
    which users exist; None if no source does such work. `rest` does the same for the other failures. A `guard`
    decides whether the sources are asked at all. `owners` are the sources again, if any of them maps names: a user is
    rejected whose namespace is that of a user of an earlier source, since each namespace belongs to one person.
    `issuer_of` recognizes the tokens of workloads, see `classify`. `now` gives seconds since the epoch. `revision` is
    that of the storage where logins can be stored; see `Identity.verified`.
    """

    def __init__(
        self,
        authenticators: Sequence[Authenticator],
        *,
        anonymous: bool,
        decoy: Callable[[Password], None] | None,
        rest: Rest | None = None,
        guard: Guard | None = None,
        owners: Sequence[NamespaceOwner] = (),
        robots: RobotAuthenticator | None = None,
        stored: KeyAuthenticator | None = None,
        workloads: WorkloadAuthenticator | None = None,
        issuer_of: IssuerOf | None = None,
        now: Callable[[], float] = time.time,
        revision: KnownRevision | None = None,
    ) -> None:
        self.authenticators = tuple(authenticators)
        self._keys = AccessKeyLogins(robots, stored, guard, now)
        self._use_of = self._keys.uses.get
        self._now = now
        self._workloads = workloads
        self._issuer_of = None if workloads is None else issuer_of
        self._guard = guard
        self._owners = tuple(owners)
        self._stamp = joined_stamp(authenticators)
        self._anonymous = anonymous
        self._decoy = decoy
        self._rest = rest
        self._revision = revision
        self._files = {one.name: one for one in authenticators if isinstance(one, FromFile)}

    def authenticate(self, credentials: Credentials, client: IPv4Address | IPv6Address | None = None) -> Identity:
        """The identity of these credentials; `ANONYMOUS` only if there are no credentials at all.

        `client` is the address of the client, None if it is unknown.

        Raises:
            AuthenticationRequired: there are no credentials, and anonymous access is off.
            InvalidCredentials: the credentials are unusable, unknown or wrong.
            BackendUnavailable: a source cannot answer or broke its contract, or there is no capacity (`Overloaded`).
            Throttled: too many failures of this user, from this address or in total.
        """
        recalled = self._recalled(credentials, client)
        if recalled is not None:
            return recalled
        found = classify(credentials, self._issuer_of)
        match found:
            case Password():
                return self._login(found, client)
            case Key():
                return self._keys.authenticate(found, client)
            case NoCredentials():
                if self._anonymous:
                    return ANONYMOUS
                raise AuthenticationRequired
            case MalformedCredentials(reason):
                secret = sent_secret(credentials)
                if secret is None:
                    raise InvalidCredentials(reason)
                count_unknown(self._guard, secret, client)
                raise InvalidCredentials(reason, MALFORMED_KEY_TEXT)
            case RefreshToken(secret):
                count_unknown(self._guard, secret, client, UnknownRefreshToken.fix)
                raise UnknownRefreshToken
            case Jwt(text):
                return self._by_token(text, client)
            case _:
                assert_never(found)

    def authenticate_again(
        self, credentials: Credentials, client: IPv4Address | IPv6Address | None, error: OutdatedLogin
    ) -> Identity:
        """As `authenticate`, not from the cache, after an identity turned out to be verified too early to be stored.

        Raises as `authenticate`, and `BackendUnavailable` if users who changed with that are not loaded yet.
        """
        identity = self.authenticate_since(error.revision, credentials, client)
        if identity.verified is not None and identity.verified < error.revision:
            raise BackendUnavailable(identity.source, NOT_LOADED_YET)
        return identity

    def authenticate_since(
        self, revision: int, credentials: Credentials, client: IPv4Address | IPv6Address | None
    ) -> Identity:
        """As `authenticate`, not from the cache, and `confirmed`; the storage was seen to have this revision.

        Raises as `authenticate`.
        """
        if self._revision is not None:
            self._revision.learn(revision)
        found = classify(credentials, self._issuer_of)
        if self._guard is not None and isinstance(found, Password):
            self._guard.forget(found, self._stamp(found.username))
        elif self._guard is not None and isinstance(found, Jwt):
            self._guard.forget_token(found.text)
        return self.confirmed(self.authenticate(credentials, client))

    def confirmed(self, identity: Identity) -> Identity:
        """An identity of this chain that is about to be stored: `verified` is not later than its users were current.

        So what ended all logins when a password or an account changed also ends one by the users of before.
        """
        source = self._files.get(identity.source)
        if self._revision is None or source is None or identity.verified is None:
            return identity
        current = self._revision.of_users(source)
        return identity if current >= identity.verified else replace(identity, verified=current)

    def _by_token(self, token: Secret, client: IPv4Address | IPv6Address | None) -> Identity:
        if self._workloads is None:
            count_unknown(self._guard, token, client)
            raise InvalidCredentials("no issuer of tokens is configured")
        workloads, revision = self._workloads, self._revision

        def check(text: Secret) -> Identity:
            return workloads.authenticate(text, None if revision is None else revision())

        found = check(token) if self._guard is None else self._guard.login_by_token(token, client, check)
        if found.kind is not Kind.WORKLOAD:
            raise BackendUnavailable(found.source, "returned the identity of another client than a workload")
        self._workloads.require_declared(found)
        return found

    def _recalled(self, credentials: Credentials, client: IPv4Address | IPv6Address | None) -> Identity | None:
        """Whose secret was verified a moment ago: finding it by its tag takes less time than reading it.

        Raises:
            InvalidCredentials: it is a workload that is not declared any more.
        """
        secret = sent_secret(credentials)
        if secret is None:
            return None
        tag = secret.tag
        if tag is not None:
            use = self._use_of(tag)
            if use is not None:
                return use.again(client, self._now())
            if not isinstance(secret, UnreadSecret):
                return None  # its tag is new
        if self._guard is None:
            return None
        if tag is not None and isinstance(credentials, Password):
            user = self._guard.recall_login(credentials, self._stamp)
            if user is not None:
                return user
        workloads = self._workloads
        if workloads is None:
            return None
        if tag is None and not may_be_jwt(secret.reveal()):
            return None
        recall = self._guard.recalling(secret)
        if recall is None:
            return None
        use = TokenUse(recall, workloads)
        if tag is not None:
            self._keys.uses.offer(tag, use)
        return use.again(client, self._now())

    def _login(self, credentials: Password, client: IPv4Address | IPv6Address | None) -> Identity:
        # No hashing here: whether these are rejected does not depend on which users exist.
        problem = typed_name_problem(credentials.username) or password_problem(credentials.password)
        if problem is not None:
            raise InvalidCredentials(problem)
        if self._guard is not None:
            stamp = self._stamp(credentials.username)
            check = self._check if client is None else partial(self._check, client=client)
            return self._guard.login(credentials, client, stamp, check, self._unavailable)
        try:
            return self._check(credentials, client)
        except BackendUnavailable as error:
            self._unavailable(credentials, error)
            raise

    def _unavailable(self, credentials: Password, error: BackendUnavailable) -> None:
        if self._rest is not None and not error.is_even and not isinstance(error, Overloaded):
            self._rest.unavailable(credentials, error.backend)

    def _check(self, credentials: Password, client: IPv4Address | IPv6Address | None = None) -> Identity:
        if client is not None:
            credentials = credentials._replace(client=str(client))
        if self._revision is None:
            return self._checked(credentials)
        verified = self._revision()
        return replace(self._checked(credentials), verified=verified)

    def _checked(self, credentials: Password) -> Identity:
        for number, authenticator in enumerate(self.authenticators):
            try:
                identity = authenticator.authenticate(credentials)
            except InvalidCredentials:
                if self._rest is not None:
                    self._rest.wrong(credentials, number)
                raise
            if identity is not None:
                found = require_person(identity, authenticator.name)
                reject_shared(found, self._owners[:number])
                return found
        if self._decoy is not None:
            try:
                self._decoy(credentials)
            except BackendUnavailable as error:
                error.is_even = True
                raise
        raise InvalidCredentials("unknown user")


def joined_stamp(sources: Iterable[object]) -> Callable[[str], bytes]:
    """One stamp from those of all sources that have one; with several, each is preceded by its length."""
    stamps = [source.stamp for source in sources if isinstance(source, Stamped)]
    if len(stamps) == 1:
        return stamps[0]
    return lambda name: b"".join(len(stamp).to_bytes(4, "big") + stamp for stamp in (of(name) for of in stamps))
