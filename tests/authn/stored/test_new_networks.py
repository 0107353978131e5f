"""The first use of a credential from another network."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from held_credentials import stored

from tokenserver.authn.stored.new_networks import NewNetworks, network_of
from tokenserver.credentials import AccessKeyForm


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
    ],
)
def test_network_of(address: str, network: str) -> None:
    """A /24, and a /48; an IPv4 address is one however it is written."""
    assert str(network_of(ip_address(address))) == network


def _reported(*addresses: str | None, made_at: str = "") -> list[str]:
    found: list[str] = []
    networks = NewNetworks(lambda _credential, _client, network: found.append(str(network)))
    credential = stored(AccessKeyForm.REFRESH, created_from=made_at)
    for address in addresses:
        networks.note(credential, None if address is None else ip_address(address))
    return found


def test_where_it_was_made_is_no_news() -> None:
    """Each other network is reported once."""
    uses = ("192.0.2.1", "192.0.2.2", "198.51.100.1", "192.0.2.3", "198.51.100.2", "203.0.113.1", None)
    assert _reported(*uses, made_at="192.0.2.9") == ["198.51.100.0/24", "203.0.113.0/24"]


@pytest.mark.parametrize("made_at", ["", "cli"])
def test_without_a_place_the_first_use_is_no_news(made_at: str) -> None:
    """A credential that a command made comes from nowhere."""
    assert _reported("192.0.2.1", "192.0.2.2", "2001:db8::1", made_at=made_at) == ["2001:db8::/48"]


def test_what_could_not_be_reported_is_reported_again() -> None:
    """The audit trail may be full for a while."""
    calls: list[str] = []

    def report(_credential: object, _client: object, network: object) -> None:
        calls.append(str(network))
        if len(calls) == 1:
            raise OSError

    networks = NewNetworks(report)
    credential = stored(AccessKeyForm.REFRESH, created_from="192.0.2.9")
    with pytest.raises(OSError, match=r"^$"):
        networks.note(credential, ip_address("198.51.100.1"))
    for _ in range(2):
        networks.note(credential, ip_address("198.51.100.1"))
    assert calls == ["198.51.100.0/24"] * 2
