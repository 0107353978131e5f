"""oidc-provider, a certified OpenID provider, behind a proxy that misbehaves as told, and people who log in at it."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import canaries

from harness import web
from harness.faultproxy import FaultProxy, faulty
from harness.openid_browser import OpenIdBrowser
from harness.processes import Daemon, answers, free_port, plain_environment
from harness.programs import need
from harness.server import Setup, TokenServer
from tokenserver.config.load import load_settings
from tokenserver.server.stored.opening import open_store
from tokenserver.storage.people.openid_people import OpenIdPeople

SERVICE = "registry.test"
POLICIES = """\
version: 1
allow:
  - {id: web, to: ["group:web"], repositories: ["web/**"], role: writer}
  - {id: ops, to: ["group:ops"], repositories: ["ops/**"], role: reader}
"""


class OidcProvider:
    """A running provider. Browsers and the server reach it by `proxy`, whose port is that of its `url`."""

    def __init__(self, port: int, proxy: FaultProxy, client_secret: str) -> None:
        self.port = port
        self.proxy = proxy
        self.client_secret = client_secret
        self.url = f"http://localhost:{proxy.port}"

    def add(self, name: str, *groups: str, **claims: Any) -> None:
        """A person in these groups, or a person who is now in these."""
        self._control("PUT", f"people/{name}", {"groups": groups, **claims})

    def remove(self, name: str) -> None:
        """Delete a person."""
        self._control("DELETE", f"people/{name}")

    def fail_next(self, error: str) -> None:
        """End the next login by this error."""
        self._control("PUT", "error", error)

    def token(self, **fields: str) -> web.Answer:
        """A request of the client at the token endpoint."""
        headers = web.FORM | web.basic("tokenserver", self.client_secret)
        return web.request(self.port, "POST", "/token", headers=headers, body=web.form(**fields))

    def _control(self, method: str, what: str, content: Any = None) -> None:
        answer = web.request(self.port, method, f"/test/{what}", body=json.dumps(content).encode())
        assert answer.status == 200, answer


@dataclass(frozen=True)
class ProviderSite:
    """A server, and the provider at which people log in, its only source, named `op`."""

    server: TokenServer
    provider: OidcProvider

    def begin(self, browser: OpenIdBrowser, wanted: str = "/account") -> web.Answer:
        """The page of the provider that asks who somebody is."""
        return browser.go(f"{self.server.url}/login/with/op?next={wanted}")

    def identify(self, browser: OpenIdBrowser, name: str, wanted: str = "/account") -> web.Answer:
        """The page of the provider that asks for consent, after the one that asks who somebody is."""
        return browser.submit(self.begin(browser, wanted), login=name, password="any")

    def log_in(self, name: str, wanted: str = "/account") -> tuple[OpenIdBrowser, web.Answer]:
        """A browser after a whole login, and the page that it shows."""
        browser = OpenIdBrowser()
        page = browser.submit(self.identify(browser, name, wanted))
        assert page.status == 200, page
        assert browser.shown == f"{self.server.url}{wanted}"
        return browser, page

    def submit(self, browser: OpenIdBrowser, page: web.Answer, target: str, **fields: str) -> web.Answer:
        """Fill in the form of a page of the server that leads to `target`."""
        form = re.search(rf'<form method="post" action="{target}">.*?</form>', page.body.decode(), re.DOTALL)
        assert form is not None, page
        return browser.submit(web.Answer(page.status, page.headers, form[0].encode()), **fields)

    def log_out_there(self, browser: OpenIdBrowser, page: web.Answer | None = None) -> web.Answer:
        """Log out at the provider, at its `page` that asks whether to; what is shown then."""
        shown = page or browser.go(f"{self.provider.url}/session/end")
        return browser.submit(shown, logout="yes")

    def is_logged_in(self, browser: OpenIdBrowser) -> bool:
        """Whether the browser has a session here."""
        browser.go(f"{self.server.url}/account", until="/login")
        return "/login" not in browser.shown

    def follow(self, browser: OpenIdBrowser, page: web.Answer, text: str) -> web.Answer:
        """Open the link of the page with this text."""
        link = re.search(rf'<a[^>]* href="([^"]*)"[^>]*>\s*{re.escape(text)}', page.body.decode())
        assert link is not None, page
        return browser.go(urljoin(browser.shown, link[1].replace("&amp;", "&")))

    def age(self, name: str, seconds: int) -> None:
        """Let the provider's last answer about a person be so much longer ago."""
        store = open_store(load_settings(self.server.config, {}))
        now = OpenIdPeople(store.database, store.keys, now=time.time).find("op", name)
        assert now is not None
        before = OpenIdPeople(store.database, store.keys, now=lambda: now.asked - seconds)
        before.answered(now, now.groups, None)
        store.database.close()

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The audit events of this kind."""
        lines = [json.loads(line) for line in self.server.daemon.stdout.read_text().splitlines()]
        return [line for line in lines if line["event"] == kind]


@contextmanager
def provider_site(folders: Sequence[Path], **settings: Any) -> Iterator[ProviderSite]:
    """Both, running, in folders of their own; `settings` are more of the source."""
    (of_server, of_provider), port = folders, free_port()
    client_secret = secrets.token_urlsafe(16)
    canaries.know(client_secret)
    program = need("oidc-provider")
    with faulty(port) as proxy:
        provider = OidcProvider(port, proxy, client_secret)
        source = {
            "name": "op",
            "preset": "okta",
            "issuer": provider.url,
            "client_id": "tokenserver",
            "client_secret_file": "oidc-secret",
            "recheck": "5m",
            "cache": "0s",
        }
        made = {
            "authentication": [{"oidc": source | settings}],
            "storage": "state/tokenserver.db",
            "access_keys": {},
            "refresh_tokens": {},
        }
        secret = of_server / "oidc-secret"
        secret.touch(mode=0o600)
        secret.write_text(client_secret)
        server = TokenServer(of_server, Setup({}, {"root.yaml": POLICIES}, {SERVICE: "universal"}, made))
        command: list[str | Path] = [program, str(port), provider.url, server.url, client_secret]
        daemon = Daemon("oidc-provider", command, environment=plain_environment(of_provider), folder=of_provider)
        try:
            daemon.start(lambda: answers(port))
            server.daemon.start(server.is_ready)
            _wait_for_document(server)
            yield ProviderSite(server, provider)
        finally:
            server.daemon.stop()
            daemon.stop()
            server.wire.close()
            for file in (server.daemon.stdout, server.daemon.stderr):
                canaries.watch(file.read_bytes() if file.exists() else b"", "the server's output")


def _wait_for_document(server: TokenServer) -> None:
    """Until every worker has fetched the provider's document."""
    end = time.monotonic() + 20
    while {server.request("GET", "/login/with/op").status for _ in range(8)} != {303}:
        assert time.monotonic() < end
        time.sleep(0.2)
