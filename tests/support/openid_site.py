"""A whole server in the process with OpenID providers, and the browser of a person who logs in at one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from fake_provider import FakeProvider, fake_provider
from page_visits import Browser, Page
from stored_logins_server import StoredSite, stored_site

SOURCES = """\
  - oidc: {{name: sso, preset: keycloak, issuer: "{url}", client_id: tokenserver, recheck: 1m, cache: 0s}}
  - oidc: {{name: local, preset: keycloak, issuer: "{url}", client_id: tokenserver, accounts: htpasswd}}
"""


class OpenIdSite:
    """A server with the provider `fake`: `sso` has people of its own, those of `local` are the ones of the file."""

    def __init__(self, site: StoredSite, fake: FakeProvider) -> None:
        self.site = site
        self.fake = fake

    def sent_back(self, browser: Browser, name: str = "sso", *, wanted: str = "/account", **answer: str) -> str:
        """Go to the provider, which logs the person in; the path with which the browser comes back."""
        page = browser.get(f"/login/with/{name}?{urlencode({'next': wanted})}")
        assert page.status == 303, page.text
        location = page.response.headers["Location"]
        assert urlsplit(location).netloc == urlsplit(self.fake.url).netloc
        return f"/login/callback/{name}?{urlencode(self.fake.authorize(location, **answer))}"

    def log_in(self, browser: Browser, name: str = "sso", *, wanted: str = "/account", **answer: str) -> Page:
        """A whole login; where the callback leads."""
        return browser.get(self.sent_back(browser, name, wanted=wanted, **answer))


@contextmanager
def openid_site(server_folder: Path, folder: Path) -> Iterator[OpenIdSite]:
    """A running one, which knows the provider's keys."""
    with fake_provider() as fake:
        fake.document = {"end_session_endpoint": f"{fake.url}/end"}
        sources = SOURCES.format(url=fake.url)
        with stored_site(server_folder, folder, sources=sources) as site:
            end = time.monotonic() + 10
            for source in site.parts.live.snapshot().oidc_sources:
                source.keys.tick()
                while source.keys.age is None:
                    assert time.monotonic() < end
                    time.sleep(0.01)
            yield OpenIdSite(site, fake)
