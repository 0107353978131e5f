"""A configuration with its keys, `tokenserver keys …` run on them, and what `keys list` reports."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tokenserver.cli import main

Run = Callable[..., Result]

CONFIG = """\
issuer: auth.example.com
server: {{url: "https://auth.example.com"}}
registries: {registries}
anonymous: true
policies: policies
keys: {keys}
"""

PINNED = "[{service: one}, {service: two, compat: distribution2}, {service: three, compat: jwks}]"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run `tokenserver keys …` in a folder with a configuration."""
    monkeypatch.chdir(tmp_path)
    configure(tmp_path)

    def run(*arguments: str | Path) -> Result:
        return CliRunner().invoke(main, ["keys", *map(str, arguments)])

    return run


def configure(folder: Path, keys: str = "keys", registries: str = "[{service: one}]") -> None:
    text = CONFIG.format(keys=keys, registries=registries)
    (folder / "tokenserver.yaml").write_text(text)


@pytest.fixture
def made(run: Run, tmp_path: Path) -> Path:
    """The folder of keys that `keys init` made."""
    assert run("init").exit_code == 0
    return tmp_path / "keys"


def listed(run: Run) -> dict[str, Any]:
    result = run("list", "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def states(run: Run) -> list[str]:
    return [key["state"] for key in listed(run)["keys"]]


def age(folder: Path, by: timedelta) -> None:
    """Let every state have begun that much earlier."""
    path = folder / "ring.json"
    content = json.loads(path.read_text())
    for key in content["keys"]:
        key["since"] = (datetime.fromisoformat(key["since"]) - by).isoformat()
    path.write_text(json.dumps(content))
