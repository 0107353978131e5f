"""docs/logs.md: collectors keep each event as it was written, over rotations and restarts, and `audit` reads it."""

from __future__ import annotations

import json
import shlex
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from harness import web
from harness.journal import journal
from harness.log_collectors import Collector, OpenTelemetry, Rsyslog, example
from harness.log_rotation import Rotation, trailing, written
from harness.processes import run
from harness.registries import KEEPER
from harness.server import Setup, TokenServer, serving
from harness.waiting import until

pytestmark = pytest.mark.waits

SERVICE = "registry2.test"
CHAINED: dict[str, Any] = {"server": {"workers": 2}, "token_reuse": 0, "audit": {"chain": True}}
LONG = 60 * 1024
"""Longer than what collectors take by default, where they do not take 64 KiB."""


def ask(server: TokenServer, times: int, *, repositories: int = 1) -> None:
    """Requests, each of which leaves an event, or several if it is for many repositories."""
    scopes = [f"repository:public/mirror/image-{number:04}:pull" for number in range(repositories)]
    for _ in range(times):
        assert server.request("GET", web.token_target(SERVICE, scopes)).status == 200


def audit(collector: Collector, command: str, server: TokenServer) -> tuple[int, str]:
    """The exit code and the output of `tokenserver audit` on what the collector has kept."""
    assert collector.verify.rstrip().endswith("tokenserver audit verify -")
    script = f'tokenserver() {{ {shlex.quote(sys.executable)} -m tokenserver "$@"; }}\n'
    script += collector.verify.replace("audit verify -", f"audit {command} -")
    output = run(["bash", "-c", script], environment=server.environment, folder=server.folder)
    return output.code, output.stdout


def assert_proven(collector: Collector, server: TokenServer) -> None:
    """Each chain that the server wrote is there from its first to its last event, and nothing else."""
    code, output = audit(collector, f"verify --json --config {shlex.quote(str(server.config))}", server)
    found = json.loads(output)
    assert (code, found["findings"], found["without_link"]) == (0, [], 0)
    assert {(chain["first"], chain["is_closed"]) for chain in found["chains"]} == {(1, True)}
    assert found["events"] == sum(chain["last"] for chain in found["chains"])
    code, output = audit(collector, "search --event exchange --json", server)
    expected = sum(b'"event":"exchange"' in line for line in collector.kept())
    assert (code, output.count("\n")) == (0, expected)
    assert max(len(line) for line in collector.kept()) > LONG


@pytest.mark.real("rsyslogd")
def test_rsyslog_keeps_each_event_of_the_journal(setup: Setup, tmp_path: Path) -> None:
    """docs/design/threats.md#threat-260: over rotations of the journal, and what is written while rsyslog is down."""
    small = replace(setup, people={KEEPER: setup.people[KEEPER]}, settings=CHAINED)
    for name in ("site", "collector"):
        (tmp_path / name).mkdir()
    with journal(tmp_path / "journal", example("journald", {})) as kept_in:
        collector = Rsyslog(kept_in, tmp_path / "collector")
        try:
            with serving(tmp_path / "site", small, prefix=kept_in.prefix("tokenserver.service")) as server:
                ask(server, 3)
                collector.start()
                ask(server, 2, repositories=1000)
                kept_in.journalctl("--rotate")
                ask(server, 3)
                collector.stop()
                ask(server, 2, repositories=1000)
                kept_in.journalctl("--rotate")
                ask(server, 3)
                collector.start()
                ask(server, 2)
            kept_in.journalctl("--sync")
            lines = kept_in.journalctl("--unit", "tokenserver", "--output", "cat").stdout.encode().splitlines()
            events = [line for line in lines if b'"event":' in line]
            until(lambda: len(collector.kept()) >= len(events))
        finally:
            collector.stop()
    assert collector.kept() == events
    assert len(lines) > len(events)
    assert collector.others == ""
    assert_proven(collector, server)


@pytest.mark.nightly
@pytest.mark.real("otel-collector", "jq")
def test_the_opentelemetry_collector_follows_the_file(setup: Setup, tmp_path: Path) -> None:
    """docs/design/threats.md#threat-260: also what is written to a moved file, and while no collector runs."""
    for name in ("collector", "rotation"):
        (tmp_path / name).mkdir()
    with trailing(tmp_path, setup, CHAINED) as server:
        collector = OpenTelemetry(server.daemon.stdout.parent, tmp_path / "collector")

        def is_complete() -> bool:
            return Counter(collector.kept()) == Counter(written(server))

        ask(server, 3)
        collector.start()
        try:
            ask(server, 2, repositories=1000)
            until(is_complete)
            rotation = Rotation(server, tmp_path / "rotation")
            ask(server, 5)
            rotation.restart()
            ask(server, 4)
            until(is_complete)
            collector.stop()
            ask(server, 2, repositories=1000)
            rotation = Rotation(server, tmp_path / "rotation")
            ask(server, 2)
            rotation.restart()
            ask(server, 6)
            collector.start()
            ask(server, 2)
            server.daemon.stop()
            until(is_complete)
        finally:
            collector.stop()
    assert len(list(server.daemon.stdout.parent.glob("*.gz"))) == 1
    assert is_complete()
    assert_proven(collector, server)
