"""Forwarding headers that a client forges: none of them reaches a decision, direct or through real proxies.

A name with an underscore is another name than the one with hyphens, though CGI spells both alike. Go's net/http sends
headers sorted by name, so the client's `X_Forwarded_For` arrives after the `X-Forwarded-For` of a proxy in Go.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import pytest
from harness import web
from harness.processes import Daemon, answers, free_port, plain_environment
from harness.programs import need
from harness.proxy import nginx
from harness.registries import KEEPER
from harness.server import ISSUER, Setup, TokenServer, serving

SERVICE = "registry2.test"
INSIDE = "127.0.0.77"
"""The only address from which the policy lets anybody pull `inside/x`; `known/x` is for every address but bad ones."""
OUTSIDE = "127.0.0.9"
FAR = "203.0.113.9"

POLICY = f"""\
version: 1
allow:
  - {{id: inside, to: [everyone], repositories: ["inside/**"], actions: [pull], when: {{from: [{INSIDE}/32]}}}}
  - {{id: known, to: [everyone], repositories: ["known/**"], actions: [pull]}}
deny:
  - {{id: bad-net, to: [everyone], repositories: ["known/**"], actions: [pull], when: {{from: [198.51.100.0/24]}}}}
"""

TRIES = 12
SOURCES = {"direct": 1, "nginx": 2, "go": 3}
ADDRESS_LIMIT = 4


class Outcome(NamedTuple):
    """What one request came to, and whose the audit event says it was."""

    status: int
    granted: frozenset[str]
    client: str | None


@dataclass(frozen=True)
class Way:
    """A way to the server at `port`. Where `is_bare`, the test itself is the proxy, and says who the client is."""

    name: str
    server: TokenServer
    port: int
    protocol: str = "http"

    @property
    def is_bare(self) -> bool:
        return self.name == "direct"

    def ask(self, source: str, *lines: str, before: Sequence[str] = ()) -> Outcome:
        """Ask for a token as a client at `source`; see `get`."""
        mark = self.server.audit.mark()
        target = web.token_target(SERVICE, ["repository:inside/x:pull", "repository:known/x:pull"])
        status, _ = self.get(target, source, *lines, before=before)
        (event,) = self.server.audit.events(mark)
        return Outcome(status, event.granted, event.fields["client"])

    def get(self, target: str, source: str, *lines: str, before: Sequence[str] = ()) -> tuple[int, bytes]:
        """The status and the whole of the answer to a client at `source`, which is any address where it is no loopback
        one: a trusted proxy on this machine names it then. `before` stand in front of what proxies say, `lines` behind.
        """
        is_told = self.is_bare or not source.startswith("127.")
        told = [f"X-Forwarded-For: {source}"] if is_told else []
        told += [f"X-Forwarded-Proto: {self.protocol}"] if self.is_bare else []
        head = [f"GET {target} HTTP/1.1", "Host: localhost", "Connection: close", *before, *told, *lines, "", ""]
        answer = talk(self.port, "127.0.0.1" if is_told else source, "\r\n".join(head).encode("latin-1"))
        return int(answer.split(b" ", 2)[1]), answer


def talk(port: int, source: str, data: bytes) -> bytes:
    """All that comes back for these bytes, sent from this loopback address."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source, 0)) as connection:
        connection.sendall(data)
        while part := connection.recv(65536):
            received += part
    return received


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server that trusts one proxy, on this machine."""
    settings = {
        "server": {"workers": 1, "trusted_proxies": ["127.0.0.1/32"]},
        "throttle": {"enabled": True, "failures_per_address": ADDRESS_LIMIT},
    }
    people = {KEEPER: setup.people[KEEPER]}
    made = replace(setup, people=people, policies={"root.yaml": POLICY}, settings=settings)
    with serving(tmp_path_factory.mktemp("forged"), made) as server:
        yield server


@pytest.fixture(scope="module")
def ways(server: TokenServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Way]]:
    """Gives each way, started at the first call."""
    with ExitStack() as stack:
        known: dict[str, Way] = {}

        def behind_nginx(folder: Path) -> int:
            # As careless as it gets: by default nginx drops names with an underscore.
            forwarded = "X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto http"
            location = (
                "underscores_in_headers on; "
                f"location / {{ proxy_set_header {forwarded}; proxy_pass http://127.0.0.1:{server.port}; }}"
            )
            return stack.enter_context(nginx(folder, location)).port

        def behind_go(folder: Path) -> int:
            port = free_port()
            (folder / "tmp").mkdir()
            command: list[str | Path] = [
                *(need("go-proxy"), f"127.0.0.1:{port}", f"http://127.0.0.1:{server.port}", "http")
            ]
            daemon = Daemon("go-proxy", command, environment=plain_environment(folder), folder=folder)
            stack.callback(daemon.stop)
            daemon.start(lambda: answers(port))
            return port

        def way(name: str) -> Way:
            if name not in known:
                folder = tmp_path_factory.mktemp("proxy")
                port = {"direct": lambda _: server.port, "nginx": behind_nginx, "go": behind_go}[name](folder)
                known[name] = Way(name, server, port)
            return known[name]

        yield way


@pytest.fixture(
    params=[
        pytest.param("direct", id="direct"),
        pytest.param("nginx", marks=pytest.mark.real("nginx"), id="nginx"),
        pytest.param("go", marks=pytest.mark.real("go-proxy"), id="go"),
    ]
)
def way(request: pytest.FixtureRequest, ways: Callable[[str], Way]) -> Way:
    """Each way in turn."""
    return ways(request.param)


KNOWN = frozenset({"repository:known/x:pull"})
BOTH = frozenset({"repository:inside/x:pull", "repository:known/x:pull"})


def test_the_true_address_decides(way: Way) -> None:
    """The condition holds for the client that is inside, so that the tests below can fail."""
    assert way.ask(INSIDE) == (200, BOTH, INSIDE)
    assert way.ask(OUTSIDE) == (200, KNOWN, OUTSIDE)


FORGED = [
    *("X_Forwarded_For", "X_Forwarded-For", "X-Forwarded_For", "x_forwarded_for", "X_FORWARDED_FOR"),
    *("HTTP_X_FORWARDED_FOR", "_X-Forwarded-For", "X-Forwarded-For_", "Forwarded_For", "REMOTE_ADDR"),
    *("Remote-Addr", "X-Real-IP", "X_Real_IP", "Client-IP", "True-Client-IP", "Forwarded", "X-Forwarded", "Via"),
]


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_name_never_becomes_the_address(way: Way, name: str) -> None:
    """Before or after what the proxy says: policy and audit event go by the address that the proxy saw."""
    line = f"{name}: {INSIDE}"
    assert way.ask(OUTSIDE, line) == (200, KNOWN, OUTSIDE)
    assert way.ask(OUTSIDE, before=[line]) == (200, KNOWN, OUTSIDE)
    assert way.ask(INSIDE, f"{name}: {OUTSIDE}") == (200, BOTH, INSIDE)


def test_all_spellings_at_once(way: Way) -> None:
    """Also when one request brings every one of them."""
    lines = [f"{name}: {INSIDE}" for name in FORGED]
    assert way.ask(OUTSIDE, *lines, before=lines) == (200, KNOWN, OUTSIDE)


@pytest.mark.parametrize(
    "name", ["X_Forwarded_Proto", "X_Forwarded-Proto", "X-Forwarded_Proto", "X_FORWARDED_PROTO", "X-Forwarded-Ssl"]
)
def test_a_forged_protocol_lifts_nothing(way: Way, name: str) -> None:
    """A client on another machine came in clear text, and the proxy said so: 403, whatever the client says."""
    line = f"{name}: https"
    assert way.ask(FAR, line) == (403, frozenset(), FAR)
    assert way.ask(FAR, before=[line]) == (403, frozenset(), FAR)


@pytest.mark.parametrize("entry", ["unknown", "", "_hidden", "10.0.0", f'"{INSIDE}"', f"{INSIDE};", "\xff"])
def test_an_entry_that_is_no_address_is_an_unknown_client(server: TokenServer, entry: str) -> None:
    """A trusted proxy that names no address: neither its own nor one farther left counts; conditions fail closed."""
    secure = Way("direct", server, server.port, "https")
    for value in (entry, f"{INSIDE}, {entry}", f"{INSIDE}, {entry}, 127.0.0.1"):
        assert secure.ask(value) == (200, frozenset(), None)
        assert replace(secure, protocol="http").ask(value) == (403, frozenset(), None)


def test_a_forged_address_does_not_evade_the_throttle(way: Way) -> None:
    """A client that brings another `X_Forwarded_For` with each guess is still one address."""
    source = f"127.1.0.{SOURCES[way.name]}"
    statuses = [
        way.ask(
            source,
            f"X_Forwarded_For: 10.0.0.{number}",
            f"Authorization: {web.basic(f'{way.name}-{number}', 'wrong')['Authorization']}",
        ).status
        for number in range(TRIES)
    ]
    assert statuses == [401] * ADDRESS_LIMIT + [429] * (TRIES - ADDRESS_LIMIT)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        pytest.param([], 200, id="nothing"),
        pytest.param(["Content_Length: 3"], 200, id="Content_Length"),
        pytest.param(["Content_Type: text/plain"], 200, id="Content_Type"),
        pytest.param(["Transfer_Encoding: identity"], 200, id="Transfer_Encoding"),
        pytest.param(["HTTP_AUTHORIZATION: Basic eDp5"], 200, id="HTTP_AUTHORIZATION"),
        pytest.param(["Authorization_: Basic eDp5"], 200, id="Authorization_"),
        pytest.param(["Authorization: Basic eDp5"], 401, id="another Authorization"),
        pytest.param(["Authorization: \xff"], 401, id="an Authorization that is not ASCII"),
    ],
)
def test_no_other_header_is_forged_either(server: TokenServer, lines: list[str], status: int) -> None:
    """A good form with them beside it means what it means without them."""
    body = web.form(
        grant_type="password", client_id="t", service=SERVICE, username=KEEPER, password=server.people[KEEPER]
    )
    own = ["POST /token HTTP/1.1", "Host: localhost", "Connection: close"]
    own += [f"Content-Length: {len(body)}", "Content-Type: application/x-www-form-urlencoded"]
    text = "\r\n".join([*own, *lines, "", ""]).encode("latin-1")
    assert int(talk(server.port, "127.0.9.1", text + body).split(b" ", 2)[1]) == status


@pytest.mark.parametrize("name", ["Transfer_Encoding", "X-Transfer_Encoding"])
def test_a_forged_coding_does_not_hide_a_bad_one(server: TokenServer, name: str) -> None:
    """Two codings are 400 however a third name is spelled, so that no proxy disagrees about where the request ends."""
    codings = "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked"
    text = f"POST /token HTTP/1.1\r\nHost: x\r\n{codings}\r\n{name}: chunked\r\n\r\n0\r\n\r\n"
    received = web.raw(server.port, text)
    assert (received.statuses, received.closed) == ([400], True)


LINKS = [
    *("X-Forwarded-Host", "X_Forwarded_Host", "X-Forwarded-Prefix", "X_Forwarded_Prefix", "X-Forwarded-Port"),
    *("Script-Name", "Forwarded", "X-Original-URL", "X-Rewrite-URL"),
]


@pytest.mark.parametrize("name", LINKS)
def test_nothing_of_an_answer_comes_from_a_header(way: Way, name: str) -> None:
    """Realm, links and challenge are the configured ones, and no prefix moves the endpoints.

    See docs/design/threats.md#threat-92.
    """
    lines = [f"{name}: /evil.example", "SCRIPT_NAME: /evil.example", "PATH_INFO: /evil.example"]
    for target, status in (("/token?service=nobody", 400), ("/nothing", 404), ("/healthz", 200), ("/readyz", 200)):
        found, answer = way.get(target, OUTSIDE, *lines)
        assert (found, b"evil" in answer) == (status, False)
    wrong = f"Authorization: {web.basic('ann', 'wrong')['Authorization']}"
    source = f"127.2.{LINKS.index(name)}.{SOURCES[way.name]}"  # of its own, so that no throttle answers
    found, answer = way.get(web.token_target(SERVICE), source, wrong, *lines)
    assert (found, b"evil" in answer) == (401, False)
    assert f'realm="{ISSUER}"'.encode() in answer
