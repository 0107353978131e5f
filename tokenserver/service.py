"""The whole path of an exchange on one screen: request -> identity -> decisions -> access -> token."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from tokenserver.authn import Chain
from tokenserver.credentials import Credentials, Password
from tokenserver.errors import AuthenticationRequired, InvalidCredentials, InvalidRequest
from tokenserver.identity import Identity
from tokenserver.policy.decide import decide
from tokenserver.policy.decision import Decision
from tokenserver.policy.model import Context, PolicySet
from tokenserver.scopes import ScopeRequest
from tokenserver.tokens.claims import Registry
from tokenserver.tokens.issuer import Token, TokenIssuer

MAX_ACCOUNT = 1024


@dataclass(frozen=True, slots=True)
class TokenRequest:
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


@dataclass(frozen=True, slots=True)
class TokenResult:
    """A signed token and how it came about."""

    token: Token
    identity: Identity
    registry: Registry
    decisions: tuple[Decision, ...]
    policy: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a token would have carried, and why. There is no token."""

    identity: Identity
    registry: Registry
    decisions: tuple[Decision, ...]
    policy: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that one exchange reads, as one frozen whole; a reload replaces the whole.

    `candidate` are the policies that are only compared with the live ones (`shadow_policies`), where there are any.
    """

    registries: Mapping[str, Registry]
    chain: Chain
    policies: PolicySet
    issuer: TokenIssuer
    candidate: PolicySet | None = None

    def registry(self, service: str | None) -> Registry:
        """The registry that is meant; with exactly one configured, no service means that one.

        Raises:
            InvalidRequest: an unknown service, or none where there are several.
        """
        if service is None:
            if len(self.registries) == 1:
                return next(iter(self.registries.values()))
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

    def explain(self, request: TokenRequest) -> Explanation:
        """The decisions that the same request would get, for whoever authenticated, and no token.

        The errors are those of `Exchange.exchange`; `AuthenticationRequired` also for an anonymous client where
        anonymous access is on.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Decided:
    """An exchange as far as an explanation goes with it."""

    snapshot: Snapshot
    registry: Registry
    identity: Identity
    decisions: tuple[Decision, ...]


class TokenService:
    """The exchange itself. `snapshot` is asked once per exchange; `now` gives seconds since the epoch."""

    def __init__(self, snapshot: Callable[[], Snapshot], *, now: Callable[[], float]) -> None:
        self._snapshot = snapshot
        self._now = now

    def exchange(self, request: TokenRequest) -> TokenResult:
        """See `Exchange.exchange`."""
        decided = self._decide(request)
        access = [decision.access for decision in decided.decisions if decision.access is not None]
        limits = [decision.max_lifetime for decision in decided.decisions]
        lifetime = min((limit for limit in limits if limit is not None), default=None)
        token = decided.snapshot.issuer.issue(decided.identity, decided.registry, access, lifetime=lifetime)
        policy = decided.snapshot.policies.digest
        return TokenResult(token, decided.identity, decided.registry, decided.decisions, policy)

    def explain(self, request: TokenRequest) -> Explanation:
        """See `Explain.explain`."""
        decided = self._decide(request)
        if decided.identity.is_anonymous:
            raise AuthenticationRequired
        policy = decided.snapshot.policies.digest
        return Explanation(decided.identity, decided.registry, decided.decisions, policy)

    def _decide(self, request: TokenRequest) -> _Decided:
        """All that an exchange and its explanation share: everything but the signature."""
        snapshot = self._snapshot()
        registry = snapshot.registry(request.service)
        identity = snapshot.chain.authenticate(request.credentials, request.client)
        _check_account(request, identity)
        context = Context(registry.service, request.client, datetime.fromtimestamp(self._now(), UTC))
        decisions = tuple(decide(snapshot.policies, identity, scope, context) for scope in request.scopes.scopes)
        return _Decided(snapshot, registry, identity, decisions)


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
