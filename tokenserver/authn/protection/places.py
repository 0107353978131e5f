"""Places: the part of a client's address by which failures and bodies in transit are counted."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_network

Address = IPv4Address | IPv6Address


@lru_cache(maxsize=4096)
def place_of(address: Address | None) -> str:
    """The address that failures are counted for: the /64 of IPv6, which belongs to one customer; empty: unknown."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ip_network((address.packed[:8] + bytes(8), 64)))
    return "" if address is None else str(address)
