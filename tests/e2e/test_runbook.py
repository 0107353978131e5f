"""docs/runbook.md: each command in it, beside a running server of a healthy site, finds nothing wrong."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import replace

import pytest
from click.testing import CliRunner
from harness.programs import ROOT
from harness.registries import KEEPER
from harness.server import Setup, TokenServer, serving

from tokenserver.cli import main

PAGE = (ROOT / "docs" / "runbook.md").read_text("utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = list(dict.fromkeys(line for block in BLOCKS for line in block.splitlines()))

NOTHING = {
    "ldap test": (2, "has no directory"),
    "audit search --outcome": (1, "no event of"),
    "audit search --event notifications": (1, "no event of"),
    "audit search --event registry": (1, "no event of"),
    "audit who-did push": (1, "nobody was granted"),
}
"""Commands that find nothing on a healthy site without a directory: their exit codes, and what they print."""


@pytest.fixture(scope="module")
def site(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server with a storage, and the trail of one request."""
    settings = {"storage": "state/tokenserver.db", "access_keys": {}, "refresh_tokens": {}, "server": {"workers": 1}}
    small = replace(setup, people={KEEPER: setup.people[KEEPER]}, settings=settings)
    with serving(tmp_path_factory.mktemp("runbook"), small) as server:
        server.token("registry2.test", ["repository:public/x:pull"])
        shutil.copy(server.daemon.stdout, server.folder / "audit.jsonl")
        yield server


def test_there_are_commands() -> None:
    """All of this program."""
    assert len(COMMANDS) > 10
    assert [line for line in COMMANDS if not line.startswith("tokenserver ")] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command(command: str, site: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It exists, takes these options, and says so where there is nothing to see."""
    monkeypatch.chdir(site.folder)
    result = CliRunner().invoke(main, shlex.split(command)[1:])
    expected = next((found for words, found in NOTHING.items() if words in command), (0, ""))
    assert (result.exit_code, expected[1] in result.output) == (expected[0], True), result.output
