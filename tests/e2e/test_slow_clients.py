"""Clients that are slow on purpose: five hundred of them take nothing away from the others.

See docs/design/threats.md#fault-27.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from harness import web
from harness.authority import Authority
from harness.crowd import many_files
from harness.proxy import shipped_nginx
from harness.registries import KEEPER
from harness.server import Setup, TokenServer, serving
from harness.slow import PROMPT, SLOW_TLS, good_traffic, slow_clients, slow_kinds

from tokenserver.exchange.admission import MAX_BODIES_PER_CLIENT

pytestmark = pytest.mark.waits

SECONDS = 6.0
REQUESTS = 100
TARGET = web.token_target("registry2.test", ["repository:public/x:pull"])
SLOW = slow_kinds(TARGET)


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server of its own, with two workers."""
    small = replace(setup, people={KEEPER: setup.people[KEEPER]}, settings={"server": {"workers": 2}})
    with serving(tmp_path_factory.mktemp("slow"), small) as server:
        yield server


def good(port: int, servers: Sequence[int], context: ssl.SSLContext | None = None) -> list[tuple[int, float]]:
    """The statuses and times of good clients."""
    return good_traffic(port, TARGET, context, seconds=SECONDS, requests=REQUESTS, servers=servers)


@pytest.mark.alone
@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind) for kind in SLOW])
def test_standalone(server: TokenServer, kind: str) -> None:
    """With nothing in front of the server."""
    servers = [server.daemon.pid]
    with slow_clients(server.port, SLOW[kind], servers=servers):
        found = good(server.port, servers)
        assert server.request("GET", "/healthz").status == 200
    assert [(status, taken) for status, taken in found if status != 200 or taken > PROMPT] == []


@pytest.mark.alone
@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind) for kind in SLOW_TLS])
def test_standalone_with_tls(setup: Setup, tmp_path: Path, kind: str) -> None:
    """With nothing in front of the server, which speaks TLS itself."""
    authority = Authority(tmp_path, "the company")
    people = {KEEPER: setup.people[KEEPER]}
    secure = replace(setup, people=people, tls=authority, settings={"server": {"workers": 2}})
    with serving(tmp_path, secure) as server:
        servers = [server.daemon.pid]
        with slow_clients(server.port, SLOW_TLS[kind], servers=servers):
            found = good(server.port, servers, authority.context())
            assert server.request("GET", "/healthz").status == 200
    assert [(status, taken) for status, taken in found if status != 200 or taken > PROMPT] == []


@pytest.mark.alone
@pytest.mark.real("nginx")
@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind) for kind in SLOW])
def test_behind_a_proxy(server: TokenServer, tmp_path: Path, kind: str) -> None:
    """Behind nginx as deploy/nginx.conf has it."""
    with shipped_nginx(tmp_path, [server.port]) as proxy:
        servers = [server.daemon.pid, proxy.daemon.pid]
        with slow_clients(proxy.port, SLOW[kind], servers=servers):
            found = good(proxy.port, servers)
            assert server.request("GET", "/healthz").status == 200
    assert [(status, taken) for status, taken in found if status != 200 or taken > PROMPT] == []


FORM = b"grant_type=password&username=x&password=y&service=registry2.test"


def post(server: TokenServer) -> web.Answer:
    """A good client that sends a form; its password is wrong, which is an answer like any other."""
    return server.request("POST", "/token", headers=web.FORM, body=FORM)


def test_forms_are_read_beside_slow_ones(server: TokenServer) -> None:
    """As many bodies on their way as a worker takes of one client leave room for those who send theirs at once.

    It may be that one of the two workers has all of them.
    """
    with slow_clients(server.port, SLOW["body"], MAX_BODIES_PER_CLIENT - 20, servers=[server.daemon.pid]):
        assert [post(server).status for _ in range(20)] == [401] * 20


@pytest.fixture
def single(setup: Setup, tmp_path: Path) -> Iterator[TokenServer]:
    """A server with one worker, which has to bear all slow clients alone."""
    small = replace(setup, people={KEEPER: setup.people[KEEPER]}, settings={"server": {"workers": 1}})
    with many_files(), serving(tmp_path, small) as server:
        yield server


def test_bodies_beyond_the_bound_are_turned_away(single: TokenServer) -> None:
    """Who sends a form while too many are on their way is told at once to come again, and GET works as ever."""
    with slow_clients(single.port, SLOW["body"], MAX_BODIES_PER_CLIENT + 20, servers=[single.daemon.pid]):
        # The threads of the slow ones start one after the other.
        answer = next((one for one in (post(single) for _ in range(200)) if one.status != 401), post(single))
        assert (answer.status, answer.headers["retry-after"]) == (503, ["1"])
        assert single.request("GET", TARGET).status == 200
