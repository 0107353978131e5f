"""A real provider that says what a test wants, oauth2-mock-server: whom its ID tokens let in, and whom they do not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from harness.openid_browser import OpenIdBrowser
from harness.server import Setup, TokenServer, password, serving
from harness.waiting import PATIENCE_SECONDS
from harness.workload_issuer import WorkloadIssuer, workload_issuer

pytestmark = pytest.mark.real("workload-issuer")

POLICY = 'version: 1\nallow:\n  - {id: devs, to: ["group:devs"], repositories: ["web/**"], role: writer}\n'
ANN: dict[str, Any] = {"sub": "1", "preferred_username": "ann.b", "groups": ["devs"]}


@dataclass(frozen=True)
class Hostile:
    """The server and the provider."""

    server: TokenServer
    issuer: WorkloadIssuer

    def log_in(self, **claims: Any) -> tuple[int, str]:
        """A whole login of a new browser; the status and the text of the page that follows."""
        self.issuer.say(**claims)
        browser = OpenIdBrowser()
        page = browser.go(f"{self.server.url}/login/with/mock")
        assert browser.shown.startswith(self.server.url), browser.visited
        assert "code=" not in browser.shown
        return page.status, page.body.decode()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    """Both, running; this server is a public client."""
    with workload_issuer(tmp_path_factory.mktemp("issuer")) as issuer:
        provider = {"name": "mock", "preset": "okta", "issuer": issuer.url, "client_id": "tokenserver"}
        settings = {
            "authentication": [{"htpasswd": {"file": "users.htpasswd"}}, {"oidc": provider}],
            "storage": "state/tokenserver.db",
        }
        setup = Setup({"carl": password()}, {"root.yaml": POLICY}, {"registry.test": "universal"}, settings)
        with serving(tmp_path_factory.mktemp("server"), setup) as server:
            end = time.monotonic() + PATIENCE_SECONDS
            while {server.request("GET", "/login/with/mock").status for _ in range(8)} != {303}:
                assert time.monotonic() < end
                time.sleep(0.2)
            yield Hostile(server, issuer)


def test_a_person(hostile: Hostile) -> None:
    """Is let in; another `sub` with the name is not, and neither is the name of a user of the file."""
    status, text = hostile.log_in(**ANN)
    assert (status, "ann.b" in text) == (200, True)
    status, text = hostile.log_in(**{**ANN, "sub": "2"})
    assert (status, "The name ann.b was somebody else" in text) == (403, True)
    status, text = hostile.log_in(**{**ANN, "sub": "3", "preferred_username": "carl"})
    assert (status, "The name carl is that of another account here." in text) == (403, True)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example.com"},
        {"aud": ["tokenserver", "other"]},
        {"azp": "other"},
        {"nonce": "other"},
        {"typ": "Bearer"},
        {"exp": 1},
        {"iat": 4_000_000_000, "exp": 4_000_000_100},
        {"preferred_username": "robot:ci"},
        {"_claim_names": {"groups": "src1"}},
        {"groups": "devs"},
    ],
    ids=lambda claims: next(iter(claims)),
)
def test_hostile_claims(hostile: Hostile, claims: dict[str, Any]) -> None:
    """Nobody is let in, and the page says so at an address without a code."""
    status, text = hostile.log_in(**{**ANN, **claims})
    assert (status, "Login failed" in text) == (403, True), text
