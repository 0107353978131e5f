"""Requires TLS: detects whether a request came over https, or over no network at all. No framework, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from tokenserver.web.client_address import Address, is_trusted, parse_address


class Peer(Enum):
    """The other end of a connection."""

    HERE = "on this machine"
    PROXY = "a trusted proxy"
    FAR = "anybody else"


def guard_of(trusted: Sequence[IPv4Network | IPv6Network]) -> Callable[[Mapping[str, Any], Address | None], bool]:
    """A predicate: whether a request came by https, over loopback, or from one of these proxies if that reports https.

    It is called with WSGI's environ (PEP 3333) and the address of the client behind the proxies. A trusted proxy
    reports the scheme as the last value of `X-Forwarded-Proto`, since proxies append; from any other peer the header is
    ignored. If the proxy reports http, the client must be on the proxy's own machine; a proxy that reports nothing is
    trusted. A peer without an address (a Unix socket) is on this machine. Peers are cached.
    """
    peer_of = lru_cache(maxsize=4096)(lambda text: _peer(text, trusted))

    def is_protected(environ: Mapping[str, Any], client: Address | None) -> bool:
        if environ.get("wsgi.url_scheme") == "https":
            return True
        peer = peer_of(environ.get("REMOTE_ADDR") or "")
        if peer is not Peer.PROXY:
            return peer is Peer.HERE
        forwarded = environ.get("HTTP_X_FORWARDED_PROTO")
        if forwarded is None or str(forwarded).rpartition(",")[2].strip(" \t").lower() == "https":
            return True
        return client is not None and client.is_loopback

    return is_protected


def _peer(text: str, trusted: Sequence[IPv4Network | IPv6Network]) -> Peer:
    address = parse_address(text)
    if address is None:
        return Peer.HERE
    if is_trusted(address, trusted):
        return Peer.PROXY
    return Peer.HERE if address.is_loopback else Peer.FAR
