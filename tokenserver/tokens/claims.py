"""Claims: those of one grant, and the check whether given claims are exactly those of a grant.

Pure. The claims are those of Distribution's token specification (docs/spec/auth/jwt.md, "Getting a Bearer
Token") on top of RFC 7519, section 4.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple

from tokenserver.identity import Identity
from tokenserver.scopes import MAX_LIFETIME, MIN_LIFETIME, Access, in_order

_quoted = encode_basestring_ascii
_ENTRY = {"type", "name", "actions"}

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


class Grant(NamedTuple):
    """Everything that one token must claim, as it was decided. `now` is in whole seconds since the epoch.

    `lifetime` limits the token's lifetime, in seconds; None: that of the registry. A named tuple, since each token has
    one, and a frozen dataclass takes three times as long.
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


def granted_access(access: Sequence[Access]) -> tuple[Access, ...]:
    """One `Access` per resource, in the order first granted, without resources with no action."""
    if len(access) == 1 and access[0].actions:
        return (access[0],)
    merged: dict[tuple[str, str], Access] = {}  # by type and name, which are hashed faster than a `Resource`
    for entry in access:
        if entry.actions:
            key = (entry.resource.type, entry.resource.name)
            known = merged.get(key)
            merged[key] = entry if known is None else Access(entry.resource, known.actions | entry.actions)
    return tuple(merged.values())


def encoded_claims(
    identity: Identity, registry: Registry, access: Sequence[Access], *, now: int, jti: str, lifetime: int | None = None
) -> str:
    """The claims of a token that is issued at `now` (whole seconds since the epoch) with the id `jti`, as JSON.

    It is valid for `lifetime` seconds; None: the registry's lifetime for such access.

    Times are integers and the audience is one string: Distribution 2 accepts nothing else. `access` has one entry per
    resource and is an empty list, never null, if nothing was granted. Written by hand, which takes a quarter of the
    time of the general encoder; every text goes through its escaping.
    """
    until = now + (registry.lifetime_of(access) if lifetime is None else lifetime)
    since = now - BACKDATED
    entries = [
        f'{{"type":{_quoted(entry.resource.type)},"name":{_quoted(entry.resource.name)},'
        f'"actions":[{_encoded_actions(entry.actions)}]}}'
        for entry in granted_access(access)
    ]
    return (
        f'{{"iss":{_quoted(registry.issuer)},"sub":{_quoted(identity.subject)},"aud":{_quoted(registry.audience)},'
        f'"exp":{until},"nbf":{since},"iat":{since},"jti":{_quoted(jti)},"access":[{",".join(entries)}]}}'
    )


@lru_cache(maxsize=64)
def _encoded_actions(actions: frozenset[str]) -> str:
    return ",".join([_quoted(action) for action in in_order(actions)])


def difference(claims: Mapping[str, Any], grant: Grant) -> str | None:
    """The name of a claim that differs from what was decided, or None if none does.

    Deliberately independent of `encoded_claims`, from the grant and not from what was built: it checks everything
    between the decision and the signature. A time must be an integer, because registries refuse 1.0 for 1.
    """
    registry, since = grant.registry, grant.now - BACKDATED
    decided = {
        "iss": registry.issuer,
        "sub": grant.identity.subject,
        "aud": registry.audience,
        "jti": grant.jti,
        "exp": grant.now + grant.expires_in,
        "nbf": since,
        "iat": since,
    }
    access: list[dict[str, Any]] = []
    for one in grant.access:
        if one.actions:
            resource = one.resource
            access.append({"type": resource.type, "name": resource.name, "actions": _listed(one.actions)})
    types = {type(claims.get("exp")), type(claims.get("nbf")), type(claims.get("iat"))}
    if claims == {**decided, "access": access} and types == {int}:
        return None  # as nearly always; what follows finds the difference, and knows that order says nothing
    for name, value in decided.items():
        claimed = claims.get(name)
        if claimed != value or type(claimed) is not type(value):
            return name
    if _access_in(claims.get("access")) != _access_decided(grant):
        return "access"
    if len(claims) == len(decided) + 1:
        return None
    return min(claims.keys() - decided.keys() - {"access"})


@lru_cache(maxsize=64)
def _listed(actions: frozenset[str]) -> list[str]:
    """All of the actions, in the order of claims if registries know them. The list is shared."""
    known = in_order(actions)
    return known if len(known) == len(actions) else sorted(actions)


_Decided = dict[tuple[str, str], frozenset[str]]
"""Actions by type and name of a resource."""


def _access_decided(grant: Grant) -> _Decided:
    decided: _Decided = {}
    for access in grant.access:
        if access.actions:
            key = (access.resource.type, access.resource.name)
            known = decided.get(key)
            decided[key] = access.actions if known is None else known | access.actions
    return decided


def _access_in(claim: Any) -> _Decided | None:
    """The claim's entries by resource; None if any of it does not have the shape that registries expect."""
    if not isinstance(claim, list):
        return None
    found: _Decided = {}
    for entry in claim:
        if not isinstance(entry, dict) or entry.keys() != _ENTRY:
            return None
        kind, name, actions = entry["type"], entry["name"], entry["actions"]
        if not (isinstance(kind, str) and isinstance(name, str) and isinstance(actions, list) and actions):
            return None
        known = frozenset([action for action in actions if isinstance(action, str)])
        if (kind, name) in found or len(known) != len(actions):
            return None
        found[kind, name] = known
    return found
