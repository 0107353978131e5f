"""The page at `/`: HTML for people, JSON for programs, and nothing that is not public."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from tests_web_server import POLICY, Server

from tokenserver import __version__
from tokenserver.web.application import status_of, token_endpoint
from tokenserver.web.routes import create_app
from tokenserver.web.status.front_page import as_html

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        pytest.param(FIREFOX, "text/html; charset=utf-8", id="Firefox"),
        pytest.param(CHROMIUM, "text/html; charset=utf-8", id="Chromium"),
        pytest.param("text/html", "text/html; charset=utf-8", id="HTML alone"),
        pytest.param("*/*", "application/json", id="curl"),
        pytest.param(None, "application/json", id="no header"),
        pytest.param("application/json", "application/json", id="JSON"),
        pytest.param("application/json, text/html;q=0.5", "application/json", id="rather JSON"),
        pytest.param("image/png", "application/json", id="neither"),
        pytest.param("text/html;q=0", "application/json", id="no HTML"),
        pytest.param(",;=;q=x,", "application/json", id="nonsense"),
    ],
)
def test_who_gets_what(server: Server, accept: str | None, expected: str) -> None:
    """HTML for a client that names it and prefers it; a cache must tell the two apart."""
    response = server.client.get("/", headers={} if accept is None else {"Accept": accept})
    assert (response.status_code, response.headers["Content-Type"]) == (200, expected)
    assert response.headers["Vary"] == "Accept"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "X-Request-Id" in response.headers


def test_json(server: Server) -> None:
    """What a program may want to know; paths are relative, since a proxy may have the server below one."""
    assert server.client.get("/").get_json() == {
        "name": "tokenserver",
        "about": "This server issues short-lived tokens for container registries.",
        "ready": True,
        "token_endpoint": "./token",
        "pages": ["healthz", "readyz", "ca.pem", ".well-known/jwks.json"],
        "specification": "https://distribution.github.io/distribution/spec/auth/token/",
    }


def test_a_browser_runs_nothing_of_it(server: Server) -> None:
    """Nothing may be loaded, framed or sent, and the style is allowed by its hash (CSP Level 3, section 8.4)."""
    response = server.client.get("/", headers={"Accept": FIREFOX})
    (style,) = re.findall(r"<style>(.*?)</style>", response.get_data(as_text=True), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert response.headers["Content-Security-Policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert not re.search(r"<script|<img|<link|<iframe|\bon\w+=|style=|javascript:", response.get_data(as_text=True))


class _Tags(HTMLParser):
    """Notes the tags that are open, and the links."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)
        self.links += [value for name, value in attrs if name == "href" and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_its_links_lead_somewhere(server: Server) -> None:
    """Every tag is closed, and each page of this server that it links to is there."""
    tags = _Tags()
    tags.feed(server.client.get("/", headers={"Accept": FIREFOX}).get_data(as_text=True))
    assert tags.open == []
    own = [link for link in tags.links if "://" not in link]
    assert len(own) == 4
    assert [server.client.get(f"/{link}").status_code for link in own] == [200] * 4


@pytest.mark.parametrize("accept", [FIREFOX, "*/*"])
def test_it_says_nothing_that_is_not_public(server: Server, accept: str) -> None:
    """Neither the version, nor registries, users and rules, nor anything of the request."""
    headers = {"Accept": accept, "Host": "evil.example", "User-Agent": "evil-agent"}
    text = server.client.get("/?evil=query", headers=headers).get_data(as_text=True)
    rules = re.findall(r"id: ([\w-]+)", POLICY)
    assert rules
    private = {"evil", "ann", "reg", *rules} - {"public"}  # it has "public keys"
    assert not private & set(re.findall(r"[\w-]+", text))
    assert __version__ not in text


@pytest.mark.parametrize(("accept", "words"), [(FIREFOX, "Up, but not ready; see /readyz"), ("*/*", '"ready": false')])
def test_a_server_that_is_not_ready_says_so(server: Server, accept: str, words: str) -> None:
    """With 200: the page is there, and `/readyz` is what is to be asked by programs."""
    broken = replace(status_of(server.parts), readiness=lambda: {"keys": None, "policies": "secret detail"})
    response = create_app(token_endpoint(server.parts), broken).test_client().get("/", headers={"Accept": accept})
    text = response.get_data(as_text=True)
    assert (response.status_code, words in text, "secret" in text) == (200, True, False)
    assert "Up and ready" in as_html(is_ready=True)


def test_head_and_other_methods(server: Server) -> None:
    """HEAD has the headers without the body; whatever would change something is 405 with `Allow`."""
    head = server.client.head("/", headers={"Accept": FIREFOX})
    assert (head.status_code, head.data, head.headers["Content-Type"]) == (200, b"", "text/html; charset=utf-8")
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        response = server.client.open("/", method=method)
        assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")
