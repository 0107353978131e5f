"""What `check` and `serve` load before anything else: settings, users, policies and keys, and every fault of all."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tokenserver.authn.htpasswd.backend import load_htpasswd
from tokenserver.config.load import config_path, load_settings
from tokenserver.config.referenced_files import ReferencedFiles, SettingsRefused
from tokenserver.config.settings import Settings
from tokenserver.errors import Fault, LoadError
from tokenserver.exchange.service import Snapshot
from tokenserver.keys.store import load_keys
from tokenserver.policy.loading.loader import load_policies
from tokenserver.server.compose import load_snapshot
from tokenserver.server.start_checks import start_faults


def load_all(config: Path | None) -> tuple[Settings, Snapshot]:
    """The settings and what they name; whatever a worker process would refuse is refused here.

    Raises:
        LoadError: every fault of every file, and of what the process needs beside them. Faults in the settings do not
            hide those of the files that they name.
    """
    try:
        settings = load_settings(config)
    except SettingsRefused as error:
        raise LoadError([*error.faults, *_faults_in(error.named)]) from error
    faults = start_faults(settings, str(config_path(config)))
    try:
        snapshot = load_snapshot(settings)
    except LoadError as error:
        raise LoadError([*error.faults, *faults]) from error
    if faults:
        raise LoadError(faults)
    return settings, snapshot


def _faults_in(named: ReferencedFiles) -> list[Fault]:
    """The faults of the named files by themselves; which services there are, refused settings do not tell."""
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
