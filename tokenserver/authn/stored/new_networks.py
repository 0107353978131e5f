"""Notices the first use of a credential from another network: there is no other sign that one was copied.

Networks are the /24 of an IPv4 address and the /48 of an IPv6 one. The network in which a credential was made is known;
of one that was made by a command, the first network that uses it.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from tokenserver.authn.stored.ports import Address
from tokenserver.runtime.bounded_cache import BoundedCache
from tokenserver.storage.credential import StoredCredential

MAX_NETWORKS = 50_000
"""Networks that one process remembers, of all credentials together."""

Network = IPv4Network | IPv6Network

_Place = tuple[int, int]
"""The bits of a network's address that are not those of its hosts, and the number of the others. It is compared and
hashed in a fraction of the time that a network takes."""


def network_of(address: Address) -> Network:
    """The network of an address: its /24, or /48 for IPv6; an IPv4 address in IPv6 is an IPv4 one."""
    one = _plain(address)
    return ip_network((one, 24 if isinstance(one, IPv4Address) else 48), strict=False)


class NewNetworks:
    """The networks that use credentials, kept across reloads. `report` gets each use from a new one, once.

    A worker reports what it sees; another one may report the same network again.
    """

    def __init__(self, report: Callable[[StoredCredential, Address, Network], None]) -> None:
        self._report = report
        self._homes: BoundedCache[str, _Place] = BoundedCache(MAX_NETWORKS)
        self._seen: BoundedCache[tuple[str, _Place], bool] = BoundedCache(MAX_NETWORKS)
        self.reported = 0
        """How many were reported."""

    def note(self, credential: StoredCredential, client: Address | None) -> None:
        """Note a use of the credential by a client with this address.

        Raises whatever `report` raises.
        """
        if client is None:
            return
        place = _place_of(client)
        home = self._homes.get(credential.id)
        if home is None:
            home = _home(credential) or place
            self._homes.put(credential.id, home)
        if place != home and self._seen.get((credential.id, place)) is None:
            self._report(credential, client, network_of(client))
            self.reported += 1
            self._seen.put((credential.id, place), value=True)


def _plain(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def _place_of(address: Address) -> _Place:
    one = _plain(address)
    hosts = 8 if isinstance(one, IPv4Address) else 80
    return int(one) >> hosts, hosts


def _home(credential: StoredCredential) -> _Place | None:
    if not credential.created_from:  # as for each that was made by a command: the error takes longer
        return None
    try:
        return _place_of(ip_address(credential.created_from))
    except ValueError:
        return None
