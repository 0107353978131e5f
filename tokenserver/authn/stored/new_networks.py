"""Notices the first use of a credential from another network: there is no other sign that one was copied.

Networks are the /24 of an IPv4 address and the /48 of an IPv6 one. The network in which a credential was made is known;
of one that was made by a command, the first network that uses it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from tokenserver.authn.stored.ports import Address
from tokenserver.runtime.bounded_cache import BoundedCache
from tokenserver.storage.credential import StoredCredential

MAX_NETWORKS = 50_000
"""Networks that one process remembers, of all credentials together."""

Network = IPv4Network | IPv6Network


@lru_cache(maxsize=4096)
def network_of(address: Address) -> Network:
    """The network of an address: its /24, or /48 for IPv6; an IPv4 address in IPv6 is an IPv4 one."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    one = address if mapped is None else mapped
    return ip_network((one, 24 if isinstance(one, IPv4Address) else 48), strict=False)


class NewNetworks:
    """The networks that use credentials, kept across reloads. `report` gets each use from a new one, once.

    A worker reports what it sees; another one may report the same network again.
    """

    def __init__(self, report: Callable[[StoredCredential, Address, Network], None]) -> None:
        self._report = report
        self._seen: BoundedCache[tuple[str, Network], bool] = BoundedCache(MAX_NETWORKS)
        self._known: BoundedCache[str, bool] = BoundedCache(MAX_NETWORKS)
        self.reported = 0
        """How many were reported."""

    def note(self, credential: StoredCredential, client: Address | None) -> None:
        """Note a use of the credential by a client with this address.

        Raises whatever `report` raises.
        """
        if client is None:
            return
        network = network_of(client)
        is_known = self._known.get(credential.id) is not None
        if is_known and self._seen.get((credential.id, network)) is not None:  # hashing a network takes time
            return
        home = _home(credential)
        is_first = home is None and not is_known
        if not is_first and network != home:
            self._report(credential, client, network)
            self.reported += 1
        self._seen.put((credential.id, network), value=True)
        self._known.put(credential.id, value=True)


def _home(credential: StoredCredential) -> Network | None:
    if not credential.created_from:  # as for each that was made by a command: the error takes longer
        return None
    try:
        return network_of(ip_address(credential.created_from))
    except ValueError:
        return None
