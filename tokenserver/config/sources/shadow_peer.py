"""Settings of the shadow peer: the old token server that is asked the same beside this one, before registries move."""

from __future__ import annotations

from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from tokenserver.config.fields import FilePath, Seconds, Section
from tokenserver.documents.urls import checked_url, host_of, is_local, port_of, with_plain_path

EXAMPLE = "https://old-auth.example.com/auth"

MAX_DEADLINE = 30
MAX_RATE = 100

OWN_PATHS = frozenset({"", "/token", "/auth", "/auth/token"})
"""The paths below `server.url` that lead to this server."""


def _peer_url(value: str) -> str:
    """The URL of a token endpoint, by https unless it is on this machine: passwords are sent there."""
    url = with_plain_path(checked_url(value, EXAMPLE))
    parts = urlsplit(url)
    if parts.scheme != "https" and not is_local(parts.hostname or ""):
        raise ValueError("must be https, since passwords are sent there; plain http is for this machine alone")
    if not parts.path:
        raise ValueError(f"must be the realm of the old server with its path, such as {EXAMPLE}")
    return url


def _deadline(seconds: int) -> int:
    if not 1 <= seconds <= MAX_DEADLINE:
        raise ValueError(f"must be from 1s to {MAX_DEADLINE}s, not {seconds}s")
    return seconds


class ShadowPeerSettings(Section):
    """`shadow_peer: URL`, or a section. `url` is the realm of the old server, `rate` the questions a second.

    With `failed_logins`, logins that fail here are sent too, once in 15 minutes for each user name.
    """

    shorthand: ClassVar[str | None] = "url"

    url: Annotated[str, AfterValidator(_peer_url)]
    ca_file: FilePath | None = None
    deadline: Annotated[Seconds, AfterValidator(_deadline)] = 5
    rate: Annotated[int, Field(ge=1, le=MAX_RATE)] = 10
    failed_logins: bool = False

    def is_at(self, server_url: str) -> bool:
        """Whether the peer is the server with this public URL itself."""
        ours, peer = urlsplit(server_url), urlsplit(self.url)
        if (host_of(server_url), port_of(ours)) != (host_of(self.url), port_of(peer)):
            return False
        return peer.path in {f"{ours.path}{path}" for path in OWN_PATHS}
