"""The Flask application that a WSGI worker loads, with its file watch, built from the configuration."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from flask import Flask

from tokenserver.config.settings import Settings
from tokenserver.exchange.audit import Sink
from tokenserver.keys.jwk import jwk_set
from tokenserver.keys.ring import KeyRing
from tokenserver.metrics.shared_rows import Board
from tokenserver.server.compose import build, new_id
from tokenserver.server.running import RunningServer
from tokenserver.server.shared_state import NOTHING_SHARED, SharedState
from tokenserver.web.client_address import finder
from tokenserver.web.https_only import guard_of
from tokenserver.web.routes import Pages, create_app
from tokenserver.web.token_endpoint import HSTS, JSON_HEADERS, TokenEndpoint

MAX_JWKS_SECONDS = 300


def application(parts: RunningServer) -> Flask:
    """The application for parts that are already built."""
    return create_app(token_endpoint(parts), other_pages(parts))


def token_endpoint(parts: RunningServer) -> TokenEndpoint:
    """The endpoint that issues tokens."""
    settings = parts.settings
    return TokenEndpoint(
        exchange=parts.exchange,
        challenge=f'Basic realm="{settings.issuer}", charset="UTF-8"',
        client_of=finder(settings.server.trusted_proxies),
        is_protected=guard_of(settings.server.trusted_proxies) if settings.server.require_https else None,
        headers=(*JSON_HEADERS, HSTS) if settings.server.url.startswith("https://") else JSON_HEADERS,
        new_id=new_id,
        monotonic=time.perf_counter,
        admission=parts.admission,
    )


def other_pages(parts: RunningServer) -> Pages:
    """The other endpoints: health, readiness, JWKS and the CA certificate."""
    settings = parts.settings
    ahead = min(key_set.schedule.publish_ahead for key_set in settings.key_sets())
    return Pages(
        readiness=parts.readiness,
        notes=parts.notes,
        jwks=lambda service: _published(parts, service, lambda rings: jwk_set(*rings)),
        ca_pem=lambda service: _published(parts, service, _bundle),
        # A registry that caches the JWKS for this long still knows a new key before it signs.
        jwks_seconds=min(MAX_JWKS_SECONDS, int(ahead.total_seconds()) // 2),
    )


def _published(parts: RunningServer, service: str | None, encode: Callable[[Sequence[KeyRing]], str]) -> str | None:
    """What is published of every key ring, or of that of `service`; None if there is no such registry."""
    snapshot = parts.live.snapshot()
    if service is None:
        return encode(snapshot.rings)
    registry = snapshot.registries.get(service)
    return None if registry is None else encode([snapshot.issuer_for(registry).ring])


def _bundle(rings: Sequence[KeyRing]) -> str:
    return "".join(dict.fromkeys(ring.ca_certificate_pem for ring in rings))


def load_application(
    settings: Settings,
    *,
    board: Board | None = None,
    shared: SharedState = NOTHING_SHARED,
    sink: Sink | None = None,
    is_stopping: Callable[[], bool] = lambda: False,
) -> Flask:
    """Build the application of these settings, in the process that serves it; for other arguments see `build`.

    `is_stopping` returns whether the server is shutting down; it is not ready any more then.

    Raises:
        LoadError: every fault of the files that the settings refer to.
    """
    parts = build(settings, sink=sink, board=board, shared=shared)
    parts = replace(parts, is_stopping=is_stopping)
    parts.watch()
    return application(parts)
