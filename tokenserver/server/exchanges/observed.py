"""The exchange of a running server: the service, what it gives beside tokens, and its observers."""

from __future__ import annotations

import time

from tokenserver.config.settings import Settings
from tokenserver.exchange.audit import AuditTrail
from tokenserver.exchange.observers import ObservedExchange, Observer
from tokenserver.exchange.peer.observer import ShadowPeer
from tokenserver.exchange.peer.shared_keys import SharedKeys
from tokenserver.exchange.service import TokenService
from tokenserver.exchange.shadow import ShadowPolicy
from tokenserver.metrics.recorder import Meter
from tokenserver.runtime.clock_jumps import ClockJumpDetector
from tokenserver.server.exchanges.peer import shadow_peer
from tokenserver.server.reload.live import LiveSnapshot
from tokenserver.server.stored.parts import StoredParts
from tokenserver.tokens.reuse import Reuse


def compose_exchange(  # noqa: PLR0917 - the parts of a server
    settings: Settings,
    live: LiveSnapshot,
    trail: AuditTrail,
    meter: Meter | None,
    clock: ClockJumpDetector,
    stored: StoredParts | None,
    together: SharedKeys | None = None,
    before: ShadowPeer | None = None,
) -> ObservedExchange:
    """The exchange of these settings. With `stored`, logins that ask are given refresh tokens and sessions.

    `together` is what the workers know of a shadow peer. `before` is that of the settings before, if it stays as it is
    configured: it goes on.
    """
    reuse = Reuse(settings.token_reuse, now=time.time) if settings.token_reuse else None
    logins = None
    if stored is not None:
        # The end of a credential would be wrong after a jump of the clock.
        logins = stored.given(settings, now=time.time, is_blocked=lambda: clock.jump() is not None)
    service = service_kind(settings)(live.snapshot, now=time.time, reuse=reuse, logins=logins)
    observers: list[Observer] = [trail]
    if settings.shadow_policies is not None:
        observers.insert(0, ShadowPolicy(live.snapshot, trail.record, now=time.time))
    if meter is not None:
        observers.append(meter)  # after the trail, so that it also counts what could not be audited
    count = _uncounted if meter is None else meter.count_shadow_peer
    peer = before or shadow_peer(settings, trail.record, count, together)
    if peer is not None:
        observers.append(peer)  # the last one: only what was answered is repeated
    return ObservedExchange(service, observers, monotonic=time.perf_counter)


def service_kind(settings: Settings) -> type[TokenService]:
    """The exchange of these settings. Only a server with tracing has the one with spans."""
    if settings.tracing is None:
        return TokenService
    from tokenserver.server.exchanges.traced import TracedService  # noqa: PLC0415 - only where requests are traced

    return TracedService


def trail_kind(settings: Settings) -> type[AuditTrail]:
    """The audit trail of these settings. Only a server with tracing has the one with trace ids."""
    if settings.tracing is None:
        return AuditTrail
    from tokenserver.server.exchanges.traced import TracedTrail  # noqa: PLC0415 - only where requests are traced

    return TracedTrail


def _uncounted(_: str, __: int) -> None:
    """For a server without metrics."""
