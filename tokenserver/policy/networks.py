"""Network sets: whether an address, or a whole network, lies within one of them.

The work grows with the number of prefix lengths, at most 33 and 129, not with the number of networks.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

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


def have_network(prefixes: Prefixes, network: Network) -> bool:
    """Whether all of the network lies within one of the networks; within several of them together does not count."""
    number, size = int(network.network_address), network.max_prefixlen
    return any(
        version == network.version and length <= network.prefixlen and number >> size - length in numbers
        for version, length, numbers in prefixes
    )
