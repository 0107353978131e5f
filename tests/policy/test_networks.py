"""Sets of networks: what lies within one of them."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from network_strategies import networks

from tokenserver.policy.networks import Network, have_address, have_network, prefixes_of


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
        pytest.param(["10.0.0.0/9", "10.128.0.0/9"], "10.0.0.0/8", False, id="together-does-not-count"),
        pytest.param([], "10.0.0.1/32", False, id="none"),
    ],
)
def test_networks_within_networks(networks: list[str], asked: str, expected: bool) -> None:
    """IPv4 and IPv6 have nothing in common, whatever their numbers are."""
    network = ip_network(asked)
    prefixes = prefixes_of(map(ip_network, networks))
    assert have_network(prefixes, network) is expected
    if network.num_addresses == 1:
        assert have_address(prefixes, network.network_address) is expected


def test_networks_of_one_length_are_kept_together() -> None:
    """So that a question takes as long as there are lengths."""
    many: list[Network] = [IPv4Network((number << 8, 24)) for number in range(1000)]
    many += [IPv6Network((number << 80, 48)) for number in range(1000)]
    found = prefixes_of(many)
    assert [(version, length, len(numbers)) for version, length, numbers in found] == [(4, 24, 1000), (6, 48, 1000)]


@given(st.lists(networks, max_size=6), networks)
def test_networks_agree_with_ipaddress(found: list[Network], asked: IPv4Network | IPv6Network) -> None:
    """Whether an address or a network lies within one of some networks, IPv4 and IPv6 apart."""
    prefixes = prefixes_of(found)
    for address in (asked.network_address, asked.broadcast_address):
        assert have_address(prefixes, address) == any(address in network for network in found)
    ends = (asked.network_address, asked.broadcast_address)
    assert have_network(prefixes, asked) == any(all(end in network for end in ends) for network in found)
