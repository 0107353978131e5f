"""Hypothetical clients that represent all clients of a kind in questions about everybody.

A witness has no more than it needs: no name and no groups beyond those that the question requires.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from tokenserver.identity import ANONYMOUS, Identity, Kind
from tokenserver.policy.budget import TooComplex
from tokenserver.policy.index import buckets_for
from tokenserver.policy.model import Entry, PolicySet, Principal, Principals
from tokenserver.scopes import Resource

SOMEBODY = "\0"
"""The subject of an unnamed user: no policy file can name it, no pattern variable can take it."""

_EVERYONE, _AUTHENTICATED, _ANONYMOUS = (Principal(sort) for sort in ("everyone", "authenticated", "anonymous"))

MAX_WITNESSES = 10_000

Answer = frozenset[Principal]
"""One principal who can; several together mean somebody who is all of them at once."""


class TooManyCombinations(TooComplex):
    """The rules about one resource combine in too many ways to be answered for."""


@dataclass(frozen=True, slots=True)
class _Witness:
    """A hypothetical client."""

    anonymous: bool = False
    user: str | None = None
    brought: frozenset[str] = frozenset()

    def identity(self, kind: Kind) -> Identity:
        if self.anonymous:
            return ANONYMOUS
        return Identity(self.user or SOMEBODY, kind, groups=self.brought)


def examples(policies: PolicySet, answer: Answer, kind: Kind) -> list[Identity]:
    """Identities that stand for an answer: those whom it names, and somebody for those whom it does not name.

    Raises:
        TooManyCombinations: there are more than `MAX_WITNESSES`.
    """
    witnesses = [_Witness(), _Witness(anonymous=True)]
    for principal in sorted(answer):
        extended = (more for witness in witnesses for more in _extended(policies, witness, principal))
        witnesses = list(islice(extended, MAX_WITNESSES + 1))
        bound(len(witnesses))
    return [witness.identity(kind) for witness in witnesses]


def bound(count: int) -> None:
    """See that no more than `MAX_WITNESSES` are tried.

    Raises:
        TooManyCombinations: there are more.
    """
    if count > MAX_WITNESSES:
        raise TooManyCombinations(f"more than {MAX_WITNESSES} combinations of principals to try")


def cost(policies: PolicySet, resource: Resource, identity: Identity) -> int:
    """How many steps a decision about the resource takes."""
    entries = 0
    held = policies.groups.holding(identity)
    for bucket in buckets_for(policies.index, resource.type, resource.name.split("/")):
        entries += len(bucket.broad) + len(bucket.by_user.get(identity.subject, ()))
        entries += sum(len(bucket.by_group[group]) for group in held if group in bucket.by_group)
    return 1 + entries // 16


def entries_about(policies: PolicySet, resource: Resource) -> Iterator[Entry]:
    """Every rule that could be about the resource, whoever it means."""
    for bucket in buckets_for(policies.index, resource.type, resource.name.split("/")):
        yield from bucket.broad
        for entries in (*bucket.by_user.values(), *bucket.by_group.values()):
            yield from entries


def listed(principals: Principals) -> list[Principal]:
    """A set of people as single principals."""
    named = {_EVERYONE: principals.everyone, _AUTHENTICATED: principals.authenticated, _ANONYMOUS: principals.anonymous}
    return [
        *(principal for principal, present in named.items() if present),
        *(Principal("user", name) for name in sorted(principals.users)),
        *(Principal("group", name) for name in sorted(principals.groups)),
    ]


def _extended(policies: PolicySet, witness: _Witness, principal: Principal) -> list[_Witness]:
    """The ways in which the witness can be this principal as well; none where it cannot."""
    if principal == _EVERYONE:
        return [witness]
    if witness.anonymous or principal == _ANONYMOUS:
        return [witness] if witness.anonymous and principal == _ANONYMOUS else []
    if principal == _AUTHENTICATED:
        return [witness]
    if principal.sort == "user":
        if witness.user not in (None, principal.name):
            return []
        return [_Witness(False, principal.name, witness.brought)]
    group = policies.groups.by_name.get(principal.name)
    if group is None:
        return [_Witness(False, witness.user, witness.brought | {principal.name})]
    return [
        *(_Witness(False, user, witness.brought) for user in group.users if witness.user in (None, user)),
        *(_Witness(False, witness.user, witness.brought | {brought}) for brought in group.groups),
    ]
