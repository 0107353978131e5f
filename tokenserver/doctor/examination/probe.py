"""Tokens that the doctor brings to a registry: for what it does there, for a minute, and for that registry alone."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenserver.credentials import Secret
from tokenserver.doctor.checks.token import access_in
from tokenserver.doctor.facts import OurRegistry
from tokenserver.doctor.token import UnreadableToken, open_unverified
from tokenserver.doctor.visited import least_access
from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.keys.ring import KeyRing
from tokenserver.scopes import MIN_LIFETIME, Access, Resource, Scope
from tokenserver.server.compose import new_id
from tokenserver.tokens.claims import Compat, Registry
from tokenserver.tokens.issuer import TokenIssuer

_CATALOG = (Resource("registry", "catalog"), Resource("repository", ""))
"""The catalog, and what zot calls it."""


@dataclass(frozen=True, slots=True)
class Probes:
    """Makes tokens for one visit to `registry`, whose clock is `ahead` seconds before this machine's.

    `given` is the token that our server gave; it stays here, and what it allows is the most that a probe can allow.
    Where it is None, probes are for nobody and allow nothing. `wanted` are the scopes of `--scope`.
    """

    ring: KeyRing
    registry: OurRegistry
    ahead: float
    given: Secret | None
    wanted: Sequence[Scope]

    def least(self, *, with_catalog: bool = False) -> Secret:
        """The token to send; `with_catalog` it also has the access to the catalog that was granted.

        Raises:
            SigningFailed: no signature could be made.
        """
        claims = _claims(self.given)
        subject, jti = claims.get("sub"), claims.get("jti")
        granted = access_in(claims)
        access = least_access(granted, self.wanted)
        if with_catalog:
            access += tuple(Access(one, granted[one]) for one in _CATALOG if one in granted)
        identity = Identity(subject, Kind.PASSWORD) if isinstance(subject, str) and subject else ANONYMOUS
        made_for = Registry(self.registry.service, self.registry.issuer, Compat(self.registry.compat), MIN_LIFETIME)
        # Under the id of the token that it is a part of, which the audit trail has.
        same_id = jti if isinstance(jti, str) else new_id()
        issuer = TokenIssuer(self.ring, now=lambda: time.time() + self.ahead, new_id=lambda: same_id)
        return issuer.issue(identity, made_for, access).text


def is_meant_for(token: Secret, registry: OurRegistry) -> bool:
    """Whether the token's one audience is this registry, so that it can be used nowhere else."""
    audience = _claims(token).get("aud")
    return isinstance(audience, str) and audience in registry.names


def _claims(token: Secret | None) -> Mapping[str, Any]:
    try:
        return {} if token is None else open_unverified(token.reveal()).claims
    except UnreadableToken:
        return {}
