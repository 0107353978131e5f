"""A caching proxy in front of the server: no answer of the token endpoint is ever kept for the next client."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from harness import web
from harness.proxy import Nginx, nginx
from harness.registries import KEEPER
from harness.server import ANONYMOUS, TokenServer

SERVICE = "registry2.test"

# A careless cache: any 200 for an hour, the same for everybody.
LOCATIONS = """\
    proxy_cache tokens;
    proxy_cache_key $request_uri;
    proxy_cache_methods GET HEAD POST;
    proxy_cache_valid any 1h;
    add_header X-Cache $upstream_cache_status always;
    location / {{ proxy_pass http://127.0.0.1:{server}; }}
    location /control {{ proxy_pass http://127.0.0.1:{control}; }}
"""


class Control(BaseHTTPRequestHandler):
    """Answers without a word about caching."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        """Keep quiet."""


@pytest.fixture(scope="module")
def control() -> Iterator[int]:
    """The port of a server whose answers may be cached."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Control) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def cache(tokenserver: TokenServer, control: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """The careless cache in front of the server."""
    locations = LOCATIONS.format(server=tokenserver.port, control=control)
    with nginx(tmp_path_factory.mktemp("cache"), locations) as proxy:
        yield proxy


def test_the_cache_does_cache(cache: Nginx) -> None:
    """What says nothing about caching is kept; without this the tests below would show nothing."""
    answers = [web.request(cache.port, "GET", "/control") for _ in range(2)]
    assert [answer.header("x-cache") for answer in answers] == ["MISS", "HIT"]


def test_nobody_gets_the_token_of_another(cache: Nginx, tokenserver: TokenServer) -> None:
    """The same request by different people, through the same cache: everybody gets a token of their own, every time."""
    target = web.token_target(SERVICE, ["repository:web/x:pull,push"])
    people = ["ann", "ben", ANONYMOUS, KEEPER, "ann", ANONYMOUS]
    answers = [
        web.request(cache.port, "GET", target, headers=web.basic(person, tokenserver.people[person]) if person else {})
        for person in people
    ]
    claims = [web.claims(answer.json()["token"]) for answer in answers]
    assert [one["sub"] for one in claims] == people
    assert len({one["jti"] for one in claims}) == len(people)
    assert "HIT" not in {answer.header("x-cache") for answer in answers}


def test_a_refusal_is_not_kept(cache: Nginx, tokenserver: TokenServer) -> None:
    """A wrong password must not lock out the right one that follows, nor a right one let a wrong one in."""
    target = web.token_target(SERVICE, ["repository:web/y:pull"])
    passwords = ["wrong", tokenserver.people["ann"], "wrong"]
    answers = [web.request(cache.port, "GET", target, headers=web.basic("ann", password)) for password in passwords]
    assert [answer.status for answer in answers] == [401, 200, 401]


def test_a_post_is_not_kept(cache: Nginx, tokenserver: TokenServer) -> None:
    """Forms go to the same address whoever sends them."""
    statuses = []
    for person, password in (("ann", tokenserver.people["ann"]), ("ann", "wrong"), ("ben", tokenserver.people["ben"])):
        form = web.form(grant_type="password", client_id="t", service=SERVICE, username=person, password=password)
        answer = web.request(cache.port, "POST", "/token", headers=web.FORM, body=form)
        statuses.append((answer.status, answer.header("x-cache")))
    assert [status for status, _ in statuses] == [200, 401, 200]
    assert "HIT" not in {cached for _, cached in statuses}
