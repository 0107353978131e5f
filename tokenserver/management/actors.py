"""Actors: the authenticated clients that manage credentials, and how audit events identify them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Literal

from tokenserver.identity import Identity

if TYPE_CHECKING:  # the storage takes a while to import, and is not needed without one
    from tokenserver.storage.people.browser_sessions import BrowserSession


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, as of now.

    `client` is the address behind trusted proxies, None if it is unknown; `agent` the program as it calls itself.
    `session` is that of a browser; None for a client that sends its credentials with each request. `authenticated` is
    the moment of the last proof in seconds since the epoch: that of the login, or now. `via` is where it asks.
    """

    identity: Identity
    request_id: str
    client: IPv4Address | IPv6Address | None
    agent: str | None
    session: BrowserSession | None = None
    authenticated: float = 0.0
    via: Literal["page", "api"] = "page"
