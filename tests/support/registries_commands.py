"""A configuration with two registries that differ in everything, and `tokenserver registries …` run on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tokenserver.cli import main

Run = Callable[..., Result]

HEAD = """\
issuer: auth.example.com
server: {url: "https://auth.example.com"}
anonymous: true
policies: policies
keys: keys
registries:
"""

POLICY = """\
version: 1
registries: [plain, zot]
allow:
  - {id: public, to: [everyone], repositories: ["public/**"], actions: [pull]}
"""

PLAIN = "{service: plain, also: [bridged], token_lifetime: {push: 1h}}"

ZOT = "{service: zot, compat: zot, issuer: zot.example.com, algorithm: RS256, keys: zot-keys}"


class Site:
    """A configuration in a folder, with the keys that it needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "tokenserver.yaml"
        (folder / "policies").mkdir()
        (folder / "policies" / "policy.yaml").write_text(POLICY)

    def write(self, *entries: str) -> None:
        """Configure these registries and make their keys."""
        self.config.write_text(HEAD + "".join(f"  - {entry}\n" for entry in entries))
        assert self.run("keys", "init").exit_code == 0

    def run(self, *arguments: str | Path) -> Result:
        """Run one command."""
        return CliRunner().invoke(main, [*map(str, arguments), "--config", str(self.config)])


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Two registries that differ in everything."""
    site = Site(tmp_path)
    site.write(PLAIN, ZOT)
    return site
