"""Metrics of a running server: its own listener, the sum of all workers, and requests that never suffer from it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from harness import web
from harness.processes import free_port, run
from harness.registries import KEEPER
from harness.server import Setup, TokenServer, serving, started
from harness.waiting import until
from prometheus_client.parser import text_string_to_metric_families

SERVICE = "registry2.test"
WORKERS = 2
REQUESTS = 40


class Scraped:
    """A server with metrics, and what Prometheus would read there."""

    def __init__(self, server: TokenServer, port: int) -> None:
        self.server = server
        self.port = port

    def value(self, name: str, **labels: str) -> float:
        """The sum of the series of that name that have these labels."""
        answer = web.request(self.port, "GET", "/metrics")
        assert answer.status == 200, answer
        families = list(text_string_to_metric_families(answer.body.decode()))
        found = [
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert found, (name, labels)
        return sum(found)

    def exchanges(self, outcome: str = "granted") -> float:
        return self.value("tokenserver_exchanges_total", outcome=outcome)

    def ask(self) -> int:
        """One request for a token, on a connection of its own; its status, 0 where none came."""
        try:
            return self.server.ask(SERVICE, ["repository:public/x:pull"]).status
        except OSError:
            return 0

    def workers(self) -> list[int]:
        return self.server.daemon.children


@pytest.fixture
def scraped(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    port = free_port()
    settings = {"server": {"workers": WORKERS, "metrics": f"127.0.0.1:{port}"}}
    small = replace(setup, people={KEEPER: setup.people[KEEPER]}, settings=settings)
    with serving(tmp_path_factory.mktemp("metrics"), small) as server:
        yield Scraped(server, port)


def test_one_scrape_sums_all_workers(scraped: Scraped) -> None:
    """Every request is in it, whichever worker had it, at once; and every worker is alive and of one mind."""
    until(lambda: scraped.value("tokenserver_workers") == WORKERS, seconds=20)
    assert [scraped.ask() for _ in range(REQUESTS)] == [200] * REQUESTS
    assert scraped.exchanges() == REQUESTS
    assert scraped.value("tokenserver_exchange_seconds_count", outcome="granted") == REQUESTS
    assert scraped.value("tokenserver_policy_info") == WORKERS
    assert scraped.value("tokenserver_certificate_expiry_seconds", certificate="signing") > 86400


def test_a_killed_worker_takes_nothing_with_it(scraped: Scraped) -> None:
    """What it counted stays in the sum, and the one that is started in its place goes on from there."""
    until(lambda: scraped.value("tokenserver_workers") == WORKERS, seconds=20)
    for _ in range(REQUESTS):
        scraped.ask()
    before = scraped.exchanges()
    victims = scraped.workers()
    os.kill(victims[0], signal.SIGKILL)
    assert scraped.exchanges() >= before
    until(lambda: len(set(scraped.workers()) - set(victims)) == 1, seconds=20)
    until(lambda: scraped.server.is_ready() and scraped.value("tokenserver_workers") == WORKERS, seconds=20)
    before = scraped.exchanges()
    assert before >= REQUESTS
    answered = [scraped.ask() for _ in range(REQUESTS)].count(200)
    assert scraped.exchanges() == before + answered
    assert answered == REQUESTS


def test_all_workers_take_a_change(scraped: Scraped) -> None:
    """A moment after a change there is one digest, live in all of them, and each took it once.

    See docs/design/threats.md#fault-19.
    """
    until(lambda: scraped.value("tokenserver_workers") == WORKERS, seconds=20)
    policy = scraped.server.folder / "policies" / "root.yaml"
    policy.write_text(policy.read_text() + "# changed\n")
    until(lambda: scraped.value("tokenserver_policy_reloads_total") == WORKERS, seconds=20)
    assert scraped.value("tokenserver_policy_info") == WORKERS
    policy.write_text("version: 1\nallow: nonsense\n")
    until(lambda: scraped.value("tokenserver_policy_reload_failed_total") == WORKERS, seconds=20)
    until(lambda: scraped.value("tokenserver_not_ready", part="files") == WORKERS, seconds=20)
    assert scraped.ask() == 200


def test_no_process_leaves_a_core(scraped: Scraped) -> None:
    """Neither the workers nor the process above them (docs/design/threats.md#threat-66)."""
    for process in (scraped.server.daemon.pid, *scraped.workers()):
        limits = Path(f"/proc/{process}/limits").read_text()
        (line,) = (line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert line.split()[4:6] == ["0", "0"]


def test_the_two_listeners_are_apart(scraped: Scraped) -> None:
    """No metrics where clients are, no tokens where Prometheus is (docs/design/threats.md#threat-101)."""
    assert scraped.server.request("GET", "/metrics").status == 404
    assert web.request(scraped.port, "GET", web.token_target(SERVICE, [])).status == 404


def test_it_needs_no_folder(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nowhere to write, full disks and left-over files are nothing to it, since it writes no file.

    See docs/design/threats.md#fault-37.
    """
    port = free_port()
    settings = {"server": {"workers": WORKERS, "metrics": f"127.0.0.1:{port}"}}
    small = replace(setup, people={KEEPER: setup.people[KEEPER]}, settings=settings)
    folder = tmp_path_factory.mktemp("nowhere")
    server = TokenServer(folder, small, prefix=["env", "TMPDIR=/nowhere", "PROMETHEUS_MULTIPROC_DIR=/nowhere"])
    with started(server):
        scraped = Scraped(server, port)
        before = sorted(path.name for path in folder.iterdir())
        assert scraped.ask() == 200
        assert scraped.exchanges() == 1
        assert sorted(path.name for path in folder.iterdir()) == before
        assert not [path for path in before if path.endswith(".db")]


def test_a_taken_port_refuses_the_start(scraped: Scraped) -> None:
    """With exit code 2, and the key that is wrong."""
    config = scraped.server.folder / "second.yaml"
    listen = f"127.0.0.1:{scraped.server.port}"
    text = scraped.server.config.read_text()
    config.write_text(text.replace(listen, f"127.0.0.1:{free_port()}"))
    output = run(
        scraped.server.command("serve", "--config", config),
        environment=scraped.server.environment,
        folder=scraped.server.folder,
    )
    assert output.code == 2
    assert "server: metrics: metrics cannot be served at" in output.text
