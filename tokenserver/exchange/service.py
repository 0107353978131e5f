"""The path of an exchange on one screen: request -> identity -> ruling -> token."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from tokenserver.credentials import Credentials, Password, RefreshToken
from tokenserver.errors import (
    AuthenticationRequired,
    Incomplete,
    InvalidCredentials,
    InvalidRequest,
    OutdatedLogin,
    UnknownRefreshToken,
    UnusableAccessKey,
)
from tokenserver.exchange.rulings import Ruling, WorkloadFacts
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.exchange.stored.logins import Logins, NewLogin
from tokenserver.identity import ROBOT_PREFIX, Identity, Kind
from tokenserver.policy.decide import decide, decide_held
from tokenserver.policy.decision import Decision
from tokenserver.policy.model import Context, Rule
from tokenserver.policy.queries.denial import Denial, denials
from tokenserver.scopes import Access, ScopeRequest
from tokenserver.tokens import zot
from tokenserver.tokens.claims import Compat, Registry
from tokenserver.tokens.issuer import Token
from tokenserver.tokens.reuse import Reuse

MAX_ACCOUNT = 1024


class GrantPurpose(StrEnum):
    """What a request is for: a token as registries' clients ask for one, or one of the two token exchanges (RFC 8693).

    `EXCHANGE` is for a token in exchange for a JWT, `SESSION` for a session that takes its place for longer.
    """

    USUAL = "usual"
    EXCHANGE = "exchange"
    SESSION = "session"


class TokenRequest(NamedTuple):
    """One parsed request for a token or, with `explain`, for the reasons that it would be granted or refused by.

    `service` and `account` are as asked (None: not asked, or empty). `client` is the address behind trusted proxies,
    None if it is unknown. `request_id` is the server's own. `client_id` and `user_agent` are how the client calls
    itself; nothing depends on them. `offline`: the client asks for a refresh token or session beside the token.
    """

    request_id: str
    method: str
    service: str | None
    scopes: ScopeRequest
    credentials: Credentials
    account: str | None
    client: IPv4Address | IPv6Address | None
    explain: bool = False
    client_id: str | None = None
    user_agent: str | None = None
    offline: bool = False
    grant: GrantPurpose = GrantPurpose.USUAL


class TokenResult(NamedTuple):
    """A ruling and the signed token that carries it.

    `token` is None for an explanation, which has `denials`: one for each decision of the ruling. `login` is what a
    client was given that asked for a refresh token.
    """

    token: Token | None
    ruling: Ruling
    denials: tuple[Denial, ...] = ()
    login: NewLogin | None = None


class TokenService:
    """The exchange itself. `snapshot` is called once per exchange; `now` gives seconds since the epoch.

    With `reuse`, recently signed tokens may be reused under load; without it, every token is freshly signed. `logins`
    gives refresh tokens and sessions; without it, there are none.
    """

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        *,
        now: Callable[[], float],
        reuse: Reuse | None = None,
        logins: Logins | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._now = now
        self._reuse = reuse
        self._logins = logins

    def exchange(self, request: TokenRequest) -> TokenResult:
        """A token with exactly the access that the identity has to what was asked; for `explain`, the ruling alone.

        At a registry that `holds`, the access is all that the identity has to the repositories asked for.

        A scope that is not granted is no error: the token carries less. Any other exception than these is a bug, and
        gives no token.

        Raises:
            InvalidRequest, InvalidCredentials, AuthenticationRequired, Throttled: the client's error. An explanation
                requires authentication even where anonymous access is on.
            BackendUnavailable, SigningFailed: the server's error.
        """
        snapshot = self._snapshot()
        identity, ruling = self._ruling(snapshot, request)
        if request.explain:
            if ruling.identity.is_anonymous:
                raise AuthenticationRequired
            return TokenResult(None, ruling, denials_of(snapshot, ruling, request.client, self._now()))

        def sign() -> Token:
            issuer = snapshot.issuer_for(ruling.registry)
            return issuer.issue(ruling.identity, ruling.registry, ruling.access, lifetime=ruling.lifetime)

        if self._reuse is None:
            token = sign()
        else:
            # A ruling belongs to one snapshot, and so to one signing key. One that is not kept will not be met again.
            # That of a workload is one for many jobs, and the id of a token leads to one of them.
            key = ruling if ruling.workload is None else (ruling, identity)
            kept = ruling.is_kept
            token = self._reuse.token(key, sign, weight=ruling.weight) if kept else self._reuse.token(None, sign)
        return TokenResult(token, ruling, login=self._login(request, identity, ruling) if request.offline else None)

    def withdraw(self, result: TokenResult) -> None:
        """Undo an exchange whose result reaches nobody: its refresh token or session ends, if the storage answers."""
        if result.login is not None and self._logins is not None:
            self._logins.withdraw(result.login)

    def _login(self, request: TokenRequest, identity: Identity, ruling: Ruling) -> NewLogin | None:
        """The refresh token or session that the client is given; `identity` is that of this login.

        That of the ruling may have been proved by an older password or by another JWT, and has only decisive claims.
        """
        login = None
        if self._logins is not None:
            begin = partial(
                self._logins.begin,
                service=ruling.registry.service,
                client=request.client,
                program=request.client_id,
                workloads=() if ruling.workload is None else ruling.workload.names,
            )
            try:
                login = begin(identity)
            except OutdatedLogin as error:  # such as one from the cache; by the users of now, it may be right
                chain = self._snapshot().chain
                login = begin(chain.authenticate_again(request.credentials, request.client, error))
        if login is None and request.grant is GrantPurpose.SESSION:
            raise InvalidRequest("requested_token_type: there are no sessions for the issuer of this token")
        return login

    def _ruling(self, snapshot: Snapshot, request: TokenRequest) -> tuple[Identity, Ruling]:
        registry = snapshot.registry(request.service)
        identity = snapshot.chain.authenticate(request.credentials, request.client)
        if request.account is not None:
            _check_account(request.account, request.credentials, identity)
        if request.offline:
            identity = snapshot.chain.confirmed(identity)
        return identity, ruling_for(snapshot, registry, identity, request.scopes, request.client, now=self._now)


def ruling_for(
    snapshot: Snapshot,
    registry: Registry,
    identity: Identity,
    scopes: ScopeRequest,
    client: IPv4Address | IPv6Address | None,
    *,
    now: Callable[[], float],
) -> Ruling:
    """What policies say about these scopes, for a client that logged in; kept in the snapshot where it can be.

    Raises:
        UnusableAccessKey: its credential is for other registries.
        Incomplete: a deny rule may be about a group whose name is not known.
    """
    if identity.services is not None and registry.service not in identity.services:
        _refuse_service(identity, registry)
    if identity.lost:
        _check_groups(identity, snapshot.restricting_rule(registry.service))
    asked = zot.as_asked(scopes) if registry.compat is Compat.ZOT else scopes
    question = (registry.service, registry.asked_as, identity, asked)
    if asked.is_repeated:
        cached = snapshot.rulings.get(question)
        if cached is not None:
            return cached

    def decided(identity: Identity) -> Ruling:
        context = Context(registry.service, client, datetime.fromtimestamp(now(), UTC))
        return _decide(snapshot, registry, identity, asked, context)

    if not asked.is_repeated:
        return decided(identity)
    claims = snapshot.decisive_claims(identity)
    if claims is None:
        return snapshot.rulings.keep(question, decided(identity))
    # Whatever was decided for one job of a workload holds for the next one.
    of_all_jobs = (registry.service, registry.asked_as, identity.question_with(claims), asked)
    ruling = snapshot.rulings.get(of_all_jobs)
    if ruling is None:
        ruling = snapshot.rulings.keep(of_all_jobs, decided(replace(identity, claims=claims)))
    return snapshot.rulings.keep(question, ruling)


def denials_of(
    snapshot: Snapshot, ruling: Ruling, client: IPv4Address | IPv6Address | None, now: float
) -> tuple[Denial, ...]:
    """Why a ruling grants no more: one for each of its decisions."""
    context = Context(ruling.registry.service, client, datetime.fromtimestamp(now, UTC))
    return denials(snapshot.policies, ruling.identity, ruling.decisions, context)


def _refuse_service(identity: Identity, registry: Registry) -> None:
    """Refuse a credential at another registry than those that it was made for."""
    reason = f"credential {identity.credential} of {identity.subject} is not for {registry.service}"
    raise UnusableAccessKey(reason, f"this login is for another registry; fix: {UnknownRefreshToken.fix}")


def _check_account(account: str, credentials: Credentials, identity: Identity) -> None:
    """Refuse an `account` other than the authenticated user. It is never an identity; an anonymous one is no claim."""
    if identity.is_anonymous:
        return
    names = {identity.subject}
    if isinstance(credentials, Password):
        names.add(credentials.username)
    elif isinstance(credentials, RefreshToken):
        names.add("<token>")  # clients send this name with a token, and with a robot's key
    if identity.kind is Kind.ROBOT:
        robot = identity.subject.removeprefix(ROBOT_PREFIX)
        names |= {robot, f"robot/{robot}"}
    too_long = len(account) > MAX_ACCOUNT  # normalising a very long one would only cost time
    if too_long or unicodedata.normalize("NFC", account) not in names:
        raise InvalidCredentials("account differs from the authenticated user")


def _check_groups(identity: Identity, rule: Rule | None) -> None:
    """Refuse an identity with unknown groups if `rule` takes something away from a group that may be among them."""
    if rule is not None:
        lost = ", ".join(map(ascii, identity.lost))
        problem = f"cannot tell the names of all groups of the user, and {rule.id} ({rule.file}:{rule.line}) needs them"
        raise Incomplete(identity.source, f"{problem}; see tokenserver ldap test: {lost}")


def _decide(
    snapshot: Snapshot, registry: Registry, identity: Identity, asked: ScopeRequest, context: Context
) -> Ruling:
    ruled = decide_held if registry.holds else decide
    decisions: list[Decision] = []
    access: list[Access] = []
    for scope in asked.scopes:
        decision = ruled(snapshot.policies, identity, scope, context)
        decisions.append(decision)
        granted = decision.access
        if granted is not None:
            access.append(granted)
    return Ruling(
        registry,
        identity,
        tuple(decisions),
        asked.rejected,
        policy=snapshot.policies.digest,
        candidate=None if snapshot.candidate is None else snapshot.candidate.digest,
        access=tuple(zot.as_read(access) if registry.compat is Compat.ZOT else access),
        lifetime=_lifetime(decisions),
        workload=WorkloadFacts.of(snapshot.policies, identity) if identity.kind is Kind.WORKLOAD else None,
    )


def _lifetime(decisions: Sequence[Decision]) -> int | None:
    """The shortest lifetime in seconds that the deciding rules set; None: they set none, as nearly all rules."""
    for decision in decisions:
        for reason in decision.reasons:
            if reason.by.max_lifetime is not None:
                return min([limit for one in decisions if (limit := one.max_lifetime) is not None], default=None)
    return None
