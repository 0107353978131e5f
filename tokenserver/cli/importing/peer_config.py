"""The configuration file of docker_auth, read for the commands that import it and compare with it."""

from __future__ import annotations

from pathlib import Path

from tokenserver.documents.files import read_bounded
from tokenserver.errors import Fault, LoadError
from tokenserver.importers.docker_auth.model import DockerAuthConfig
from tokenserver.importers.docker_auth.reader import read_docker_auth
from tokenserver.importers.docker_auth.validation import start_problem
from tokenserver.importers.golang.expression import ExpressionBeyondLimits

MAX_CONFIG = 16 * 1024 * 1024


def read_peer(path: Path) -> DockerAuthConfig:
    """The configuration in a file.

    Raises:
        LoadError: it cannot be read, or docker_auth does not start with it.
    """
    try:
        text = read_bounded(path, limit=MAX_CONFIG).decode("utf-8")
    except UnicodeDecodeError:
        raise LoadError([Fault(str(path), 0, "", "is not UTF-8 text")]) from None
    config = read_docker_auth(text, str(path))
    try:
        problem = start_problem(config)
    except ExpressionBeyondLimits as error:
        raise LoadError([Fault(str(path), config.acl_line, "acl", f"an expression {error}")]) from None
    if problem is not None:
        line, text = problem
        message = f"docker_auth does not start with this, so nothing is known about what it means: {text}"
        raise LoadError([Fault(str(path), line, "", message)])
    return config
