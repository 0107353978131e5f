"""The whole path of an exchange on one screen: request -> identity -> ruling -> token."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple, Protocol

from tokenserver.authn.chain import Chain
from tokenserver.credentials import Credentials, Password
from tokenserver.errors import AuthenticationRequired, Incomplete, InvalidCredentials, InvalidRequest, TokenserverError
from tokenserver.identity import Identity
from tokenserver.keys.ring import KeyRing
from tokenserver.policy.decide import decide
from tokenserver.policy.decision import Decision
from tokenserver.policy.losses import restricting_rule
from tokenserver.policy.model import Context, PolicySet, Rule
from tokenserver.runtime.bounded_cache import BoundedCache
from tokenserver.scopes import Access, RejectedScope, ScopeRequest
from tokenserver.tokens import zot
from tokenserver.tokens.claims import Compat, Registry
from tokenserver.tokens.issuer import Token, TokenIssuer
from tokenserver.tokens.reuse import Reuse

MAX_ACCOUNT = 1024

RULINGS = 2048
REMEMBERED_SCOPES = 4
"""Rulings about more scopes are not remembered, so that what is remembered is bounded in bytes as well."""


class TokenRequest(NamedTuple):
    """One request for a token, parsed at the door.

    `service` and `account` are as asked (None: not asked, or empty). `client` is the address behind trusted
    proxies, None where there is none. `request_id` is the server's own. With `explain` the client asks why, and for
    no token: see `Explain`.
    """

    request_id: str
    method: str
    service: str | None
    scopes: ScopeRequest
    credentials: Credentials
    account: str | None
    client: IPv4Address | IPv6Address | None
    explain: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Ruling:
    """What one identity gets of what it asked for at one registry, and why, by the policy set `policy` (its digest).

    `rejected` is what was asked and is no scope. `access` is what a token would carry, `lifetime` for how many seconds
    at most (None: no rule says). Equal rulings of one snapshot are one object while they are remembered, so that what
    follows from one can be remembered with it.
    """

    registry: Registry
    identity: Identity
    decisions: tuple[Decision, ...]
    rejected: tuple[RejectedScope, ...]
    policy: str
    access: tuple[Access, ...]
    lifetime: int | None

    @property
    def is_memorable(self) -> bool:
        """Whether it may be remembered: not where it is long, or about what was not well-formed."""
        return not self.rejected and len(self.decisions) <= REMEMBERED_SCOPES


class TokenResult(NamedTuple):
    """A signed token and the ruling that it says."""

    token: Token
    ruling: Ruling


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that one exchange reads, as one frozen whole; a reload replaces the whole.

    `registries` has each registry under all of its service names. `candidate` are the policies that are only compared
    with the live ones (`shadow_policies`), where there are any. `own_issuers` sign for the registries that have keys of
    their own, by their `service`; `issuer` signs for all others. `restricting` holds what `restricting_rule` has found,
    by `service`. `rulings` are those made by this snapshot a while ago: deciding again would come to the same.
    """

    registries: Mapping[str, Registry]
    chain: Chain
    policies: PolicySet
    issuer: TokenIssuer
    candidate: PolicySet | None = None
    own_issuers: Mapping[str, TokenIssuer] = field(default_factory=dict)
    restricting: dict[str, Rule | None] = field(default_factory=dict, compare=False, repr=False)
    rulings: BoundedCache[Hashable, Ruling] = field(
        default_factory=lambda: BoundedCache(RULINGS), compare=False, repr=False
    )

    def issuer_for(self, registry: Registry) -> TokenIssuer:
        """Who signs this registry's tokens."""
        return self.own_issuers.get(registry.service, self.issuer)

    @property
    def rings(self) -> tuple[KeyRing, ...]:
        """Every key ring in use, that of the whole server first."""
        rings = [self.issuer.ring, *(issuer.ring for issuer in self.own_issuers.values())]
        return tuple(ring for index, ring in enumerate(rings) if all(ring is not other for other in rings[:index]))

    def restricting_rule(self, service: str) -> Rule | None:
        """A rule at this registry for which the groups of an identity must be known; see `policy.losses`."""
        if service not in self.restricting:
            self.restricting[service] = restricting_rule(self.policies, service)
        return self.restricting[service]

    def registry(self, service: str | None) -> Registry:
        """The registry that is meant; with exactly one configured, no service means that one.

        Raises:
            InvalidRequest: an unknown service, or none where there are several.
        """
        if service is None:
            if len({registry.service for registry in self.registries.values()}) == 1:
                return next(registry for registry in self.registries.values() if registry.asked_as is None)
            raise InvalidRequest("service: is missing")
        registry = self.registries.get(service)
        if registry is None:
            raise InvalidRequest("service: no registry of that name is served here")
        return registry


class Exchange(Protocol):
    """What the web calls, and what observers wrap."""

    def exchange(self, request: TokenRequest) -> TokenResult:
        """A token that carries exactly what the identity may have of what was asked.

        An ungranted scope is no error: the token carries less. The errors are:
        `InvalidRequest`, `InvalidCredentials`, `AuthenticationRequired`, `Throttled` (the client's), and
        `BackendUnavailable`, `SigningFailed` (the server's). Whatever else is raised is a bug and gives no token.
        """
        ...


class Explain(Protocol):
    """What the web calls for a client that asks about itself."""

    def explain(self, request: TokenRequest) -> Ruling:
        """The ruling that the same request would get, for whoever authenticated, and no token.

        The errors are those of `Exchange.exchange`; `AuthenticationRequired` also for an anonymous client where
        anonymous access is on.
        """
        ...


class Refusals(Protocol):
    """What the web tells of requests that do not come as far as the exchange."""

    def refused(self, *, request_id: str, method: str, client: object, error: TokenserverError, ms: float) -> None:
        """Take note of one that is answered with `error` after `ms` milliseconds.

        Raises:
            AuditUnavailable: it could not be written down.
        """
        ...


class TokenService:
    """The exchange itself. `snapshot` is asked once per exchange; `now` gives seconds since the epoch.

    With `reuse`, tokens may be given again in a rush; without it, each is signed anew.
    """

    def __init__(
        self, snapshot: Callable[[], Snapshot], *, now: Callable[[], float], reuse: Reuse | None = None
    ) -> None:
        self._snapshot = snapshot
        self._now = now
        self._reuse = reuse

    def exchange(self, request: TokenRequest) -> TokenResult:
        """See `Exchange.exchange`."""
        snapshot = self._snapshot()
        ruling = self._ruling(snapshot, request)

        def sign() -> Token:
            issuer = snapshot.issuer_for(ruling.registry)
            return issuer.issue(ruling.identity, ruling.registry, ruling.access, lifetime=ruling.lifetime)

        # A ruling belongs to one snapshot, and so to one signing key.
        return TokenResult(sign() if self._reuse is None else self._reuse.token(ruling, sign), ruling)

    def explain(self, request: TokenRequest) -> Ruling:
        """See `Explain.explain`."""
        ruling = self._ruling(self._snapshot(), request)
        if ruling.identity.is_anonymous:
            raise AuthenticationRequired
        return ruling

    def _ruling(self, snapshot: Snapshot, request: TokenRequest) -> Ruling:
        """All that an exchange and its explanation share: everything but the signature."""
        registry = snapshot.registry(request.service)
        identity = snapshot.chain.authenticate(request.credentials, request.client)
        _check_account(request, identity)
        if identity.lost:
            _check_groups(identity, snapshot.restricting_rule(registry.service))
        asked = zot.as_asked(request.scopes) if registry.compat is Compat.ZOT else request.scopes
        key: Hashable = (registry.service, registry.asked_as, identity, asked)
        if not asked.rejected:
            ruling = snapshot.rulings.get(key)
            if ruling is not None:
                return ruling
        context = Context(registry.service, request.client, datetime.fromtimestamp(self._now(), UTC))
        decisions = tuple(decide(snapshot.policies, identity, scope, context) for scope in asked.scopes)
        ruling = _ruled(snapshot, registry, identity, decisions, asked.rejected)
        if not ruling.is_memorable:
            return ruling
        if not all(decision.is_lasting for decision in decisions):
            # A condition has a say: another client or moment may get another answer; equal answers are still one.
            cited = [(reason.action, reason.rule) for decision in decisions for reason in decision.reasons]
            granted = [(decision.scope, decision.granted) for decision in decisions]
            key = (registry.service, registry.asked_as, identity, *granted, *cited)
            ruling = snapshot.rulings.get(key) or ruling
        snapshot.rulings.put(key, ruling)
        return ruling


def _ruled(
    snapshot: Snapshot,
    registry: Registry,
    identity: Identity,
    decisions: tuple[Decision, ...],
    rejected: tuple[RejectedScope, ...],
) -> Ruling:
    limits = (decision.max_lifetime for decision in decisions)
    access = [decision.access for decision in decisions if decision.access is not None]
    return Ruling(
        registry=registry,
        identity=identity,
        decisions=decisions,
        rejected=rejected,
        policy=snapshot.policies.digest,
        access=tuple(zot.as_read(access) if registry.compat is Compat.ZOT else access),
        lifetime=min((limit for limit in limits if limit is not None), default=None),
    )


def _check_groups(identity: Identity, rule: Rule | None) -> None:
    """Refuse who may be in a group for which `rule` takes something away, and nobody can tell."""
    if rule is not None:
        lost = ", ".join(map(ascii, identity.lost))
        problem = f"cannot tell the names of all groups of the user, and {rule.id} ({rule.file}:{rule.line}) needs them"
        raise Incomplete(identity.source, f"{problem}; see tokenserver ldap test: {lost}")


def _check_account(request: TokenRequest, identity: Identity) -> None:
    """Refuse an `account` that is not who authenticated. It is never an identity, and nobody's is no claim."""
    if request.account is None or identity.is_anonymous:
        return
    names = {identity.subject}
    if isinstance(request.credentials, Password):
        names.add(request.credentials.username)
    too_long = len(request.account) > MAX_ACCOUNT  # normalising a very long one would only cost time
    if too_long or unicodedata.normalize("NFC", request.account) not in names:
        raise InvalidCredentials("account differs from the authenticated user")
