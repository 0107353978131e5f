"""Whose request it is: the client's address behind trusted proxies. No framework, no I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_LONGEST = 128
"""Characters of an entry; no address with port, brackets and zone is longer."""

MAX_HOPS = 50
"""Entries of X-Forwarded-For that are looked at, from the right."""

_IPV4_AND_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}", re.ASCII)
_BRACKETED = re.compile(r"\[([^\[\]]*)\](?::[0-9]{1,5})?", re.ASCII)
_ZONE = re.compile(r"%[A-Za-z0-9._~-]+", re.ASCII)


def client_address(
    peer: str, forwarded_for: Sequence[str], trusted: Sequence[IPv4Network | IPv6Network]
) -> Address | None:
    """The address of the client: that of `peer`, or where the peer is a trusted proxy, the one that it tells.

    `peer` is the other end of the connection as WSGI gives it, `forwarded_for` the values of all X-Forwarded-For
    headers in their order. Each proxy adds on the right the address that it saw, so the walk goes from the right and
    ends at the first address that is not trusted: whatever stands left of it came from there and proves nothing.

    The walk also ends after `MAX_HOPS` entries, and where there are no more; the answer is then the last trusted
    address it passed. Where it meets an entry that is no address (`unknown`, an obfuscated name as in RFC 7239,
    section 6.3, an empty text), a trusted proxy says that it does not know the client: None, so that every condition
    on addresses fails closed. Neither the proxy's own address nor one farther left would be the client's. A peer
    without an address (a Unix socket, an empty text) is in no network, so its header is not believed: None as well.

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
        further = parse_address(entry.strip(" \t")) if len(entry) <= _LONGEST else None
        if further is None:
            return None
        address = further
    return address


def finder(trusted: Sequence[IPv4Network | IPv6Network]) -> Callable[[str, str | None], Address | None]:
    """`client_address` behind these proxies, for one header at most (None: there is none); it remembers its answers."""

    def find(peer: str, forwarded_for: str | None) -> Address | None:
        return client_address(peer, () if forwarded_for is None else (forwarded_for,), trusted)

    remembered = lru_cache(maxsize=4096)(find)

    def find_again(peer: str, forwarded_for: str | None) -> Address | None:
        # Longer ones are read each time, so that what is remembered is bounded in bytes as well.
        is_long = forwarded_for is not None and len(forwarded_for) > _LONGEST
        return find(peer, forwarded_for) if is_long else remembered(peer, forwarded_for)

    return find_again


def is_trusted(address: Address, trusted: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Whether the address is in one of the networks."""
    return any(address in network for network in trusted)


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address | None:
    """One address, with what proxies put around it taken off; None where it is none."""
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
