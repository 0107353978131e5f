"""oidc-provider, a certified OpenID provider, behind a proxy that misbehaves as told, and people who log in at it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness import web
from harness.faultproxy import FaultProxy, faulty
from harness.openid_browser import OpenIdBrowser
from harness.people_site import PeopleSite
from harness.processes import Daemon, answers, free_port, plain_environment
from harness.programs import need

POLICIES = """\
version: 1
allow:
  - {id: web, to: ["group:web"], repositories: ["web/**"], role: writer}
  - {id: ops, to: ["group:ops"], repositories: ["ops/**"], role: reader}
"""


class OidcProvider:
    """A running provider. Browsers and the server reach it by `proxy`, whose port is that of its `url`."""

    def __init__(self, port: int, proxy: FaultProxy) -> None:
        self.port = port
        self.proxy = proxy
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

    def _control(self, method: str, what: str, content: Any = None) -> None:
        answer = web.request(self.port, method, f"/test/{what}", body=json.dumps(content).encode())
        assert answer.status == 200, answer


class ProviderSite(PeopleSite):
    """A server, and the provider at which people log in, its only source, named `op`."""

    def __init__(self, folder: Path, provider: OidcProvider) -> None:
        source = {"name": "op", "preset": "okta", "issuer": provider.url, "recheck": "5m", "cache": "0s"}
        super().__init__(folder, source, POLICIES, secrets.token_urlsafe(16))
        self.provider = provider

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

    def log_out_there(self, browser: OpenIdBrowser, page: web.Answer | None = None) -> web.Answer:
        """Log out at the provider, at its `page` that asks whether to; what is shown then."""
        shown = page or browser.go(f"{self.provider.url}/session/end")
        return browser.submit(shown, logout="yes")

    def redeem(self, code: str, verifier: str) -> web.Answer:
        """What somebody gets for a code who knows the secret of the client."""
        redirect = f"{self.server.url}/login/callback/op"
        fields = {"grant_type": "authorization_code", "redirect_uri": redirect, "code": code, "code_verifier": verifier}
        headers = web.FORM | web.basic("tokenserver", self.client_secret)
        return web.request(self.provider.port, "POST", "/token", headers=headers, body=web.form(**fields))


@contextmanager
def provider_site(folders: Sequence[Path]) -> Iterator[ProviderSite]:
    """Both, running, in folders of their own."""
    (of_server, of_provider), port, program = folders, free_port(), need("oidc-provider")
    with faulty(port) as proxy:
        site = ProviderSite(of_server, OidcProvider(port, proxy))
        command = [str(program), str(port), site.provider.url, site.server.url, site.client_secret]
        daemon = Daemon("oidc-provider", command, environment=plain_environment(of_provider), folder=of_provider)
        try:
            daemon.start(lambda: answers(port))
            site.start()
            yield site
        finally:
            site.stop()
            daemon.stop()
