"""Sets of networks: what lies within one of them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from network_strategies import networks

from tokenserver.policy.networks import (
    EVERY_ADDRESS,
    Network,
    are_disjoint,
    are_within,
    have_address,
    prefixes_of,
    ranges_of,
)


@pytest.mark.parametrize(
    ("networks", "asked", "expected"),
    [
        pytest.param(["10.0.0.0/8"], "10.0.0.0/8", True, id="itself"),
        pytest.param(["10.0.0.0/8"], "10.255.255.255/32", True, id="last-address"),
        pytest.param(["10.0.0.0/8"], "11.0.0.0/32", False, id="next-address"),
        pytest.param(["10.1.0.0/16"], "10.0.0.0/8", False, id="around"),
        pytest.param(["0.0.0.0/0"], "203.0.113.0/24", True, id="all-of-ipv4"),
        pytest.param(["0.0.0.0/0"], "::/0", False, id="all-of-ipv4-and-not-ipv6"),
        pytest.param(["::/0"], "2001:db8::/32", True, id="all-of-ipv6"),
        pytest.param(["::/0"], "0.0.0.0/0", False, id="all-of-ipv6-and-not-ipv4"),
        pytest.param(["::/0"], "10.0.0.1/32", False, id="no-ipv4-in-ipv6"),
        pytest.param(["2001:db8::/32"], "2001:db8::1/128", True, id="ipv6"),
        pytest.param(["2001:db8::1/128"], "2001:db8::1/128", True, id="ipv6-address"),
        pytest.param(["2001:db8::1/128"], "2001:db8::2/128", False, id="other-ipv6-address"),
        pytest.param(["10.0.0.0/9", "10.128.0.0/9"], "10.0.0.0/8", True, id="two-together"),
        pytest.param([], "10.0.0.1/32", False, id="none"),
    ],
)
def test_networks_within_networks(networks: list[str], asked: str, expected: bool) -> None:
    """IPv4 and IPv6 have nothing in common, whatever their numbers are."""
    network, found = ip_network(asked), tuple(map(ip_network, networks))
    assert are_within(ranges_of((network,)), ranges_of(found) if found else ()) is expected
    if network.num_addresses == 1:
        assert have_address(prefixes_of(found), network.network_address) is expected


def test_networks_of_one_length_are_kept_together() -> None:
    """So that a question takes as long as there are lengths."""
    many: list[Network] = [IPv4Network((number << 8, 24)) for number in range(1000)]
    many += [IPv6Network((number << 80, 48)) for number in range(1000)]
    found = prefixes_of(many)
    assert [(version, length, len(numbers)) for version, length, numbers in found] == [(4, 24, 1000), (6, 48, 1000)]


@given(st.lists(networks, max_size=6), networks)
def test_networks_agree_with_ipaddress(found: list[Network], asked: IPv4Network | IPv6Network) -> None:
    """Whether an address lies within one of some networks, IPv4 and IPv6 apart."""
    prefixes = prefixes_of(found)
    for address in (asked.network_address, asked.broadcast_address):
        assert have_address(prefixes, address) == any(address in network for network in found)


MAPPED = ip_network("::ffff:0:0/96")
some_networks = st.lists(networks, max_size=4)


def edges(*lists: list[Network]) -> list[IPv4Address | IPv6Address]:
    """The first and last address of every network, and their neighbours; no others tell these sets apart."""
    every: list[Network] = [*(network for found in lists for network in found), *map(ip_network, ("0.0.0.0/0", "::/0"))]
    return [
        type(end)(int(end) + step)
        for network in (*every, MAPPED)
        for end in (network.network_address, network.broadcast_address)
        for step in (-1, 0, 1)
        if 0 <= int(end) + step < 2**network.max_prefixlen
    ]


def admits(address: IPv4Address | IPv6Address, found: list[Network], outside: list[Network]) -> bool:
    """Whether a client can have the address, in one of `found` and in none of `outside`."""
    is_in = not found or any(address in network for network in found)
    return is_in and not any(address in network for network in outside) and address not in MAPPED


@given(some_networks, some_networks, some_networks, some_networks)
def test_sets_of_addresses_agree_with_every_address(
    found: list[Network], outside: list[Network], others: list[Network], beyond: list[Network]
) -> None:
    """Membership, containment and disjointness, by all addresses at which anything can change."""
    one, other = ranges_of(tuple(found), tuple(outside)), ranges_of(tuple(others), tuple(beyond))
    addresses = edges(found, outside, others, beyond)
    mine = {address for address in addresses if admits(address, found, outside)}
    theirs = {address for address in addresses if admits(address, others, beyond)}
    is_listed = {
        address
        for address in addresses
        if any(version == address.version and first <= int(address) <= last for version, first, last in one)
    }
    assert is_listed == mine
    assert are_within(one, other) == (mine <= theirs)
    assert are_disjoint(one, other) == mine.isdisjoint(theirs)
    assert (one == EVERY_ADDRESS) == (mine == {address for address in addresses if address not in MAPPED})


def test_halves_are_everything() -> None:
    """Of both families; IPv4 written as IPv6 is no client's address."""
    halves = tuple(map(ip_network, ("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1")))
    assert ranges_of(halves) == EVERY_ADDRESS
    assert ranges_of(halves[:2]) == ranges_of((ip_network("0.0.0.0/0"),)) != EVERY_ADDRESS
    assert ranges_of((), halves) == ()
