"""The snapshot: users, policies, keys and registries as one immutable whole that a single request reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tokenserver.authn.chain import Chain
from tokenserver.authn.oidc.source import OidcSource
from tokenserver.authn.stored.owners import Owners
from tokenserver.authn.workload.backend import WorkloadSource
from tokenserver.errors import InvalidRequest
from tokenserver.exchange.rulings import RulingCache
from tokenserver.identity import Claims, Identity, Kind
from tokenserver.keys.ring import KeyRing
from tokenserver.policy.losses import restricting_rule
from tokenserver.policy.model import PolicySet, Rule
from tokenserver.tokens.claims import Registry
from tokenserver.tokens.issuer import TokenIssuer


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that one exchange reads; a reload replaces it as a whole.

    `registries` has each registry under all of its service names. `candidate` is the shadow policy set, if there is
    one. `own_issuers` sign for the registries that have keys of their own, by their `service`; `issuer` signs for all
    others. `workload_sources` are those whose JWTs `chain` accepts, `oidc_sources` those where
    people log in by a browser. `owners` finds people and machines without their
    credentials, if there is a storage. `restricting` caches `restricting_rule` by
    `service`, and `rulings` what was decided in this snapshot.
    """

    registries: Mapping[str, Registry]
    chain: Chain
    policies: PolicySet
    issuer: TokenIssuer
    candidate: PolicySet | None = None
    own_issuers: Mapping[str, TokenIssuer] = field(default_factory=dict)
    workload_sources: tuple[WorkloadSource, ...] = ()
    oidc_sources: tuple[OidcSource, ...] = ()
    owners: Owners | None = None
    restricting: dict[str, Rule | None] = field(default_factory=dict, compare=False, repr=False)
    rulings: RulingCache = field(default_factory=RulingCache, compare=False, repr=False)

    def issuer_for(self, registry: Registry) -> TokenIssuer:
        """The issuer that signs this registry's tokens."""
        return self.own_issuers.get(registry.service, self.issuer)

    def decisive_claims(self, identity: Identity) -> Claims | None:
        """The claims of a workload on which decisions depend, by the live policies or those of `candidate`.

        Each job of a workload has others besides, such as the number of its run. What is decided is the same for all
        jobs with the same decisive claims. None for other clients, and for credentials, which are unlike any other.
        """
        if identity.kind is not Kind.WORKLOAD or identity.credential:
            return None
        found = self.policies.groups.workloads.decisive(identity.source, identity.claims)
        if self.candidate is not None:
            found |= self.candidate.groups.workloads.decisive(identity.source, identity.claims)
        return found

    @property
    def rings(self) -> tuple[KeyRing, ...]:
        """Every key ring in use, the server's own first."""
        rings = [self.issuer.ring, *(issuer.ring for issuer in self.own_issuers.values())]
        return tuple(ring for index, ring in enumerate(rings) if all(ring is not other for other in rings[:index]))

    def restricting_rule(self, service: str) -> Rule | None:
        """A rule at this registry for which all groups of an identity must be known; see `policy.losses`."""
        if service not in self.restricting:
            self.restricting[service] = restricting_rule(self.policies, service)
        return self.restricting[service]

    def registry(self, service: str | None) -> Registry:
        """The registry with this service name; if only one is configured, None means that one.

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
