"""Whether a request travelled where nobody else listens: over TLS, or not over a network. No framework, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from tokenserver.web.addresses import Address, is_trusted, parse_address


def is_protected(
    environ: Mapping[str, Any], client: Address | None, trusted: Sequence[IPv4Network | IPv6Network]
) -> bool:
    """Whether the request came by https, over loopback, or from a trusted proxy that does not say otherwise.

    `environ` is WSGI's (PEP 3333), `client` the address behind the trusted proxies. What a trusted proxy says is the
    last value of `X-Forwarded-Proto`, since proxies add on the right; nobody else's word counts. Where it says http,
    the client must be on the proxy's own machine. A peer without an address (a Unix socket) is on this machine.
    """
    if environ.get("wsgi.url_scheme") == "https":
        return True
    peer = parse_address(str(environ.get("REMOTE_ADDR") or ""))
    if peer is None:
        return True
    if not is_trusted(peer, trusted):
        return peer.is_loopback
    told = environ.get("HTTP_X_FORWARDED_PROTO")
    if told is None or str(told).rpartition(",")[2].strip(" \t").lower() == "https":
        return True
    return client is not None and client.is_loopback
