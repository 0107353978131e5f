"""A server with workers beside an old token server: compared in each worker, and no answer depends on it."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_peer import FakePeer, body, entry, fake_peer
from harness import web
from harness.json_lines import whole_lines
from harness.own_time import OwnTime
from harness.processes import free_port
from harness.proxy import nginx
from harness.server import Setup, TokenServer, password, serving
from harness.waiting import until

pytestmark = pytest.mark.waits

SERVICE = "registry.test"
POLICY = """\
version: 1
allow:
  - {id: web, to: ["user:ann"], repositories: ["web/**"], role: writer}
  - {id: all, to: [authenticated], repositories: ["**"], role: reader}
"""
OLD_POLICY = """\
version: 1
allow:
  - {id: web, to: ["user:ann"], repositories: ["web/**"], role: maintainer}
  - {id: all, to: ["user:bob"], repositories: ["**"], role: reader}
"""
PEOPLE = {"ann": password(), "bob": password()}
METRICS_PORT = free_port()


@pytest.fixture(scope="module")
def peer() -> Iterator[FakePeer]:
    with fake_peer() as peer:
        yield peer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, peer: FakePeer) -> Iterator[TokenServer]:
    settings = {
        "server": {"workers": 2, "metrics": f"127.0.0.1:{METRICS_PORT}"},
        "shadow_peer": {"url": peer.url, "rate": 100, "deadline": "2s"},
    }
    setup = Setup(PEOPLE, {"p.yaml": POLICY}, {SERVICE: "universal"}, settings)
    with serving(tmp_path_factory.mktemp("new"), setup) as server:
        yield server


def differences(server: TokenServer) -> list[dict[str, Any]]:
    """The events of differences so far."""
    return [event for event in whole_lines(server.daemon.stdout) if event["event"] == "peer_difference"]


def counted() -> dict[str, float]:
    """How exchanges ended at the peer, by all workers together."""
    text = web.request(METRICS_PORT, "GET", "/metrics").body.decode()
    found = re.findall(r'^tokenserver_shadow_peer_total\{result="(\w+)"\} (\S+)$', text, re.MULTILINE)
    return {result: float(value) for result, value in found}


def test_each_worker_compares(server: TokenServer, peer: FakePeer) -> None:
    """And counts, and writes what differs with the request it came from."""
    peer.reply = lambda asked: (200, body([entry(asked.parameters["scope"][0].split(":")[1], "pull")]))
    before = counted()
    for number in range(20):
        assert server.ask(SERVICE, [f"repository:web/{number}:pull,push"], person="ann").status == 200
        assert server.ask(SERVICE, [f"repository:web/{number}:pull"], person="bob").status == 200
    until(lambda: counted()["differs"] - before["differs"] == 20)
    until(lambda: counted()["same"] - before["same"] == 20)
    events = differences(server)
    assert {event["subject"] for event in events} == {"ann"}
    assert {(*event["peer_more"], "/", *event["peer_less"]) for event in events} == {("/", "push")}
    assert len({event["resource"] for event in events}) == 20
    assert {asked.login for asked in peer.asked} == {(name, PEOPLE[name]) for name in ("ann", "bob")}


def hung(_: socket.socket) -> None:
    """No answer."""
    time.sleep(6)


def test_nobody_waits(server: TokenServer, peer: FakePeer) -> None:
    """Of the clients of a server whose peer hangs; what differs is found when it is back. No socket is left."""
    peer.raw = hung
    asked = len(peer.asked)
    times = []
    for number in range(100):
        own = OwnTime(server.daemon.pid)
        assert server.ask(SERVICE, [f"repository:hung/{number}:pull"], person="bob").status == 200
        times.append(own.seconds)
    assert sorted(times)[50] < 0.1
    assert max(times) < 1.0
    until(lambda: "cannot be asked: timeout: no answer in 2 s" in server.daemon.stderr.read_text())
    assert len(peer.asked) - asked < 20
    until(lambda: counted()["unreachable"] >= 6)  # of both workers
    assert server.daemon.stderr.read_text().count("cannot be asked") == 1
    peer.raw = None


def test_a_change_of_the_configuration(server: TokenServer, peer: FakePeer, tmp_path: Path) -> None:
    """Another peer is asked within seconds, without a restart; without one, nobody is."""
    text = server.config.read_text()
    settings = yaml.safe_load(text)
    with fake_peer() as other:
        settings["shadow_peer"]["url"] = other.url
        server.config.write_text(yaml.safe_dump(settings))
        numbers = iter(range(10_000))

        def is_asked() -> bool:
            for _ in range(4):
                assert server.ask(SERVICE, [f"repository:c/{next(numbers)}:pull"], person="bob").status == 200
            return len(other.asked) >= 8

        until(is_asked)
        del settings["shadow_peer"]
        server.config.write_text(yaml.safe_dump(settings))

        def is_quiet() -> bool:
            before, asked = counted(), len(other.asked)
            for _ in range(10):
                assert server.ask(SERVICE, [f"repository:d/{next(numbers)}:pull"], person="bob").status == 200
            time.sleep(0.3)
            return (counted(), len(other.asked)) == (before, asked)

        until(is_quiet)
    server.config.write_text(text)


MIRROR = re.compile(r"^```nginx\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.real("nginx")
def test_copies_of_requests(tmp_path: Path) -> None:
    """As docs/move-side-by-side.md has it: nginx copies what the old server gets. Two servers never ask in a circle.

    Both are servers of this project, and the new one asks the old one through the proxy, which copies that as well.
    """
    page = (Path(__file__).parents[2] / "docs" / "move-side-by-side.md").read_text(encoding="utf-8")
    (text,) = MIRROR.findall(page)
    port = free_port()
    for name in ("old", "new", "proxy"):
        (tmp_path / name).mkdir()
    old_setup = Setup(PEOPLE, {"p.yaml": OLD_POLICY}, {SERVICE: "universal"}, {"server": {"workers": 1}})
    settings = {
        "server": {"workers": 1, "trusted_proxies": ["127.0.0.0/8"]},
        "shadow_peer": {"url": f"http://localhost:{port}/auth", "rate": 100},
    }
    new_setup = Setup(PEOPLE, {"p.yaml": POLICY}, {SERVICE: "universal"}, settings)
    with serving(tmp_path / "old", old_setup) as old, serving(tmp_path / "new", new_setup) as new:
        assert text.count("5001") == text.count("5002") == 1
        locations = text.replace("5001", str(old.port)).replace("5002", str(new.port))
        with nginx(tmp_path / "proxy", locations, port):
            target = web.token_target(SERVICE, ["repository:web/site:pull,delete"]).replace("/token", "/auth", 1)
            answer = web.request(port, "GET", target, headers=web.basic("ann", PEOPLE["ann"]))
            assert answer.status == 200
            until(lambda: len(differences(new)) == 1)
            time.sleep(0.5)
    (event,) = differences(new)
    assert (event["subject"], event["peer_more"], event["peer_less"]) == ("ann", ["delete"], [])
    assert len(old.audit.events()) == 2
    assert len(new.audit.events()) == 2
