"""docs/logs.md: its rotations with the real logrotate, under a server that writes, and its other settings."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from harness.journal import journal
from harness.log_collectors import BLOCKS, PAGE, example
from harness.log_rotation import Rotation, finish, rotating, trailing, written
from harness.processes import run
from harness.programs import ROOT
from harness.registries import KEEPER
from harness.server import Setup, TokenServer, serving

from tokenserver.cli import main


@pytest.fixture
def server(setup: Setup, tmp_path: Path) -> Iterator[TokenServer]:
    """A server whose events are appended to a file."""
    with trailing(tmp_path, setup, {"server": {"workers": 1}}) as running:
        yield running


def ask(server: TokenServer, times: int) -> None:
    """Requests, each of which leaves an event."""
    for _ in range(times):
        server.token("registry2.test", ["repository:public/x:pull"])


def exchanges(data: bytes) -> int:
    """The events of exchanges; each line has to be whole."""
    return sum(json.loads(line)["event"] == "exchange" for line in data.splitlines())


def test_a_rotation_with_a_restart_loses_nothing(
    server: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events between the rotation and the restart are in the moved file, which is compressed at the next rotation."""
    trail = server.daemon.stdout
    counts = []
    for before, meanwhile, after in ((3, 2, 4), (0, 1, 1)):
        ask(server, before)
        rotation = Rotation(server, tmp_path)
        ask(server, meanwhile)
        rotation.restart()
        ask(server, after)
        counts.append(before + meanwhile + after)
    files = sorted(trail.parent.iterdir())
    patterns = [r"audit-\d{8}-\d+\.jsonl\.gz", r"audit-\d{8}-\d+\.jsonl", r"audit\.jsonl"]
    assert [re.fullmatch(pattern, file.name) is not None for pattern, file in zip(patterns, files, strict=True)] == [
        True
    ] * 3
    assert sum(b'"event":"exchange"' in line for line in written(server)) == sum(counts)
    monkeypatch.chdir(trail.parent)
    names = [file.name for file in files]
    found = CliRunner().invoke(main, ["audit", "search", "--json", "--event", "exchange", *names])
    assert (found.exit_code, found.output.count("\n")) == (0, sum(counts))


def test_copytruncate_leaves_no_hole(server: TokenServer, tmp_path: Path) -> None:
    """The server appends, so that it goes on at the new end of the file; here nothing is written in between."""
    trail = server.daemon.stdout
    ask(server, 3)
    finish(rotating(example("copytruncate", {"/var/log/tokenserver/server.log": trail}), tmp_path))
    ask(server, 4)
    copy = trail.with_name(f"{trail.name}.1.gz")
    assert (exchanges(gzip.decompress(copy.read_bytes())), exchanges(trail.read_bytes())) == (3, 4)


@pytest.mark.parametrize(
    ("settings", "is_whole"),
    [
        pytest.param(example("journald", {}), True, id="with the settings of the page"),
        pytest.param("[Journal]\n", False, id="without them, which cuts long events"),
    ],
)
def test_journald(settings: str, is_whole: bool, setup: Setup, tmp_path: Path) -> None:
    """The journal has each event whole, over a rotation, for the command of the page."""
    chained = {"server": {"workers": 2}, "token_reuse": 0, "audit": {"chain": True}}
    small = replace(setup, people={KEEPER: setup.people[KEEPER]}, settings=chained)
    (tmp_path / "site").mkdir()
    with journal(tmp_path / "journal", settings) as written_to:
        with serving(tmp_path / "site", small, prefix=written_to.prefix("tokenserver.service")) as server:
            ask(server, 3)
            scopes = [f"repository:public/mirror/image-{number:04}:pull" for number in range(1000)]
            assert server.ask("registry2.test", scopes).status == 200
            written_to.journalctl("--rotate")
            ask(server, 2)
        written_to.journalctl("--sync")
        files = shlex.quote(str(written_to.files))
        script = f"""
            journalctl() {{ command journalctl --directory {files} "$@"; }}
            tokenserver() {{ {shlex.quote(sys.executable)} -m tokenserver "$@"; }}
            {example("journalctl", {"verify -": f"verify --json --config {shlex.quote(str(server.config))} -"})}"""
        output = run(["bash", "-c", script], environment=server.environment, folder=server.folder)
    found = json.loads(output.stdout)
    assert (output.code, [one["kind"] for one in found["findings"]]) == ((0, []) if is_whole else (1, ["removed"])), (
        output
    )
    assert {(chain["first"], chain["is_closed"]) for chain in found["chains"]} == {(1, True)}
    assert (found["events"] == sum(chain["last"] for chain in found["chains"])) is is_whole


def test_vector() -> None:
    """What flows is connected, and lines may be as long as events."""
    config: dict[str, Any] = yaml.safe_load(BLOCKS["vector"])
    parts = {**config["sources"], **config["transforms"]}
    later = [*config["transforms"].values(), *config["sinks"].values()]
    assert {name for part in later for name in part["inputs"]} == set(parts)
    assert config["sources"]["tokenserver"]["max_line_bytes"] > 64 * 1024


def test_alloy() -> None:
    """The unit is ours, what is read goes to the writer below it, and the label is the one of the page's query."""
    text = BLOCKS["alloy"]
    assert '_SYSTEMD_UNIT=tokenserver.service"' in text
    assert (ROOT / "deploy" / "tokenserver.service").exists()
    (receiver,) = re.findall(r"forward_to = \[(.*)\.receiver\]", text)
    assert receiver in {".".join(found) for found in re.findall(r'^([a-z.]+) "(\w+)" \{$', text, re.MULTILINE)}
    (label,) = re.findall(r"labels += \{(\w+) = \"(\w+)\"\}", text)
    assert f'{{{label[0]}="{label[1]}"}} | json' in PAGE
