"""The environment of the credential helper: where its folder is, and what CI systems hand to a job.

The helper is a program of its own, started by clients with nothing but their environment; the server's settings and
their variables are not its own.
"""

from __future__ import annotations

import os

PROJECTED_TOKEN = "/var/run/secrets/tokenserver/token"  # noqa: S105 - a path
"""Where a pod has its token for the token server, unless `TOKENSERVER_ID_TOKEN_FILE` names another file."""


def config_folder() -> str:
    """The folder of the helper's files: `tokenserver` in the user's folder for configuration."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return os.path.join(base if os.path.isabs(base) else os.path.expanduser("~/.config"), "tokenserver")


def docker_config() -> str:
    """The file in which docker's settings are."""
    return os.path.join(os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker"), "config.json")


class CiVariables:
    """What a CI system or a cluster hands to the job that runs here. What is absent is empty."""

    def __init__(self) -> None:
        self.github_url = os.environ.get("ACTIONS_ID_TOKEN_REQUEST_URL", "")
        self.github_token = os.environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "")
        self.id_token = os.environ.get("TOKENSERVER_ID_TOKEN", "")
        self.id_token_file = os.environ.get("TOKENSERVER_ID_TOKEN_FILE", "")
        self.is_github = os.environ.get("GITHUB_ACTIONS") == "true"
        self.is_gitlab = os.environ.get("GITLAB_CI") == "true"
        self.is_cluster = "KUBERNETES_SERVICE_HOST" in os.environ
