"""Two servers over the same files behind nginx: either of them may be restarted, killed or stopped at any time."""

from __future__ import annotations

import signal
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from harness import web
from harness.authority import Authority
from harness.proxy import shipped_nginx
from harness.registries import KEEPER
from harness.replica import Replica, asking, replica
from harness.server import Setup, TokenServer, serving

pytestmark = [pytest.mark.real("nginx"), pytest.mark.waits]

SERVICE = "registry3.test"
TARGET = web.token_target(SERVICE, ["repository:public/x:pull"])
PAUSE = 3.0
"""Between two restarts: nginx counts in whole seconds, and looks again after more than one whether a server is back."""


@pytest.fixture(scope="module")
def servers(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TokenServer, Replica]]:
    """Two of them with one worker each."""
    settings = {"server": {"workers": 1, "trusted_proxies": ["127.0.0.1/32"]}}
    small = replace(setup, people={KEEPER: setup.people[KEEPER]}, settings=settings)
    with (
        serving(tmp_path_factory.mktemp("first"), small) as first,
        replica(first, tmp_path_factory.mktemp("second")) as second,
    ):
        yield first, second


@pytest.mark.parametrize("restarts", [4, pytest.param(10, marks=pytest.mark.nightly)])
def test_a_rolling_restart_is_not_seen(restarts: int, servers: tuple[TokenServer, Replica], tmp_path: Path) -> None:
    """Restarts in turn under load, and not a single answer but 200 (docs/design/threats.md#fault-22)."""
    first, second = servers
    with shipped_nginx(tmp_path, [first.port, second.port]) as proxy, asking(proxy.port, TARGET) as found:
        for number in range(restarts):
            one = servers[number % 2]
            one.daemon.signal(signal.SIGTERM)
            assert one.daemon.wait(25) == 0
            one.daemon.start(one.is_ready)
            time.sleep(PAUSE)
    assert [one for one in found if one != 200] == []
    assert len(found) > 100


def test_both_give_tokens_of_the_same_keys(servers: tuple[TokenServer, Replica]) -> None:
    """A registry cannot tell which of them signed."""
    answers = [web.request(one.port, "GET", "/.well-known/jwks.json") for one in servers]
    assert answers[0].body == answers[1].body


def test_one_that_is_killed_is_not_missed(servers: tuple[TokenServer, Replica], tmp_path: Path) -> None:
    """Whoever was asking it is asked again at the other one, by nginx."""
    first, second = servers
    with shipped_nginx(tmp_path, [first.port, second.port]) as proxy, asking(proxy.port, TARGET) as found:
        time.sleep(0.5)
        second.daemon.signal(signal.SIGKILL)
        second.daemon.wait(5)
        time.sleep(3)
        second.daemon.stop()  # what it had started
        second.daemon.start(second.is_ready)
    assert [one for one in found if one != 200] == []
    assert len(found) > 50


def test_the_client_is_who_nginx_says(servers: tuple[TokenServer, Replica], tmp_path: Path) -> None:
    """What a client claims about its own address is not passed on."""
    first, _ = servers
    mark = first.audit.mark()
    with shipped_nginx(tmp_path, [first.port]) as proxy:
        answer = web.request(proxy.port, "GET", TARGET, headers={"X-Forwarded-For": "192.0.2.7"})
    assert answer.status == 200
    assert [event.fields["client"] for event in first.audit.events(mark)] == ["127.0.0.1"]


def test_with_tls_as_it_is_shipped(servers: tuple[TokenServer, Replica], tmp_path: Path) -> None:
    """With a certificate, a request line of 1,000 scopes passes, and the answer comes as it was given."""
    authority = Authority(tmp_path, "the company")
    scopes = [f"repository:public/{'x' * 18}{number:03}:pull" for number in range(1000)]
    with shipped_nginx(tmp_path, [servers[0].port], authority) as proxy:
        url = f"https://localhost:{proxy.port}{web.token_target(SERVICE, scopes)}"
        with urllib.request.urlopen(url, context=authority.context(), timeout=10) as answer:
            assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
