"""The places of clients, by which failures are counted."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from tokenserver.authn.protection.places import place_of


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        pytest.param("192.0.2.1", "192.0.2.1", id="IPv4"),
        pytest.param("2001:db8::1", "2001:db8::/64", id="IPv6"),
        pytest.param("2001:db8::2:0:0:1", "2001:db8::/64", id="the same /64"),
        pytest.param("2001:db8:0:1::1", "2001:db8:0:1::/64", id="another /64"),
        pytest.param("::ffff:192.0.2.1", "192.0.2.1", id="IPv4 in IPv6"),
    ],
)
def test_place_of_an_address(address: str, expected: str) -> None:
    """A client with one address of a /64 has all of them (docs/design/threats.md#threat-22)."""
    assert place_of(ip_address(address)) == expected


def test_unknown_addresses_share_a_place() -> None:
    """No address has the place of clients without one."""
    assert place_of(None) == ""
