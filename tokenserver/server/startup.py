"""Start-up: loads and checks settings, users, policies and keys for `check` and `serve`, and collects every fault."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tokenserver.authn.htpasswd.backend import load_htpasswd
from tokenserver.config.load import config_path, load_settings
from tokenserver.config.referenced_files import ReferencedFiles, SettingsRefused
from tokenserver.config.settings import Settings
from tokenserver.errors import Fault, LoadError
from tokenserver.exchange.snapshot import Snapshot
from tokenserver.keys.store import load_keys
from tokenserver.policy.loading.loader import load_policies
from tokenserver.policy.model import PolicySet
from tokenserver.server.compose import load_snapshot
from tokenserver.server.start_checks import start_faults
from tokenserver.server.stored.opening import check_storage


def load_all(config: Path | None, *, migrate: bool = False) -> tuple[Settings, Snapshot]:
    """The settings and the snapshot of the files that they name. Everything that would stop a worker is checked here.

    With `migrate`, tables of the storage may be missing or old.

    Raises:
        LoadError: every fault of every file, and of the process's environment. Faults in the settings do not hide
            those of the files that they name.
    """
    try:
        settings = load_settings(config)
    except SettingsRefused as error:
        raise LoadError([*error.faults, *_faults_in(error.named)]) from error
    faults = [*start_faults(settings, str(config_path(config))), *check_storage(settings, migrate=migrate)]
    try:
        snapshot = load_snapshot(settings)
    except LoadError as error:
        raise LoadError([*error.faults, *faults]) from error
    if faults:
        raise LoadError(faults)
    return settings, snapshot


def configured_policies(settings: Settings, now: datetime) -> PolicySet:
    """The policies of this configuration, loaded once. Raises as `load_policies`."""
    return load_policies(
        settings.policies,
        services=frozenset(registry.service for registry in settings.registries),
        now=now,
        namespaces=settings.namespaces,
        workload_sources=settings.workload_claims,
    )


def _faults_in(named: ReferencedFiles) -> list[Fault]:
    """Faults of the named files alone: which services exist is not known from rejected settings."""
    now = datetime.now(UTC)
    faults: list[Fault] = []
    for file in named.users:
        try:
            load_htpasswd(file, "htpasswd")
        except LoadError as error:
            faults.extend(error.faults)
    if named.policies is not None:
        try:
            load_policies(named.policies, now=now)
        except LoadError as error:
            faults.extend(error.faults)
    if named.keys is not None:
        try:
            load_keys(named.keys, now=now)
        except LoadError as error:
            faults.extend(error.faults)
    return faults
