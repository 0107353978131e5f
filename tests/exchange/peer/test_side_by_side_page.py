"""docs/move-side-by-side.md: its settings load, its commands print what it says, its figures are those of the code."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from configuration import MINIMAL, folder, load

from tokenserver.cli import main
from tokenserver.config.settings import Settings
from tokenserver.exchange.peer import observer, reachability, reports
from tokenserver.exchange.peer.differences import AccessDifference
from tokenserver.runtime.http.fetch import MAX_BODY
from tokenserver.scopes import Resource

__all__ = ["folder"]

PAGE = (Path(__file__).parents[3] / "docs" / "move-side-by-side.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


def blocks(kind: str) -> list[str]:
    """The blocks of this kind."""
    return [text for found, text in BLOCK.findall(PAGE) if found == kind]


@pytest.mark.parametrize("text", blocks("yaml"))
def test_settings(text: str, folder: Path) -> None:
    """Each is a whole section."""
    peer = load(folder, MINIMAL + text).shadow_peer
    assert peer is not None
    assert peer.url == "https://old-auth.example.com/auth"


def test_the_example_of_an_event() -> None:
    """It has the members of a difference."""
    (text,) = blocks("json")
    event = json.loads(text)
    resource = Resource("repository", "web/site")
    members = AccessDifference(resource, frozenset({"pull"}), frozenset({"pull", "push"})).members
    assert members.items() <= event.items()
    assert {*event} - {*members} == {"time", "event", "request_id", "registry", "subject"}


POLICY = "version: 1\nallow:\n  - {id: web, to: ['user:ann'], repositories: ['web/**'], role: reader}\n"


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` accepts the settings, and the lines about the log print what the page says of three differences."""
    site = tmp_path / "site"
    assert CliRunner().invoke(main, ["init", str(site)]).exit_code == 0
    monkeypatch.chdir(site)
    config = site / "tokenserver.yaml"
    config.write_text(config.read_text() + blocks("yaml")[0])
    shutil.rmtree(site / "policies")
    (site / "policies").mkdir()
    (site / "policies" / "web.yaml").write_text(POLICY)
    assert CliRunner().invoke(main, ["users", "set", "ann", "--weak"], input="a password").exit_code == 0
    exchange = '{"event":"exchange","subject":"ann"}\n'
    lines = [f'{{"event":"peer_difference","request_id":"1","subject":"{name}"}}\n' for name in ("ann", "bob", "ann")]
    (site / "audit.jsonl").write_text(exchange + "".join(lines))
    ran = [pair for text in blocks("console") for pair in COMMAND.findall(text)]
    assert len(ran) == 4
    for command, expected in ran:
        program, *words = command.split()
        if program == "tokenserver":
            result = CliRunner().invoke(main, words)
            assert (command, result.exit_code) == (command, 0 if words[0] == "check" else 1), result.output
        else:
            done = subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True)
            assert (command, done.stdout) == (command, expected)


def test_figures(folder: Path) -> None:
    """Those of the sentences are those of the code."""
    settings: Settings = load(folder, MINIMAL + blocks("yaml")[0])
    assert settings.shadow_peer is not None
    assert f"({settings.shadow_peer.rate} by default" in PAGE
    assert f"a deadline of {settings.shadow_peer.deadline} seconds and reads {MAX_BODY // 1024} KiB" in PAGE
    assert (observer.REPEAT_SECONDS, observer.FAILED_SECONDS) == (5 * 60, 15 * 60)
    assert (observer.REFUSED_SECONDS, reports.REPORTED_SECONDS) == (3600, 3600)
    assert (reachability.FAILURES, reachability.PAUSE_SECONDS) == (3, 30)
    assert (reachability.REFUSALS, reachability.REFUSED_SECONDS) == (10, 10 * 60)
    assert f"`User-Agent` `{observer.AGENT}`" in PAGE
