"""Boxes: sets of requests as products of clients, names, services and addresses; and one box without another. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

from tokenserver.importers.docker_auth.shapes.pattern_spelling import CAPTURED, widened
from tokenserver.importers.docker_auth.translation.people import ClientSet, RemainingPeople
from tokenserver.patterns import Pattern, parse_pattern
from tokenserver.policy.analysis.containment import contains, overlaps
from tokenserver.policy.budget import Budget, TooComplex

Network = IPv4Network | IPv6Network

_STEPS = 20_000
"""Steps of one question about patterns; what is not decided counts as the safe answer."""


class AddressSet(NamedTuple):
    """The addresses of `network` (None: all, also unknown ones) and of none of `without`."""

    network: Network | None = None
    without: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestBox:
    """Requests that a rule can be for. `patterns` have an exception for what `without` covers."""

    people: RemainingPeople
    patterns: tuple[str, ...]
    without: tuple[str, ...]
    services: frozenset[str]
    addresses: AddressSet
    is_registry: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether no request is in it."""
        return not self.patterns or not self.services or self.people.is_empty


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Requests that are taken away from a box. Its patterns may have variables."""

    people: ClientSet
    patterns: tuple[str, ...]
    services: frozenset[str]
    network: Network | None
    is_registry: bool = False


class BoxDifference(NamedTuple):
    """Boxes that together are one box without a cut; `is_exact`: neither more nor less."""

    boxes: list[RequestBox]
    is_exact: bool


def meets(box: RequestBox, cut: Exclusion) -> bool:
    """Whether some request may be in both."""
    return (
        box.is_registry == cut.is_registry
        and not box.services.isdisjoint(cut.services)
        and _addresses_meet(box.addresses, cut.network)
        and box.people.overlaps(cut.people)
        and any(patterns_meet(one, other) for one in box.patterns for other in cut.patterns)
    )


def minus(box: RequestBox, cut: Exclusion, *, at_most: bool) -> BoxDifference:
    """The box without the cut, as boxes that may overlap; `at_most`: where that is not expressible, less, else more."""
    if not meets(box, cut):
        return BoxDifference([box], is_exact=True)
    if any(f"{{{CAPTURED}}}" in one for one in cut.people.principals):
        return BoxDifference([box], is_exact=False)  # a rule cannot make exceptions for such groups
    found: list[RequestBox] = []
    others = replace(box, people=box.people.minus(cut.people))
    if not others.is_empty:
        found.append(others)
    named, is_exact = _without_names(box, cut, at_most=at_most)
    if not named.is_empty:
        found.append(named)
    elsewhere = replace(box, services=box.services - cut.services)
    if not elsewhere.is_empty:
        found.append(elsewhere)
    if cut.network is not None and not _is_within(box.addresses.network, cut.network):
        addresses = AddressSet(box.addresses.network, (*box.addresses.without, cut.network))
        found.append(replace(box, addresses=addresses))
    return BoxDifference(found, is_exact)


def _without_names(box: RequestBox, cut: Exclusion, *, at_most: bool) -> tuple[RequestBox, bool]:
    """The box without the names of the cut, and whether that is exact."""
    plain = [pattern for pattern in cut.patterns if "${" not in pattern]
    variable = [pattern for pattern in cut.patterns if "${" in pattern]
    near = [pattern for pattern in plain if any(patterns_meet(pattern, one) for one in box.patterns)]
    # The user is the same in both. A captured value is not: it may be that of another label.
    known = (*box.without, *near, *_same_values(variable))
    patterns = tuple(pattern for pattern in box.patterns if not covers(known, pattern))
    without = tuple(dict.fromkeys((*box.without, *near)))
    open_ones = [one for one in variable if any(patterns_meet(one, pattern) for pattern in patterns)]
    if not open_ones:
        return replace(box, patterns=patterns, without=without), True
    if at_most:
        without = tuple(dict.fromkeys((*without, *map(widened, open_ones))))
        patterns = tuple(pattern for pattern in patterns if not covers(without, pattern))
    return replace(box, patterns=patterns, without=without), False


@lru_cache(maxsize=65536)
def parsed(text: str) -> Pattern:
    """A pattern that is known to be one."""
    return parse_pattern(text, CAPTURED)


@lru_cache(maxsize=65536)
def patterns_meet(one: str, other: str) -> bool:
    """Whether some name may be covered by both, whatever their variables stand for."""
    if one in ("**", other) or other == "**":
        return True
    wide, other_wide = widened(one), widened(other)
    if _are_apart(wide, other_wide):
        return False
    first, second = parsed(wide), parsed(other_wide)
    try:
        return overlaps(first, second, Budget(_STEPS)) is not None
    except TooComplex:
        return True


def _are_apart(one: str, other: str) -> bool:
    """Whether two patterns differ in what is literal around the wildcards of a segment, before any `**`."""
    segments, others = one.split("/"), other.split("/")
    if "**" not in segments and "**" not in others and len(segments) != len(others):
        return True
    for first, second in zip(segments, others, strict=False):
        if "**" in (first, second):
            return False
        if "*" not in first and "*" not in second:
            if first != second:
                return True
            continue
        begin, begin_2 = first.partition("*")[0], second.partition("*")[0]
        end, end_2 = first.rpartition("*")[2], second.rpartition("*")[2]
        if not (begin.startswith(begin_2) or begin_2.startswith(begin)):
            return True
        if not (end.endswith(end_2) or end_2.endswith(end)):
            return True
    return False


def covers(outer: Sequence[str], inner: str) -> bool:
    """Whether the outer patterns are known to cover every name of the inner one."""
    if inner in outer or "**" in outer:
        return True
    near = [one for one in outer if patterns_meet(one, inner)]
    if not near:
        return False
    try:
        return contains(map(parsed, near), parsed(inner), Budget(_STEPS))
    except TooComplex:
        return False


def shrunk(patterns: Iterable[str]) -> tuple[str, ...]:
    """The patterns without those that others cover."""
    found = list(dict.fromkeys(patterns))
    for pattern in tuple(found):
        others = [one for one in found if one != pattern]
        if others and covers(others, pattern):
            found = others
    return tuple(found)


def is_hidden(cut: Exclusion, earlier: Exclusion) -> bool:
    """Whether all of a cut is in an earlier one."""
    return (
        cut.is_registry == earlier.is_registry
        and cut.services <= earlier.services
        and (earlier.network is None or _is_within(cut.network, earlier.network))
        and cut.people.is_within(earlier.people)
        and all(covers(_same_values(earlier.patterns), pattern) for pattern in cut.patterns)
    )


def is_inside(box: RequestBox, other: RequestBox) -> bool:
    """Whether all of a box is known to be in another one."""
    return (
        box.is_registry == other.is_registry
        and box.services <= other.services
        and set(other.people.without) <= set(box.people.without)
        and box.people.people.is_within(other.people.people)
        and set(other.without) <= set(box.without)
        and set(other.addresses.without) <= set(box.addresses.without)
        and (other.addresses.network is None or _is_within(box.addresses.network, other.addresses.network))
        and all(covers(_same_values(other.patterns), pattern) for pattern in box.patterns)
    )


def _same_values(patterns: Sequence[str]) -> tuple[str, ...]:
    """The patterns without those whose captured value may be that of another label."""
    return tuple(one for one in patterns if f"${{{CAPTURED}}}" not in one)


def _addresses_meet(addresses: AddressSet, network: Network | None) -> bool:
    if network is None or addresses.network is None:
        return network is None or not _is_covered(network, addresses.without)
    return addresses.network.version == network.version and addresses.network.overlaps(network)


def _is_covered(network: Network, others: Iterable[Network]) -> bool:
    return any(_is_within(network, other) for other in others)


def _is_within(inner: Network | None, outer: Network) -> bool:
    if isinstance(inner, IPv4Network) and isinstance(outer, IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, IPv6Network) and isinstance(outer, IPv6Network):
        return inner.subnet_of(outer)
    return False
