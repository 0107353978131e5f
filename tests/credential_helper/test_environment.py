"""What the helper reads from its environment."""

from __future__ import annotations

import pytest

from tokenserver.credential_helper.environment import CiVariables, config_folder, docker_config


@pytest.mark.parametrize(
    ("base", "expected"),
    [("/x", "/x/tokenserver"), ("", "/home/ann/.config/tokenserver"), ("relative", "/home/ann/.config/tokenserver")],
)
def test_config_folder(base: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the XDG specification has it: a relative path does not count."""
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("XDG_CONFIG_HOME", base)
    assert config_folder() == expected


@pytest.mark.parametrize(("folder", "expected"), [("/x", "/x/config.json"), ("", "/home/ann/.docker/config.json")])
def test_docker_config(folder: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where docker has its own."""
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("DOCKER_CONFIG", folder)
    assert docker_config() == expected


VARIABLES = {
    "ACTIONS_ID_TOKEN_REQUEST_URL": ("github_url", ""),
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": ("github_token", ""),
    "TOKENSERVER_ID_TOKEN": ("id_token", ""),
    "TOKENSERVER_ID_TOKEN_FILE": ("id_token_file", ""),
    "GITHUB_ACTIONS": ("is_github", False),
    "GITLAB_CI": ("is_gitlab", False),
    "KUBERNETES_SERVICE_HOST": ("is_cluster", False),
}


@pytest.mark.parametrize("variable", VARIABLES)
def test_ci_variables(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is what its system says, and absent elsewhere."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    attribute, absent = VARIABLES[variable]
    assert getattr(CiVariables(), attribute) == absent
    monkeypatch.setenv(variable, "true")
    assert getattr(CiVariables(), attribute) in ("true", True)
