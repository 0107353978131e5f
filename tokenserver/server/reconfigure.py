"""Reconfiguration: other settings for a server that runs, without a restart and without dropping a request."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from tokenserver.config.load import config_path
from tokenserver.config.settings import Settings
from tokenserver.errors import Fault, LoadError
from tokenserver.keys.layout import KeyFolder
from tokenserver.metrics.setup import add_labels, pushes_of, services_of
from tokenserver.metrics.shared_rows import Board
from tokenserver.runtime.bulletin import Bulletin
from tokenserver.server.compose import check_tls, compose_rotators, login_plan, watched_parts
from tokenserver.server.exchanges.observed import compose_exchange
from tokenserver.server.exchanges.peer import peer_context
from tokenserver.server.follower import ordered_on
from tokenserver.server.login_plan import SPARE_DIRECTORIES, limits_for
from tokenserver.server.notifications.secret_files import reporters, require_secrets
from tokenserver.server.reload.configuration import ConfigurationWatch, posted_on
from tokenserver.server.running import RunningServer
from tokenserver.server.shared_state import SharedState, repeat_seconds
from tokenserver.server.snapshots import Composer
from tokenserver.server.sources.directory_files import attempt
from tokenserver.server.start_checks import start_faults


def reconfigured(
    server: RunningServer, settings: Settings, *, quiesce: Callable[[], None] = lambda: None
) -> RunningServer:
    """The same running server with other settings; requests in progress end as they began.

    Users, keys and policies that stay as they are configured stay loaded, and everything that has to outlive a change
    is kept: failed logins, circuit breakers, the audit trail, metrics, and cached logins unless a user source changed.
    `quiesce` is called when everything is loaded, and must end the threads that `RunningServer.tend` started: a rotator
    must not work on the keys of another configuration.

    Raises:
        LoadError: every fault of files that are new in these settings; nothing has changed then.
    """
    peer = server.shadow_peer if settings.shadow_peer == server.settings.shadow_peer else None
    if peer is None:
        peer_context(settings)  # its faults are found before anything has changed
    is_same = settings.reporters == server.settings.reporters
    reporting = server.reporters if is_same else reporters(settings, monotonic=time.monotonic)
    before, after = definitions(server.settings), definitions(settings)
    kept = [key for key, definition in after.items() if before.get(key) == definition]
    limits = limits_for(settings.throttle, workers=1)
    protection = server.protection.renewed(
        login_plan(settings),
        secret=secrets.token_bytes(64),
        limits=limits,
        unchanged=[name for kind, name in kept if kind == "users"],
    )
    parts = watched_parts(settings, protection, marked=_marked(server, settings))
    composer = Composer(settings, protection, server.stored)

    def replace_all() -> None:
        quiesce()
        server.changes.reconfigured(server.settings, settings)

    server.live.reconfigure(parts, composer, kept=kept, quiesce=replace_all)
    protection.limit_together(limits, repeat=repeat_seconds(settings))
    if server.meter is not None:
        server.meter.rename(services_of(settings), pushes_of(settings))
    parts_of_exchange = (server.live, server.trail, server.meter, server.clock, server.stored, server.peer_keys)
    exchange = compose_exchange(settings, *parts_of_exchange, before=peer)
    rotators = compose_rotators(settings, server.live, server.clock)
    if server.storage is not None:
        server.storage.index.grace = settings.storage_grace
    changed = replace(server, settings=settings, protection=protection, exchange=exchange, rotators=rotators)
    return replace(changed, reporters=reporting)


def _marked(server: RunningServer, settings: Settings) -> set[str]:
    """The kinds of policies whose folder stays and whose files end with the marker: a file without it was cut off."""
    snapshot, old = server.live.snapshot(), server.settings
    live = {
        "policies": snapshot.policies if old.policies == settings.policies else None,
        "shadow_policies": snapshot.candidate if old.shadow_policies == settings.shadow_policies else None,
    }
    return {kind for kind, policies in live.items() if policies is not None and policies.is_marked}


def definitions(settings: Settings) -> dict[tuple[str, str], object]:
    """By kind and name of each of the `watched_parts`, all that its content depends on besides its files."""
    services = frozenset(registry.service for registry in settings.registries)
    found: dict[tuple[str, str], object] = {("users", source.name): source for source in settings.user_sources}
    for workload in settings.workload_sources:
        found["workloads", workload.name] = (workload, workload.audiences(settings.server.url))
    for provider in settings.oidc_sources:
        found["oidc", provider.name] = (provider, settings.server.pages_url)
    for keys in settings.key_sets():
        verifiers = [(registry.service, registry.compat, registry.algorithm) for registry in keys.registries]
        found["keys", str(KeyFolder(keys.folder).path)] = verifiers
    beside = (services, settings.namespaces, settings.workload_claims)
    found["policies", ""] = (settings.policies, *beside)
    if settings.shadow_policies is not None:
        found["shadow_policies", ""] = (
            settings.shadow_policies,
            services,
            settings.namespaces,
            settings.workload_claims,
        )
    return found


def faults_of_change(old: Settings, new: Settings) -> list[Fault]:
    """The faults of files that are new in the settings `new`, as `reconfigured` would report them.

    Files that stay as they are configured are watched already: what is wrong with them stops no change of the settings.
    """
    before, after = definitions(old), definitions(new)
    faults: list[Fault] = []
    values = {}
    for part in watched_parts(new):
        key = (part.kind, part.name)
        is_new = before.get(key) != after[key]
        if not is_new and part.kind != "users":
            continue
        try:
            values[key] = part.load(None)
        except LoadError as error:
            faults += error.faults if is_new else ()
    return [*faults, *Composer(new).faults(values)]


def watch_configuration(
    config: Path | None, settings: Settings, shared: SharedState, board: Board | None = None
) -> ConfigurationWatch:
    """The watch of the master process over the configuration file; workers hear of changes by what they share.

    If they share nothing, the file is only watched, and every change waits for a restart. New names get labels on
    `board`, if metrics are on.
    """
    file = str(config_path(config))

    def check(old: Settings, new: Settings) -> list[Fault]:
        faults = start_faults(new, file)
        attempt(partial(check_tls, new), faults)
        if old.shadow_peer != new.shadow_peer:
            attempt(partial(peer_context, new), faults)
        if old.reporters != new.reporters:
            attempt(partial(require_secrets, new), faults)
        return [*faults, *faults_of_change(old, new)]

    directories = sum(source.remote is not None for source in settings.authentication)
    return ConfigurationWatch(
        config,
        settings,
        check=check,
        order=None if shared.orders is None else _ordered(shared.orders, board),
        post=posted_on(shared.bulletin),
        max_directories=directories + SPARE_DIRECTORIES,
    )


def _ordered(orders: Bulletin, board: Board | None) -> Callable[[Settings], int]:
    """Orders settings, after the metrics have labels for them."""
    order = ordered_on(orders)

    def ordered(settings: Settings) -> int:
        if board is not None:
            add_labels(settings, board)
        return order(settings)

    return ordered
