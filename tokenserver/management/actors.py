"""Actors: who manages, and by which proof."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from tokenserver.identity import Identity

if TYPE_CHECKING:
    from tokenserver.storage.people.browser_sessions import BrowserSession


@dataclass(frozen=True, slots=True)
class Actor:
    """An authenticated person or machine that manages.

    `session` is that of the browser (None: Basic). `authenticated` is the moment of the last proof, in seconds since
    the epoch.
    """

    identity: Identity
    request_id: str
    client: IPv4Address | IPv6Address | None
    agent: str | None
    session: BrowserSession | None = None
    authenticated: float = 0.0
