"""Names of claims: the short ones that a kind of issuer has for paths, which the claims of its tokens have besides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from tokenserver.identity import Claims

Aliases = Mapping[str, str]
"""Short names of claims -> their paths, such as `namespace` -> `kubernetes.io/namespace`."""

NO_ALIASES: Aliases = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SourceClaims:
    """What is known of the claims of a workload source.

    `anchors` are sets of claims, of which a declared workload has to pin one, with short names where there are any. An
    empty set pins nothing; a source without any set accepts no workload.
    """

    anchors: frozenset[frozenset[str]]
    aliases: Aliases = field(default_factory=lambda: NO_ALIASES)


def short_names(aliases: Aliases) -> Mapping[str, str]:
    """The short name of each path."""
    return {path: alias for alias, path in aliases.items()}


def with_aliases(claims: Claims, aliases: Aliases) -> Claims:
    """The claims of somebody who wrote them by alias or by path, in both spellings, as those of a JWT are."""
    paths = frozenset((aliases[name], value) for name, value in claims if name in aliases)
    known = claims | paths
    return known | {(alias, value) for alias, path in aliases.items() for name, value in known if name == path}


def names_with_aliases(names: Iterable[str], aliases: Aliases) -> frozenset[str]:
    """Names of claims in both spellings."""
    return frozenset(name for name, _ in with_aliases(frozenset((name, "") for name in names), aliases))
