"""Ceilings: what a credential can do at most, whatever the policies give its owner."""

from __future__ import annotations

from dataclasses import dataclass

from tokenserver.patterns import Pattern, matches
from tokenserver.scopes import Resource, in_order

_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Bound:
    """Some resources of one type, by patterns without variables, and the actions that are within the ceiling there."""

    patterns: tuple[Pattern, ...]
    actions: frozenset[str]
    type: str = "repository"

    def __str__(self) -> str:
        """As in a sentence: `pull and push on web/** and public/*`."""
        names = [one.text if self.type == "repository" else f"{self.type}:{one.text}" for one in self.patterns]
        return f"{' and '.join(in_order(self.actions)) or 'nothing'} on {' and '.join(names) or 'nothing'}"

    def covers(self, resource: Resource) -> bool:
        """Whether a resource is of the type and matches one of the patterns."""
        if resource.type != self.type:
            return False
        segments = resource.name.split("/")
        return any(matches(pattern, segments, None, ()) for pattern in self.patterns)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The limit of a credential: what is in none of the `bounds`, or at another registry, it cannot do.

    `services` are the registries where it can be used; None: all of them. A ceiling never grants.
    """

    bounds: tuple[Bound, ...]
    services: frozenset[str] | None = None

    def __str__(self) -> str:
        """As in a sentence: `pull on web/**, at registry.example.com only`."""
        where = "" if self.services is None else f", at {' and '.join(sorted(self.services)) or 'no registry'} only"
        return ("; ".join(map(str, self.bounds)) or "nothing") + where

    def actions(self, resource: Resource, service: str) -> frozenset[str]:
        """The actions on a resource of the registry `service` that are within the ceiling; maybe none."""
        if self.services is not None and service not in self.services:
            return _NOTHING
        return _NOTHING.union(*(bound.actions for bound in self.bounds if bound.covers(resource)))
