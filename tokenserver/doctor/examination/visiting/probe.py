"""Probe tokens: signed for one registry, valid for a minute, with only the access that the doctor uses there."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenserver.credentials import Secret
from tokenserver.doctor.checks.trial import Trial
from tokenserver.doctor.examination.visiting.requests import GivenToken
from tokenserver.doctor.facts import OurRegistry
from tokenserver.doctor.identification import READ, least_access
from tokenserver.doctor.token import access_in
from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.keys.ring import KeyRing
from tokenserver.scopes import MIN_LIFETIME, Access, Resource, Scope
from tokenserver.server.compose import new_id
from tokenserver.tokens.claims import Compat, Registry
from tokenserver.tokens.issuer import TokenIssuer

_CATALOG = (Resource("registry", "catalog"), Resource("repository", ""))
"""The catalog, and zot's name for it."""


NOTHING = "tokenserver-doctor/nothing"
"""A repository that no registry has."""


@dataclass(frozen=True, slots=True)
class Probes:
    """Signs tokens for one visit to `registry`, whose clock is `skew` seconds ahead of this machine's.

    `given` is the token that our server issued; it is not sent, and limits what a probe for its user can allow. If it
    is None, probes are anonymous and allow nothing, except for `to_cancel` and `for_nothing`. `wanted` are the scopes
    of `--scope`.
    """

    ring: KeyRing
    registry: OurRegistry
    skew: float
    given: GivenToken | None
    wanted: Sequence[Scope]

    def least(self, *, with_catalog: bool = False) -> Secret:
        """The token to send. `with_catalog`: it also carries the catalog access that was granted.

        Raises:
            SigningFailed: the token could not be signed.
        """
        granted = access_in(_claims(self.given))
        access = least_access(granted, self.wanted)
        if with_catalog:
            access += tuple(Access(one, granted[one]) for one in _CATALOG if one in granted)
        return self._derived(access)

    def for_trial(self, trial: Trial) -> Secret | None:
        """A token for this trial alone; None if our server does not grant it.

        Raises:
            SigningFailed: the token could not be signed.
        """
        held = access_in(_claims(self.given)).get(trial.scope.resource, frozenset()) & trial.scope.actions
        if trial.action not in held:
            return None
        return self._derived((Access(trial.scope.resource, held),))

    def to_cancel(self, trial: Trial) -> Secret:
        """A token for nobody to cancel an upload to that repository, for which registries require `delete`.

        Raises:
            SigningFailed: the token could not be signed.
        """
        return self._signed(ANONYMOUS, (Access(trial.scope.resource, frozenset({"delete"})),), new_id())

    def for_nothing(self) -> Secret:
        """A token for nobody that allows to pull `NOTHING`: a registry that answers it trusts its key.

        Raises:
            SigningFailed: the token could not be signed.
        """
        return self._signed(ANONYMOUS, (Access(Resource("repository", NOTHING), READ),), new_id())

    def _derived(self, access: tuple[Access, ...]) -> Secret:
        """A token for the user of the given one, with its id, which is in the audit log."""
        claims = _claims(self.given)
        subject, jti = claims.get("sub"), claims.get("jti")
        identity = Identity(subject, Kind.PASSWORD) if isinstance(subject, str) and subject else ANONYMOUS
        return self._signed(identity, access, jti if isinstance(jti, str) else new_id())

    def _signed(self, identity: Identity, access: tuple[Access, ...], jti: str) -> Secret:
        made_for = Registry(self.registry.service, self.registry.issuer, Compat(self.registry.compat), MIN_LIFETIME)
        issuer = TokenIssuer(self.ring, now=lambda: time.time() + self.skew, new_id=lambda: jti)
        return issuer.issue(identity, made_for, access).text


def is_meant_for(token: GivenToken, registry: OurRegistry) -> bool:
    """Whether this registry is the token's only audience, so that it cannot be used elsewhere."""
    audience = _claims(token).get("aud")
    return isinstance(audience, str) and audience in registry.names


def _claims(token: GivenToken | None) -> Mapping[str, Any]:
    return {} if token is None else token.opened.claims
