"""The shadow peer of a server: what its settings become, its faults, and the way from a request to an event."""

from __future__ import annotations

import base64
import threading
import time
from pathlib import Path

import pytest
from fake_peer import FakePeer, body, entry, fake_peer
from tests_web_server import PASSWORDS, Lines, make_server, server_folder

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.config.sources.shadow_peer import ShadowPeerSettings
from tokenserver.errors import LoadError
from tokenserver.exchange.peer.observer import THREADS
from tokenserver.server.compose import build
from tokenserver.server.exchanges.peer import peer_context, shadow_peer
from tokenserver.web.application import application, load_application

__all__ = ["server_folder"]


@pytest.fixture
def settings(server_folder: Path) -> Settings:
    """Those of a server without a peer."""
    make_server(server_folder)
    return load_settings(server_folder / "tokenserver-True-1.yaml", {})


def with_peer(settings: Settings, **peer: object) -> Settings:
    """The same with this peer, and two workers."""
    section = ShadowPeerSettings.model_validate({"url": "https://old.example.com/auth", **peer})
    server = settings.server.model_copy(update={"workers": 2})
    return settings.model_copy(update={"shadow_peer": section, "server": server})


def test_none(settings: Settings) -> None:
    """Without the key there is no observer, no TLS context and no thread."""
    assert (peer_context(settings), shadow_peer(settings, print, print)) == (None, None)
    assert build(settings, sink=Lines()).shadow_peer is None


def test_settings(settings: Settings) -> None:
    """The rate is that of all threads of all workers together."""
    peer = shadow_peer(with_peer(settings, rate=8, deadline=7, failed_logins=True), print, print)
    assert peer is not None
    address = peer._peer
    assert (address.url, address.deadline, address.failed_logins) == ("https://old.example.com/auth", 7, True)
    assert address.interval == THREADS * 2 / 8


def test_a_faulty_ca_file(settings: Settings, tmp_path: Path) -> None:
    """It is one of the faults of the start."""
    (tmp_path / "ca.pem").write_text("no certificate")
    for file in ("ca.pem", "missing.pem"):
        with pytest.raises(LoadError, match=file.replace(".", r"\.")):
            build(with_peer(settings, ca_file=tmp_path / file), sink=Lines())


def test_from_a_request_to_an_event(settings: Settings) -> None:
    """The answer does not wait, and the difference is in the audit log. GET and POST are the same question."""
    with fake_peer() as peer:
        peer.reply = lambda asked: (200, body([entry(asked.parameters["scope"][0].split(":")[1], "pull")]))
        lines = Lines()
        parts = build(with_peer(settings, url=peer.url, rate=100), sink=lines)
        client = application(parts).test_client()
        stop = parts.watch()
        try:
            encoded = base64.b64encode(f"ann:{PASSWORDS['ann']}".encode()).decode()
            query = "service=reg&scope=repository:team/a:pull,push"
            answer = client.get(f"/token?{query}", headers={"Authorization": f"Basic {encoded}"})
            assert answer.status_code == 200
            form = {
                "grant_type": "password",
                "service": "reg",
                "scope": "repository:team/b:pull,push",
                "client_id": "x",
            }
            answer = client.post("/token", data={**form, "username": "ann", "password": PASSWORDS["ann"]})
            assert answer.status_code == 200
            _wait_for(lines, peer)
        finally:
            stop.set()
    events = {event["resource"]: event for event in lines.events if event["event"] == "peer_difference"}
    assert sorted(events) == ["repository:team/a", "repository:team/b"]
    for event in events.values():
        assert (event["peer_more"], event["peer_less"], event["subject"]) == ([], ["push"], "ann")
    exchanges = {event["request_id"] for event in lines.events if event["event"] == "exchange"}
    assert {event["request_id"] for event in events.values()} == exchanges
    assert [asked.login for asked in peer.asked] == [("ann", PASSWORDS["ann"])] * 2


def threads(wanted: int) -> int:
    """The threads that ask a peer, as soon as there are as many as wanted."""
    end = time.monotonic() + 10
    while (found := sum(one.name == "shadow-peer" for one in threading.enumerate())) != wanted:
        if time.monotonic() > end:
            break
        time.sleep(0.02)
    return found


def test_threads_come_and_go_with_the_settings(settings: Settings) -> None:
    """A change of the peer replaces them, one of another key does not add any, and none outlives the server."""
    with fake_peer() as first, fake_peer() as second:
        server = load_application(with_peer(settings, url=first.url), sink=Lines())
        try:
            assert threads(THREADS) == THREADS
            server.apply(with_peer(settings, url=first.url).model_copy(update={"token_reuse": 0}))
            server.apply(with_peer(settings, url=second.url))
            assert threads(THREADS) == THREADS
            encoded = base64.b64encode(f"ann:{PASSWORDS['ann']}".encode()).decode()
            client = server.flask.test_client()
            assert client.get("/token?service=reg", headers={"Authorization": f"Basic {encoded}"}).status_code == 200
            second.wait()
            assert first.asked == []
            server.apply(settings)
            assert threads(0) == 0
            server.apply(with_peer(settings, url=first.url))
            assert threads(THREADS) == THREADS
        finally:
            server.finish()
        assert threads(0) == 0


def _wait_for(lines: Lines, peer: FakePeer) -> None:
    peer.wait(2)
    end = time.monotonic() + 10
    while len([event for event in lines.events if event["event"] == "peer_difference"]) < 2:
        assert time.monotonic() < end
        time.sleep(0.01)
