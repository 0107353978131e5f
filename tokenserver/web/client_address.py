"""The client's address behind trusted proxies (`X-Forwarded-For`). No framework, no I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

MAX_ADDRESS = 128
"""Characters of an entry; no address with port, brackets and zone is longer."""

MAX_HOPS = 50
"""Entries of X-Forwarded-For that are evaluated, from the right."""

_IPV4_AND_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}", re.ASCII)
_BRACKETED = re.compile(r"\[([^\[\]]*)\](?::[0-9]{1,5})?", re.ASCII)
_ZONE = re.compile(r"%[A-Za-z0-9._~-]+", re.ASCII)


def client_address(
    peer: str, forwarded_for: Sequence[str], trusted: Sequence[IPv4Network | IPv6Network]
) -> Address | None:
    """The address of the client: that of `peer` or, if the peer is a trusted proxy, the one that it reports.

    `peer` is the other end of the connection as in WSGI, `forwarded_for` the values of all X-Forwarded-For headers in
    order. Each proxy appends the address that it saw, so the search goes from the right and ends at the first address
    that is not trusted: everything left of it was sent by that address and proves nothing.

    The search also ends after `MAX_HOPS` entries or the last one; the result is then the last trusted address. An entry
    that is no address (`unknown`, an obfuscated identifier as in RFC 7239, section 6.3, an empty string) means that a
    trusted proxy does not know the client: None, so that every condition on addresses fails closed. Neither the proxy's
    own address nor one farther left would be the client's. A peer without an address (a Unix socket, an empty string)
    is in no network, so its header is not trusted: None as well.

    IPv4 inside IPv6 (`::ffff:10.0.0.1`) is IPv4; ports, brackets and zones are dropped.
    """
    address = parse_address(peer)
    if address is None:
        return None
    # One more piece than hops, so that the uncut rest on the left is never taken for an entry.
    pieces = ",".join(forwarded_for).rsplit(",", MAX_HOPS) if forwarded_for else []
    entries = pieces if len(pieces) <= MAX_HOPS else pieces[1:]
    for entry in reversed(entries):
        if not is_trusted(address, trusted):
            break
        further = parse_address(entry.strip(" \t")) if len(entry) <= MAX_ADDRESS else None
        if further is None:
            return None
        address = further
    return address


def finder(trusted: Sequence[IPv4Network | IPv6Network]) -> Callable[[str, str | None], Address | None]:
    """`client_address` with these proxies, for at most one header (None: no header), with a cache."""

    def find(peer: str, forwarded_for: str | None) -> Address | None:
        return client_address(peer, () if forwarded_for is None else (forwarded_for,), trusted)

    cached = lru_cache(maxsize=4096)(find)

    def find_cached(peer: str, forwarded_for: str | None) -> Address | None:
        # Longer headers are not cached, so that the cache is bounded in bytes as well.
        is_long = forwarded_for is not None and len(forwarded_for) > MAX_ADDRESS
        return find(peer, forwarded_for) if is_long else cached(peer, forwarded_for)

    return find_cached


def is_trusted(address: Address, trusted: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Whether the address is in one of the networks."""
    return any(address in network for network in trusted)


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address | None:
    """One address, without the port, brackets or zone that proxies add; None if it is no address."""
    if matched := _BRACKETED.fullmatch(text) or _IPV4_AND_PORT.fullmatch(text):
        text = matched[1]
    plain, percent, zone = text.partition("%")
    if percent and (":" not in plain or _ZONE.fullmatch(percent + zone) is None):
        return None
    try:
        address = ip_address(plain)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
