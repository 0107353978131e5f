"""docker_auth's configuration file, read for the commands that import it and compare with it."""

from __future__ import annotations

from pathlib import Path

from tokenserver.documents.files import read_bounded
from tokenserver.errors import Fault, LoadError
from tokenserver.importers.docker_auth.model import DockerAuthConfig
from tokenserver.importers.docker_auth.reader import read_docker_auth

MAX_CONFIG = 16 * 1024 * 1024


def read_peer(path: Path) -> DockerAuthConfig:
    """The configuration in a file.

    Raises:
        LoadError: it cannot be read, docker_auth cannot decode it, or it has neither users nor rules.
    """
    try:
        text = read_bounded(path, limit=MAX_CONFIG).decode("utf-8")
    except UnicodeDecodeError:
        raise LoadError([Fault(str(path), 0, "", "is not UTF-8 text")]) from None
    config = read_docker_auth(text, str(path))
    if config.acl is None and not config.users and not config.backends:
        message = "has no acl, no users and no other source of either; is it the configuration of docker_auth?"
        raise LoadError([Fault(str(path), 0, "", message)])
    return config
