"""Requires TLS: detects whether a request came over https, or over no network at all. No framework, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from tokenserver.errors import PlainHttp
from tokenserver.web.client_address import MAX_ADDRESS, Address, is_trusted, parse_address


class Peer(Enum):
    """The other end of a connection."""

    HERE = "on this machine"
    PROXY = "a trusted proxy"
    FAR = "anybody else"


MAX_REPORTED = 4
"""Hops whose `X-Forwarded-Proto` the refusal of a request quotes, from the nearest on."""


class HttpsOnly:
    """Requires that a request came by https, over loopback, or from one of the `trusted` proxies if that reports https.

    A trusted proxy reports the scheme as the last value of `X-Forwarded-Proto`, since proxies append; from any other
    peer the header is ignored. If the proxy reports http, the client must be on the proxy's own machine; a proxy that
    reports nothing is trusted. A peer without an address (a Unix socket) is on this machine. Peers are cached.
    """

    def __init__(self, trusted: Sequence[IPv4Network | IPv6Network]) -> None:
        self._trusted = tuple(trusted)
        self._peer_of = lru_cache(maxsize=4096)(lambda text: _peer(text, self._trusted))

    def check(self, environ: Mapping[str, Any], client: Address | None) -> None:
        """Accept a protected request, by WSGI's environ (PEP 3333) and the client's address behind the proxies.

        Raises:
            PlainHttp: the request is not protected; the error says which proxy reports which scheme.
        """
        if environ.get("wsgi.url_scheme") == "https":
            return
        peer = self._peer_of(environ.get("REMOTE_ADDR") or "")
        if peer is Peer.HERE:
            return
        forwarded = environ.get("HTTP_X_FORWARDED_PROTO")
        if peer is Peer.FAR:
            raise PlainHttp(hint="" if forwarded is None else _ignored(environ, forwarded))
        if forwarded is None or _last(forwarded) == "https" or (client is not None and client.is_loopback):
            return
        raise PlainHttp(self._reported(environ, forwarded))

    def _reported(self, environ: Mapping[str, Any], forwarded: str) -> str:
        """Which hop reports which scheme, from the client's side to the proxy next to this server."""
        # Each proxy appends the scheme and the address that it saw, so the last address is the hop before the last.
        addresses = str(environ.get("HTTP_X_FORWARDED_FOR") or "").rsplit(",", MAX_REPORTED)[:0:-1]
        values = forwarded.rsplit(",", MAX_REPORTED)
        hops = [str(environ.get("REMOTE_ADDR")), *addresses]
        reports: list[str] = []
        for number, value in enumerate(reversed(values[-MAX_REPORTED:])):
            hop = _address(hops[number]) if number < len(hops) else None
            if hop is None or not is_trusted(hop, self._trusted):
                reports.append(f"{_spelled(value)} from an earlier hop")
                break
            reports.append(f"{_spelled(value)} from the proxy {hop}")
        return f"X-Forwarded-Proto is {', then '.join(reversed(reports))}"


def _ignored(environ: Mapping[str, Any], forwarded: str) -> str:
    said = _spelled(_last(forwarded))
    return f"X-Forwarded-Proto: {said} from {environ['REMOTE_ADDR']} is ignored, since it is not in trusted_proxies"


def _address(text: str) -> Address | None:
    return parse_address(text.strip(" \t")) if len(text) <= MAX_ADDRESS else None


def _last(forwarded: str) -> str:
    """What the nearest hop reports, in lower case."""
    return forwarded.rpartition(",")[2].strip(" \t").lower()


def _spelled(value: str) -> str:
    """A scheme. Anything else is not repeated, since a client may have sent it."""
    scheme = value.strip(" \t")
    return scheme if scheme in {"http", "https"} else "neither http nor https" if scheme else "empty"


def _peer(text: str, trusted: Sequence[IPv4Network | IPv6Network]) -> Peer:
    address = parse_address(text)
    if address is None:
        return Peer.HERE
    if is_trusted(address, trusted):
        return Peer.PROXY
    return Peer.HERE if address.is_loopback else Peer.FAR
