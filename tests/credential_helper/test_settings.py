"""`helper.json`, the settings of the credential helper."""

from __future__ import annotations

import json

import pytest

from tokenserver.credential_helper.settings import RejectedSettings, read_settings


def test_every_member() -> None:
    """URLs lose their last slash, and registries are in lower case."""
    content = {
        "asPassword": True,
        "interactive": False,
        "keyring": False,
        "registries": ["Registry.example.com"],
        "tokenServers": ["https://auth.example.com/"],
        "caFile": "/ca.pem",
    }
    found = read_settings(json.dumps(content).encode())
    assert (found.as_password, found.interactive, found.keyring) == (True, False, False)
    assert (found.registries, found.token_servers) == (["registry.example.com"], ["https://auth.example.com"])
    assert found.ca_file == "/ca.pem"


def test_no_member() -> None:
    """All have a default."""
    found = read_settings(b"{}")
    assert (found.as_password, found.interactive, found.keyring) == (False, True, True)
    assert (found.registries, found.token_servers, found.ca_file) == ([], [], "")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "is not JSON", id="empty"),
        pytest.param(b"\xff", "is not JSON", id="binary"),
        pytest.param(b"[" * 100_000, "is not JSON", id="deep"),
        pytest.param(b"1", "is not a JSON object", id="number"),
        pytest.param(b'{"aspassword": true}', "unknown member; known members are asPassword", id="unknown"),
        pytest.param(b'{"asPassword": 1}', "asPassword: must be true or false", id="type"),
        pytest.param(b'{"registries": "x"}', "registries: must be a list of strings", id="no list"),
        pytest.param(b'{"registries": [1]}', "registries: must be a list of strings", id="list of others"),
    ],
)
def test_rejected(content: bytes, message: str) -> None:
    """A misspelt setting is no setting."""
    with pytest.raises(RejectedSettings, match=message):
        read_settings(content)
