"""Claims: those of one grant, and the check whether given claims are exactly those of a grant.

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
    """The kind of registry that verifies the tokens; decides how the header identifies the key."""

    UNIVERSAL = "universal"
    DISTRIBUTION2 = "distribution2"
    DISTRIBUTION3 = "distribution3"
    JWKS = "jwks"
    ZOT = "zot"


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry that tokens are issued for. Policies and audit events identify it by its `service`.

    `asked_as` is the service name that the client used, if it is another one of the same registry. `token_lifetime` is
    in seconds; `lifetimes` has the actions with a lifetime of their own. `holds`: a token carries all that the policies
    grant on the repositories asked for (`grant: held`).
    """

    service: str
    issuer: str
    compat: Compat
    token_lifetime: int
    lifetimes: tuple[tuple[str, int], ...] = ()
    asked_as: str | None = None
    holds: bool = False

    def __post_init__(self) -> None:
        for seconds in (self.token_lifetime, *(seconds for _, seconds in self.lifetimes)):
            if not MIN_LIFETIME <= seconds <= MAX_LIFETIME:
                raise ValueError(f"token_lifetime must be from {MIN_LIFETIME} to {MAX_LIFETIME} seconds")

    @property
    def audience(self) -> str:
        """The token's `aud`: the service name that the client used, since the registry is configured with that one."""
        return self.service if self.asked_as is None else self.asked_as

    def lifetime_of(self, access: Iterable[Access]) -> int:
        """The lifetime of a token with `access`, in seconds.

        The strongest of the granted actions with a lifetime of its own decides: delete before push before pull. So a
        push may last longer than a pull although every push is granted with one, and a delete shorter.
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
    """Everything that one token must claim, as it was decided. `now` is in whole seconds since the epoch.

    `lifetime` limits the token's lifetime, in seconds; None: that of the registry.
    """

    identity: Identity
    registry: Registry
    access: tuple[Access, ...]
    now: int
    jti: str
    lifetime: int | None = None

    @property
    def expires_in(self) -> int:
        """The token's lifetime in seconds: never longer than the registry's, never below the minimum."""
        longest = self.registry.lifetime_of(self.access)
        return longest if self.lifetime is None else max(MIN_LIFETIME, min(longest, self.lifetime))


def granted_access(access: Iterable[Access]) -> tuple[Access, ...]:
    """One `Access` per resource, in the order first granted, without resources with no action."""
    merged: dict[Resource, frozenset[str]] = {}
    for entry in access:
        if entry.actions:
            merged[entry.resource] = merged.get(entry.resource, frozenset()) | entry.actions
    return tuple(
        [Access(resource, actions) for resource, actions in merged.items()]
    )  # a list is faster than a generator


def build_claims(
    identity: Identity, registry: Registry, access: Sequence[Access], *, now: int, jti: str, lifetime: int | None = None
) -> dict[str, Any]:
    """The claims of a token that is issued at `now` (whole seconds since the epoch) with the id `jti`.

    It is valid for `lifetime` seconds; None: the registry's lifetime for such access.

    Times are integers and the audience is one string: Distribution 2 accepts nothing else. `access` has one entry per
    resource and is an empty list, never null, if nothing was granted.
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
    """The name of a claim that differs from what was decided, or None if none does.

    Deliberately independent of `build_claims`, from the grant and not from what was built: it checks everything between
    the decision and the signature. A time must be an integer, because registries refuse 1.0 for 1.
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
    """The claim's entries by resource; None if any of it does not have the shape that registries expect."""
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
