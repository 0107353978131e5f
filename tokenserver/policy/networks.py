"""Network sets: whether an address lies within one of them, and sets of addresses as ranges.

The work of a lookup grows with the number of prefix lengths, at most 33 and 129, not with the number of networks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import islice

Network = IPv4Network | IPv6Network

Prefixes = tuple[tuple[int, int, frozenset[int]], ...]
"""By IP version and prefix length, all prefixes as numbers."""


def prefixes_of(networks: Iterable[Network]) -> Prefixes:
    """The networks in the form for lookups."""
    found: dict[tuple[int, int], set[int]] = {}
    for network in networks:
        prefix = int(network.network_address) >> network.max_prefixlen - network.prefixlen
        found.setdefault((network.version, network.prefixlen), set()).add(prefix)
    return tuple((version, length, frozenset(numbers)) for (version, length), numbers in sorted(found.items()))


def have_address(prefixes: Prefixes, address: IPv4Address | IPv6Address) -> bool:
    """Whether the address lies within one of the networks. IPv4 and IPv6 are separate."""
    number, size = int(address), address.max_prefixlen
    return any(
        version == address.version and number >> size - length in numbers for version, length, numbers in prefixes
    )


Range = tuple[int, int, int]
"""IP version, first and last address as numbers."""

Ranges = tuple[Range, ...]
"""A set of client addresses: ranges in order, neither overlapping nor adjacent."""

_ALL: tuple[Network, ...] = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
_MAPPED = IPv6Network("::ffff:0:0/96")
"""These are compared as IPv4, so no IPv6 client has one of them."""


@lru_cache(maxsize=4096)  # the rules of a tree have few different conditions, which are compared with each other
def ranges_of(networks: tuple[Network, ...], outside: tuple[Network, ...] = ()) -> Ranges:
    """The addresses that are in one of `networks` (empty: any address) and in none of `outside`."""
    return tuple(_without(_merged(networks or _ALL), _merged((*outside, _MAPPED))))


def are_within(inner: Ranges, outer: Ranges) -> bool:
    """Whether every address of `inner` is one of `outer`."""
    return not any(_without(inner, outer))


def are_disjoint(one: Ranges, other: Ranges) -> bool:
    """Whether no address is in both."""
    return tuple(_without(one, other)) == one


def _merged(networks: Iterable[Network]) -> list[Range]:
    found: list[Range] = []
    edges = ((one.version, int(one.network_address), int(one.broadcast_address)) for one in networks)
    for version, first, last in sorted(edges):
        if found and found[-1][0] == version and first <= found[-1][2] + 1:
            found[-1] = (version, found[-1][1], max(found[-1][2], last))
        else:
            found.append((version, first, last))
    return found


def _without(ranges: Iterable[Range], removed: Iterable[Range]) -> Iterator[Range]:
    """What is left of `ranges`; both are in order and do not overlap."""
    gaps = list(removed)
    place = 0
    for version, first, last in ranges:
        while place < len(gaps) and (gaps[place][0], gaps[place][2]) < (version, first):
            place += 1
        start = first
        for other, gap_first, gap_last in islice(gaps, place, None):
            if (other, gap_first) > (version, last):
                break
            if gap_first > start:
                yield version, start, gap_first - 1
            start = max(start, gap_last + 1)
        if start <= last:
            yield version, start, last


EVERY_ADDRESS = ranges_of(())
"""All addresses that a client can have."""
