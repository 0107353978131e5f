"""Addresses and networks: Go's recorded answers."""

from __future__ import annotations

from go_questions import disagreements
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.importers.golang.addresses import parse_address, parse_network


def test_go_agrees() -> None:
    """Every recorded text, as an address and as a network with addresses in it and outside."""
    assert disagreements("address") == []
    assert disagreements("network") == []


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_a_network_contains_its_own_address(address: object, bits: int) -> None:
    """However many bits count, also written as IPv6."""
    own = parse_address(str(address))
    mapped = parse_address(f"::ffff:{address}")
    network = parse_network(f"{address}/{bits}")
    assert own == mapped
    assert own is not None
    assert network is not None
    assert own in network
