"""What a token says: the claims of one grant, and the judgement whether claims say exactly that grant.

Pure. The claims are those of Distribution's token specification (docs/spec/auth/jwt.md, "Getting a Bearer
Token") on top of RFC 7519, section 4.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tokenserver.identity import Identity
from tokenserver.scopes import MAX_LIFETIME, MIN_LIFETIME, Access, Resource, in_order

BACKDATED = 10
"""`nbf` and `iat` are set back by this many seconds, because some registries allow no clock skew at all."""


class Compat(StrEnum):
    """Which registries can verify the tokens; decides how the header names the key."""

    UNIVERSAL = "universal"
    DISTRIBUTION2 = "distribution2"
    DISTRIBUTION3 = "distribution3"
    JWKS = "jwks"
    ZOT = "zot"


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry that tokens are for. Policies and audit events know it by its `service`.

    `asked_as` is the service name that the client used, where that is another one of the same registry.
    `token_lifetime` counts seconds; `lifetimes` has those of the actions that have one of their own.
    """

    service: str
    issuer: str
    compat: Compat
    token_lifetime: int
    lifetimes: tuple[tuple[str, int], ...] = ()
    asked_as: str | None = None

    def __post_init__(self) -> None:
        for seconds in (self.token_lifetime, *(seconds for _, seconds in self.lifetimes)):
            if not MIN_LIFETIME <= seconds <= MAX_LIFETIME:
                raise ValueError(f"token_lifetime must be from {MIN_LIFETIME} to {MAX_LIFETIME} seconds")

    @property
    def audience(self) -> str:
        """The token's `aud`: the service name as the client asked for it, since that is how the registry is set up."""
        return self.service if self.asked_as is None else self.asked_as

    def lifetime_of(self, access: Iterable[Access]) -> int:
        """How long a token with `access` lives, in seconds.

        The strongest of the granted actions that have a lifetime of their own decides: delete before push before
        pull. So a push may be given longer than a pull although every push is granted with one, and a delete shorter.
        """
        if not self.lifetimes:
            return self.token_lifetime
        granted = {action for entry in access for action in entry.actions if entry.resource.type == "repository"}
        own = dict(self.lifetimes)
        for action in ("delete", "push", "pull"):
            if action in own and (action in granted or (action == "delete" and "*" in granted)):
                return own[action]
        return self.token_lifetime


@dataclass(frozen=True, slots=True)
class Grant:
    """All that one token has to say, as it was decided. `now` is in whole seconds since the epoch.

    `lifetime` is how long it may live, in seconds; None: as long as the registry's tokens do.
    """

    identity: Identity
    registry: Registry
    access: tuple[Access, ...]
    now: int
    jti: str
    lifetime: int | None = None

    @property
    def expires_in(self) -> int:
        """How long the token lives, in seconds: never longer than the registry says, never below the minimum."""
        longest = self.registry.lifetime_of(self.access)
        return longest if self.lifetime is None else max(MIN_LIFETIME, min(longest, self.lifetime))


def granted_access(access: Iterable[Access]) -> tuple[Access, ...]:
    """One `Access` per resource, in the order first granted; a resource with nothing granted is left out."""
    merged: dict[Resource, frozenset[str]] = {}
    for entry in access:
        if entry.actions:
            merged[entry.resource] = merged.get(entry.resource, frozenset()) | entry.actions
    return tuple(Access(resource, actions) for resource, actions in merged.items())


def build_claims(
    identity: Identity, registry: Registry, access: Sequence[Access], *, now: int, jti: str, lifetime: int | None = None
) -> dict[str, Any]:
    """The claims of a token that is issued at `now` (whole seconds since the epoch) under the id `jti`.

    It lives for `lifetime` seconds; None: for as long as the registry gives such access.

    Times are integers and the audience is one string: Distribution 2 takes nothing else. `access` has one entry
    per resource and is an empty list, never null, where nothing was granted.
    """
    return {
        "iss": registry.issuer,
        "sub": identity.subject,
        "aud": registry.audience,
        "exp": now + (registry.lifetime_of(access) if lifetime is None else lifetime),
        "nbf": now - BACKDATED,
        "iat": now - BACKDATED,
        "jti": jti,
        "access": [
            {"type": entry.resource.type, "name": entry.resource.name, "actions": in_order(entry.actions)}
            for entry in granted_access(access)
        ],
    }


def difference(claims: Mapping[str, Any], grant: Grant) -> str | None:
    """The name of a claim that does not say what was decided, or None where all of them do.

    Written apart from `build_claims` on purpose, from the grant and not from what was built: it is the check on
    whatever stands between the decision and the signature. A time must be an integer, because
    registries refuse 1.0 for 1.
    """
    registry = grant.registry
    texts = {"iss": registry.issuer, "sub": grant.identity.subject, "aud": registry.audience, "jti": grant.jti}
    since = grant.now - BACKDATED
    times = {"exp": grant.now + grant.expires_in, "nbf": since, "iat": since}
    for name, text in texts.items():
        if claims.get(name) != text:
            return name
    for name, time in times.items():
        if type(claims.get(name)) is not int or claims[name] != time:
            return name
    if _access_in(claims.get("access")) != _access_decided(grant):
        return "access"
    unexpected = claims.keys() - texts.keys() - times.keys() - {"access"}
    return min(unexpected) if unexpected else None


def _access_decided(grant: Grant) -> dict[tuple[str, str], set[str]]:
    decided: dict[tuple[str, str], set[str]] = {}
    for access in grant.access:
        for action in access.actions:
            decided.setdefault((access.resource.type, access.resource.name), set()).add(action)
    return decided


def _access_in(claim: Any) -> dict[tuple[str, str], set[str]] | None:
    """The claim's entries by resource; None where any of it is not of the shape that registries read."""
    if not isinstance(claim, list):
        return None
    found: dict[tuple[str, str], set[str]] = {}
    for entry in claim:
        match entry:
            case {"type": str(kind), "name": str(name), "actions": [*actions], **rest} if actions and not rest:
                known = {action for action in actions if isinstance(action, str)}
                if (kind, name) in found or len(known) != len(actions):
                    return None
                found[kind, name] = known
            case _:
                return None
    return found
