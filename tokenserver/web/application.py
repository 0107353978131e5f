"""The Flask application that a WSGI worker loads, with its file watch, built from the configuration."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from flask import Flask

from tokenserver.config.settings import Settings
from tokenserver.exchange.audit import Sink
from tokenserver.keys.jwk import jwk_set
from tokenserver.keys.ring import KeyRing
from tokenserver.metrics.shared_rows import Board
from tokenserver.scopes import ScopeLimits
from tokenserver.server.compose import build, new_id
from tokenserver.server.follower import ConfigurationFollower
from tokenserver.server.reconfigure import reconfigured
from tokenserver.server.running import RunningServer
from tokenserver.server.shared_state import NOTHING_SHARED, SharedState
from tokenserver.server.tracing import Tracing, tracing_of
from tokenserver.web.client_address import finder
from tokenserver.web.cors import VARY, AllowedOrigins
from tokenserver.web.https_only import HttpsOnly
from tokenserver.web.notifications.endpoint import NotificationEndpoint
from tokenserver.web.oauth.device import DeviceEndpoint
from tokenserver.web.routes import TokenFront, create_app
from tokenserver.web.status.endpoints import Status
from tokenserver.web.token_endpoint import HSTS, JSON_HEADERS, TokenEndpoint

if TYPE_CHECKING:
    from tokenserver.runtime.tracing.tracer import Tracer

MAX_JWKS_SECONDS = 300

FINISH_SECONDS = 5.0
"""How long the end of a worker may take after its last answer; a storage that hangs is given up before."""


class ListenerApps(NamedTuple):
    """The applications of listeners: of the public one and, if there are listeners for them, of management and
    notifications.
    """

    public: Flask
    management: Flask | None
    notifications: Flask | None


def application(parts: RunningServer, tracer: Tracer | None = None) -> Flask:
    """The public application for parts that are already built."""
    return listener_apps(parts, token_endpoint(parts), tracer).public


def listener_apps(parts: RunningServer, endpoint: TokenEndpoint, tracer: Tracer | None = None) -> ListenerApps:
    """The applications of all listeners. Pages and the API are in a single one of them, and so are notifications."""
    server, status = parts.settings.server, status_of(parts)
    cors = AllowedOrigins(server.cors) if server.cors else None
    extend = None
    if parts.storage is not None:
        from tokenserver.web.pages.compose import pages_for  # noqa: PLC0415 - only a server with a storage has pages

        extend = pages_for(parts)
    reports = notification_endpoint(parts, endpoint) if parts.reporters else None
    notifications = None
    if server.notifications is not None:
        alone = replace(endpoint, headers=JSON_HEADERS)
        notifications = create_app(alone, status, reports=reports, tokens=False, tracer=tracer)
        reports = None
    if server.management is None:
        public = create_app(
            endpoint, status, prefix=server.path, cors=cors, extend=extend, reports=reports, tracer=tracer
        )
        return ListenerApps(public, None, notifications)
    beside = replace(endpoint, headers=_headers(server.pages_url, has_cors=False))
    return ListenerApps(
        create_app(endpoint, status, prefix=server.path, cors=cors, reports=reports, tracer=tracer),
        create_app(beside, status, prefix=server.pages_path, extend=extend, tokens=False, tracer=tracer),
        notifications,
    )


def notification_endpoint(parts: RunningServer, endpoint: TokenEndpoint) -> NotificationEndpoint:
    """What receives the notifications of registries, at the same bounds as the endpoint that issues tokens."""
    found = NotificationEndpoint(
        reporters=parts.reporters,
        written=parts.written_reports,
        record=parts.trail.record,
        count_unknown=parts.protection.count_unknown,
        client_of=endpoint.client_of,
        new_id=new_id,
        admission=parts.admission,
        headers=JSON_HEADERS,
        https_only=endpoint.https_only,
        places=endpoint.places,
    )
    meter = parts.meter
    if meter is None:
        return found
    return replace(found, count=meter.count_report, count_refused=meter.count_refused_reports)


def token_endpoint(parts: RunningServer) -> TokenEndpoint:
    """The endpoint that issues tokens."""
    settings = parts.settings
    return TokenEndpoint(
        exchange=parts.exchange,
        challenge=f'Basic realm="{settings.issuer}", charset="UTF-8"',
        client_of=finder(settings.server.trusted_proxies),
        https_only=HttpsOnly(settings.server.trusted_proxies).check if settings.server.require_https else None,
        headers=_headers(settings.server.url, has_cors=bool(settings.server.cors)),
        new_id=new_id,
        monotonic=time.perf_counter,
        admission=parts.admission,
        revocation=None if parts.stored is None else parts.stored.revocation.revoke,
        device=_device_endpoint(parts),
        limits=ScopeLimits(settings.limits.scopes, settings.limits.scope_bytes),
    )


def _device_endpoint(parts: RunningServer) -> DeviceEndpoint | None:
    logins = parts.device_logins
    page = f"{parts.settings.server.pages_url}/device"
    return None if logins is None else DeviceEndpoint(logins, parts.exchange, page)


def _headers(url: str, *, has_cors: bool) -> tuple[tuple[str, str], ...]:
    """The headers of every answer of the token endpoint of a listener with this public URL."""
    headers: tuple[tuple[str, str], ...] = JSON_HEADERS
    if has_cors:
        headers = tuple(VARY if name == "Vary" else (name, value) for name, value in headers)
    return (*headers, HSTS) if url.startswith("https://") else headers


def status_of(parts: RunningServer) -> Status:
    """The contents of health, readiness, JWKS and the CA certificate."""
    settings = parts.settings
    ahead = min(key_set.schedule.publish_ahead for key_set in settings.key_sets())
    return Status(
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


class ReconfigurableApplication:
    """The applications of a server's listeners, which are served while its settings change. `flask` is the public one,
    `management` and `notifications` those of listeners of their own, if there are any. With `tracing`, requests are
    traced.
    """

    def __init__(self, parts: RunningServer, tracing: Tracing | None = None) -> None:
        self._tracing = tracing
        self._tracer = None if tracing is None else tracing.tracer
        apps = listener_apps(parts, token_endpoint(parts), self._tracer)
        self.flask, self.management, self.notifications = apps
        self.parts = parts
        """The current server."""
        self._stop = threading.Event()
        self._stop_files = threading.Event()
        self.threads: list[threading.Thread] = []
        """The background threads of these settings."""
        self._writers: list[threading.Thread] = []

    @property
    def fronts(self) -> tuple[TokenFront, ...]:
        """What answers at each listener, in the order of `ServerSettings.addresses`."""
        apps = (self.flask, self.management, self.notifications)
        return tuple(_front(app) for app in apps if app is not None)

    def start(self) -> None:
        """Announce what is in force, and start the background threads."""
        self.parts.announce()
        self._writers = self.parts.watch_files(self._stop_files)
        self.threads = self.parts.tend(self._stop)

    def stop(self) -> None:
        """Let the background threads end."""
        self._stop_files.set()
        self._stop.set()

    def finish(self) -> None:
        """Stop at the end of the process: wait a moment for threads that have something to write."""
        self.stop()
        end = time.monotonic() + FINISH_SECONDS
        for thread in self._writers:
            thread.join(max(0.0, end - time.monotonic()))
        if self._tracing is not None:
            self._tracing.finish(max(0.0, end - time.monotonic()))
        self.parts.live.retire()
        if self.parts.sealer is not None:
            self.parts.sealer.close()

    def apply(self, settings: Settings) -> None:
        """Put other settings in force.

        Raises:
            LoadError: as `reconfigured`; the previous ones stay in force.
        """
        try:
            self.parts = reconfigured(self.parts, settings, quiesce=self._quiesce)
        finally:
            if self._stop.is_set():
                self._stop = threading.Event()
                self.threads = self.parts.tend(self._stop)
        endpoint = replace(token_endpoint(self.parts), places=_front(self.flask).endpoint.places)
        apps = listener_apps(self.parts, endpoint, self._tracer)
        for live, app in zip(self.fronts, (app for app in apps if app is not None), strict=True):
            live.replace(_front(app))  # which listeners there are changes at a restart only

    def _quiesce(self) -> None:
        self._stop.set()
        for thread in self.threads:
            thread.join()


def _front(flask: Flask) -> TokenFront:
    assert isinstance(flask.wsgi_app, TokenFront)  # noqa: S101 - see routes.py
    return flask.wsgi_app


def load_application(
    settings: Settings,
    *,
    order: int = 0,
    board: Board | None = None,
    shared: SharedState = NOTHING_SHARED,
    sink: Sink | None = None,
    is_stopping: Callable[[], bool] = lambda: False,
) -> ReconfigurableApplication:
    """Start the application of these settings, in the process that serves it; for other arguments see `build`.

    `order` is their number, after which others on `shared.orders` follow. `is_stopping` returns whether the server is
    shutting down; it is not ready any more then.

    Raises:
        LoadError: every fault of the files that the settings refer to.
    """
    parts = replace(build(settings, sink=sink, board=board, shared=shared), is_stopping=is_stopping)
    tracing = tracing_of(settings, parts.meter)
    if shared.orders is None:
        live = ReconfigurableApplication(parts, tracing)
        live.start()
        return live
    follower = ConfigurationFollower(shared.orders, order, notice=parts.notice)
    live = ReconfigurableApplication(replace(parts, notice=follower.notice), tracing)
    live.start()
    following = (live.apply, threading.Event())
    threading.Thread(target=follower.follow, args=following, name="configuration", daemon=True).start()
    return live
