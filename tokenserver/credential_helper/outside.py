"""What the credential helper needs from outside for more than a stored answer: requests, the clock, and people."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tokenserver.credential_helper.environment import PROJECTED_TOKEN, CiVariables
from tokenserver.credential_helper.settings import HelperSettings
from tokenserver.credential_helper.store.credential_file import CredentialFile
from tokenserver.credential_helper.store.logins import KeptLogins
from tokenserver.credential_helper.store.system_keyring import SystemKeyring
from tokenserver.credential_helper.terminal import say, terminal, write_line
from tokenserver.credential_helper.token_server.http import Web
from tokenserver.credential_helper.token_server.reply import Fetch
from tokenserver.credential_helper.workloads import MAX_JWT, JobEnvironment

_CERTIFICATES = ("/etc/docker/certs.d", "/etc/containers/certs.d")


@dataclass(frozen=True)
class Outside:
    """The ports. `say` tells a person one line; `terminal` is None, or tells lines to a person who can act on them."""

    logins: KeptLogins
    settings: HelperSettings
    fetch: Fetch
    job: JobEnvironment
    terminal: Callable[[], Callable[[str], None] | None]
    say: Callable[[str], None] = say
    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = field(default=time.sleep)


def outside(file: CredentialFile, settings: HelperSettings, *registries: str) -> Outside:
    """The real ones. The certificates that docker and podman trust for these registries are trusted here, too."""
    keyring = SystemKeyring() if settings.keyring else None
    files = [settings.ca_file] if settings.ca_file else []
    for registry in registries:
        for folder in _CERTIFICATES:
            files += [str(path) for path in sorted(Path(folder, registry).glob("*.crt"))]
    return Outside(KeptLogins(file, keyring), settings, Web(files).fetch, _job(), _talker)


def _talker() -> Callable[[str], None] | None:
    descriptor = terminal()
    return None if descriptor is None else lambda text: write_line(descriptor, text)


def _job() -> JobEnvironment:
    variables = CiVariables()
    path = variables.id_token_file or PROJECTED_TOKEN
    system = (
        "github"
        if variables.is_github
        else "gitlab"
        if variables.is_gitlab
        else "kubernetes"
        if variables.is_cluster
        else ""
    )
    return JobEnvironment(
        variables.github_url, variables.github_token, variables.id_token, lambda: _read(path), path, system
    )


def _read(path: str) -> str | None:
    """The text of a projected token; None where there is none."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return os.read(file, MAX_JWT + 2).decode("ascii", "replace")
    except OSError:
        return None
    finally:
        os.close(file)
