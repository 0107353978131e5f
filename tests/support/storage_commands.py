"""A site with a storage, `tokenserver storage …` run on it, and its store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tokenserver.cli import main
from tokenserver.config.load import load_settings
from tokenserver.server.stored.opening import open_store
from tokenserver.storage.state_keys import init_state_keys
from tokenserver.storage.store import CredentialStore

CONFIG = """\
issuer: auth.example.com
server: {url: "https://auth.example.com"}
registries: [{service: one}]
anonymous: true
policies: policies
keys: keys
storage: state/tokenserver.db
"""

Run = Callable[..., Result]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a configuration with a state key, and the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tokenserver.yaml").write_text(CONFIG)
    (tmp_path / "keys").mkdir(mode=0o700)
    init_state_keys(tmp_path / "keys")
    return tmp_path


@pytest.fixture
def run(site: Path) -> Run:
    """Run `tokenserver storage …` there."""

    def run(*arguments: str | Path) -> Result:
        return CliRunner().invoke(main, ["storage", *map(str, arguments)])

    return run


def store_at(site: Path) -> CredentialStore:
    """The stored credentials of the site, made if need be."""
    return open_store(load_settings(site / "tokenserver.yaml", {}))


def checked(run: Run) -> dict[str, Any]:
    """What `check --json` says."""
    found: dict[str, Any] = json.loads(run("check", "--json").stdout)
    return found
