"""Rulings: what one identity gets of what it asked for, and the cache of them that belongs to one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from operator import attrgetter

from tokenserver.identity import Identity, Kind
from tokenserver.policy.decision import Decision
from tokenserver.policy.machines.near_misses import declared_among
from tokenserver.policy.model import PolicySet
from tokenserver.runtime.bounded_cache import BoundedCache
from tokenserver.scopes import Access, RejectedScope
from tokenserver.tokens.claims import Registry

MAX_RULINGS = 2048
"""Rulings that one cache holds, each about at most `SCOPES_OF_AN_ENTRY` scopes; larger ones count as several, so that
the cache is bounded in bytes as well."""

SCOPES_OF_AN_ENTRY = 4

MAX_CACHED_SCOPES = 64
"""Rulings about more scopes are not cached."""


@dataclass(frozen=True, slots=True)
class WorkloadFacts:
    """What policies know a workload by: the declared workloads that it is, and its claims on which that depends.

    `claims` has each claim that some workload of its source is declared with, by name, with the values in its token;
    none if the token has none.
    """

    names: tuple[str, ...]
    claims: tuple[tuple[str, tuple[str, ...]], ...]

    @classmethod
    def of(cls, policies: PolicySet, identity: Identity) -> WorkloadFacts | None:
        """The facts about this client; None if it is no workload."""
        if identity.kind is not Kind.WORKLOAD:
            return None
        deciding = policies.groups.workloads.deciding(identity.source)
        values: dict[str, list[str]] = {name: [] for name in deciding}
        for name, value in sorted([claim for claim in identity.claims if claim[0] in deciding]):
            values[name].append(value)
        names = declared_among(policies.groups.holding(identity))
        return cls(names, tuple((name, tuple(values[name])) for name in sorted(values)))


@dataclass(slots=True, eq=False)
class Ruling:
    """What one identity gets of what it asked for at one registry, and why, by the policy set `policy` (its digest).

    `rejected` is what was asked and is no scope. `access` is what a token would carry, `lifetime` its limit in seconds
    (None: no rule sets one). `workload` is what is known of a workload (None: another client): its `identity` may have
    no other claims than those that matter to these policies and to `candidate`, the digest of the shadow policies.
    Nobody changes a ruling, except that its cache sets `is_kept`: while they are kept, equal rulings of one snapshot
    are the same object, so that whatever is derived from such a ruling can be cached by it.
    """

    registry: Registry
    identity: Identity
    decisions: tuple[Decision, ...]
    rejected: tuple[RejectedScope, ...]
    policy: str
    access: tuple[Access, ...]
    lifetime: int | None
    is_kept: bool = False
    workload: WorkloadFacts | None = None
    candidate: str | None = None

    @property
    def is_cacheable(self) -> bool:
        """Whether it may be cached: not if it is long, or about something malformed."""
        return not self.rejected and len(self.decisions) <= MAX_CACHED_SCOPES

    @property
    def weight(self) -> int:
        """As how many entries of a cache it counts, and whatever is derived from it."""
        return -(-len(self.decisions) // SCOPES_OF_AN_ENTRY) or 1


class RulingCache:
    """The rulings of one snapshot: the same question gets the same answer without deciding again."""

    __slots__ = ("_rulings", "get")

    get: Callable[[Hashable], Ruling | None]
    """The ruling on a question, or None. The dictionary's own method, since every request calls it.

    A question is everything that a ruling depends on, unless a condition on the client's address or the time has a say:
    the registry as it was asked for, the identity and the scopes."""

    def __init__(self) -> None:
        self._rulings: BoundedCache[Hashable, Ruling] = BoundedCache(MAX_RULINGS)
        self.get = self._rulings.get

    def keep(self, question: Hashable, ruling: Ruling) -> Ruling:
        """Cache the ruling on `question`, and return it or the equal one that is cached already.

        If the cache is full, a question that was not asked lately is not cached. Where a condition has a say, another
        client or moment may get another answer to the same question. Such a ruling is cached by what it says, so that
        equal ones are still the same object, and is decided each time.
        """
        if not ruling.is_cacheable:
            return ruling
        if not all(map(_is_lasting, ruling.decisions)):
            question = _contents(ruling)
            ruling = self._rulings.get(question) or ruling
        if self._rulings.offer(question, ruling, ruling.weight):
            ruling.is_kept = True
        return ruling


_is_lasting = attrgetter("is_lasting")


def _contents(ruling: Ruling) -> Hashable:
    cited = [(reason.action, reason.rule) for decision in ruling.decisions for reason in decision.reasons]
    granted = [(decision.scope, decision.granted) for decision in ruling.decisions]
    return ruling.registry.service, ruling.registry.asked_as, ruling.identity, *granted, *cited
