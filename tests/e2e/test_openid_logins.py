"""People who log in at a real OpenID provider, dex, and what works with their credentials afterwards."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import canaries
import pytest
from harness import web
from harness.dex import Dex, dex
from harness.json_lines import whole_lines
from harness.openid_browser import OpenIdBrowser
from harness.processes import free_port, run
from harness.server import Setup, TokenServer, password, started
from harness.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.real("dex")

SERVICE = "registry.test"
AUTHOR = "kilgore@kilgore.trout"
"""Whom the connector `mock` of dex logs in; it is in the group `authors`."""

POLICIES = """\
version: 1
allow:
  - {id: authors, to: ["group:authors"], repositories: ["web/**"], role: writer}
  - {id: builder, to: ["user:builder@example.com"], repositories: ["ci/**"], role: reader, when: {kind: [oidc, key]}}
"""


@dataclass(frozen=True)
class Site:
    """A server, and the dex at which people log in."""

    server: TokenServer
    dex: Dex

    def begin(self, browser: OpenIdBrowser, connector: str = "mock") -> str:
        """The URL of dex to which the login page leads, for a connector of it."""
        page = browser.go(f"{self.server.url}/login")
        assert b"/login/with/dex" in page.body
        browser.go(f"{self.server.url}/login/with/dex?next=/account", until="/dex/auth")
        return f"{browser.shown}&connector_id={connector}"

    def log_in(self, browser: OpenIdBrowser) -> web.Answer:
        """Log in as the author; the page that follows."""
        return browser.go(self.begin(browser))

    def key(self, user: str) -> str:
        """A new access key of a person who has logged in."""
        command = self.server.command("access-keys", "create", "--user", user, "--json", "--config", self.server.config)
        output = run(command, environment=self.server.environment, folder=self.server.folder)
        assert output.ok, str(output)
        found = re.search(r"tknp_[0-9A-Za-z]{61}", output.text)
        assert found is not None
        canaries.know(found[0])
        return found[0]

    def logins(self) -> list[dict[str, Any]]:
        """The audit events about browser logins."""
        return [line for line in whole_lines(self.server.daemon.stdout) if line["event"] == "browser_login"]

    def token(self, user: str, key: str, scope: str) -> web.Answer:
        """A token request as docker sends it, with a key in place of a password."""
        return self.server.request("GET", web.token_target(SERVICE, [scope]), headers=web.basic(user, key))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Both, running; each knows the other's address from its configuration."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    provider = {
        "name": "dex",
        "preset": "dex",
        "issuer": f"http://localhost:{port}/dex",
        "client_id": "tokenserver",
        "client_secret_file": "oidc-secret",
        "subject": "email",
        "recheck": "1m",
        "cache": "0s",
    }
    settings = {
        "authentication": [{"htpasswd": {"file": "users.htpasswd"}}, {"oidc": provider}],
        "storage": "state/tokenserver.db",
        "access_keys": {},
        "refresh_tokens": {},
    }
    secret = folder / "oidc-secret"
    secret.touch(mode=0o600)
    setup = Setup({"ann": password()}, {"root.yaml": POLICIES}, {SERVICE: "universal"}, settings)
    server = TokenServer(folder, setup)
    redirects = [f"{server.url}/login/callback/dex"]
    with dex(tmp_path_factory.mktemp("dex"), ["tokenserver"], port=port, redirects=redirects) as running:
        secret.write_text(running.client_secret)
        canaries.know(running.client_secret)
        try:
            with started(server):
                _wait_for_keys(server)
                yield Site(server, running)
        finally:
            for file in (server.daemon.stdout, server.daemon.stderr):
                canaries.watch(file.read_bytes(), "the server's output")


def _wait_for_keys(server: TokenServer) -> None:
    """Until the workers have fetched dex's document."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        answers = {server.request("GET", "/login/with/dex").status for _ in range(8)}
        if answers == {303}:
            return
        time.sleep(0.2)
    raise AssertionError(answers)


def test_a_login_and_a_key(site: Site) -> None:
    """Browser, dex, and back; then docker's token request with a key of that person, with the groups of dex."""
    browser = OpenIdBrowser()
    page = site.log_in(browser)
    assert page.status == 200
    assert AUTHOR.encode() in page.body
    assert browser.shown == f"{site.server.url}/account"
    assert [(one["outcome"], one["subject"], one["source"]) for one in site.logins()] == [("logged_in", AUTHOR, "dex")]
    key = site.key(AUTHOR)
    answer = site.token(AUTHOR, key, "repository:web/site:pull,push")
    assert answer.status == 200, answer
    (access,) = web.claims(answer.json()["token"])["access"]
    assert (access["name"], access["actions"]) == ("web/site", ["pull", "push"])
    assert web.claims(answer.json()["token"])["sub"] == AUTHOR
    listed = site.server.run("people", "list", "--config", site.server.config).text
    assert re.search(rf"^dex +{re.escape(AUTHOR)} .* authors$", listed, re.MULTILINE), listed


def test_a_password_at_the_provider(site: Site) -> None:
    """A form of dex in between; another person, in no group."""
    browser = OpenIdBrowser()
    form = browser.go(site.begin(browser, "local"))
    page = browser.submit(form, login="builder@example.com", password=site.dex.password)
    assert (page.status, browser.shown) == (200, f"{site.server.url}/account")
    key = site.key("builder@example.com")
    answer = site.token("builder@example.com", key, "repository:ci/x:pull")
    assert [one["name"] for one in web.claims(answer.json()["token"])["access"]] == ["ci/x"]
    denied = site.token("builder@example.com", key, "repository:web/site:pull")
    assert web.claims(denied.json()["token"])["access"] == []


def test_the_doctor(site: Site) -> None:
    """It finds nothing to fix at dex, which has no back-channel logout."""
    command = site.server.command("doctor", "--json", "--config", site.server.config)
    output = run(command, environment=site.server.environment, folder=site.server.folder)
    found = [(one["check"], one["ok"]) for one in json.loads(output.stdout) if one["check"].startswith("provider")]
    assert found == [
        ("provider", True),
        ("provider client", True),
        ("provider login", True),
        ("provider logout", None),
    ]


def test_an_answer_works_once(site: Site) -> None:
    """Nobody gets anywhere with an address from the history of a browser, not even the same browser."""
    browser = OpenIdBrowser()
    browser.go(site.begin(browser), until="/login/callback/dex")
    back, thief = browser.shown, OpenIdBrowser()
    stolen = thief.go(back)
    assert (stolen.status, thief.shown) == (403, f"{site.server.url}/login/failed")
    assert b"was not begun in this browser" in stolen.body
    jar = {host: dict(cookies) for host, cookies in browser.cookies.items()}
    assert browser.go(back).status == 200
    replayed = OpenIdBrowser(cookies=jar)
    assert replayed.go(back).status == 403


def test_forged_answers(site: Site) -> None:
    """Another state, another issuer, an error, and a code that dex does not know: each is a page, with a clean URL."""
    for changes, text in [
        ({"state": "forged"}, b"was not begun in this browser"),
        ({"iss": "https://evil.example.com"}, b"was not accepted"),
        ({"error": "access_denied"}, b"the error access_denied"),
        ({"code": "unknown"}, b"was not begun in this browser"),
    ]:
        browser = OpenIdBrowser()
        browser.go(site.begin(browser), until="/login/callback/dex")
        sent = {"state": browser.parameter("state"), "code": browser.parameter("code"), **changes}
        page = browser.go(f"{site.server.url}/login/callback/dex?{urlencode(sent)}")
        assert (page.status, browser.shown) == (403, f"{site.server.url}/login/failed")
        assert text in page.body, page.body
    reasons = {one["reason"] for one in site.logins() if "reason" in one}
    assert "the state is that of another login" in reasons
    assert "the answer is that of another issuer" in reasons


def test_no_other_way_in(site: Site) -> None:
    """An ID token of dex is no password, and a person of dex has none here."""
    token = site.dex.id_token("tokenserver")
    for secret in (token, site.dex.password):
        assert site.token("builder@example.com", secret, "repository:ci/x:pull").status == 401


def test_a_logout(site: Site) -> None:
    """The session ends here."""
    browser = OpenIdBrowser()
    page = site.log_in(browser)
    form = re.search(rb'name="form" value="([^"]*)"', page.body)
    assert form is not None
    browser.go(f"{site.server.url}/logout", {"form": form[1].decode()})
    assert browser.go(f"{site.server.url}/account").status == 200
    assert browser.shown.startswith(f"{site.server.url}/login")
