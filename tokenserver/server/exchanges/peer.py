"""The shadow peer of a running server, composed from its settings."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

from tokenserver.config.settings import Settings
from tokenserver.documents.tls_files import client_context
from tokenserver.errors import Fault, LoadError
from tokenserver.exchange.peer.observer import THREADS, PeerAddress, ShadowPeer
from tokenserver.exchange.peer.shared_keys import SharedKeys
from tokenserver.server.login_plan import worker_count


def peer_context(settings: Settings) -> ssl.SSLContext | None:
    """The TLS context in which the peer is asked; None if there is no peer.

    Raises:
        LoadError: `ca_file` is missing, unsafe, or has no certificate.
    """
    return None if settings.shadow_peer is None else client_context(settings.shadow_peer.ca_file)


def shadow_peer(
    settings: Settings,
    record: Callable[[dict[str, Any]], None],
    count: Callable[[str, int], None],
    together: SharedKeys | None = None,
) -> ShadowPeer | None:
    """The observer that asks the peer; None if there is none. `together` is what the workers share.

    Raises:
        LoadError: as `peer_context`; or there is no memory.
    """
    peer, context = settings.shadow_peer, peer_context(settings)
    if peer is None or context is None:
        return None
    interval = THREADS * worker_count(settings) / peer.rate
    if together is None:  # a single process, or one that shares nothing
        try:
            together = SharedKeys()
        except OSError as error:
            raise LoadError([Fault("shadow_peer", 0, "", f"not enough memory: {error.strerror}")]) from error
    address = PeerAddress(peer.url, context, peer.deadline, interval, peer.failed_logins)
    return ShadowPeer(address, record, count, together=together)
