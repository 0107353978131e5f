"""The site of a server: settings change while people are logged in, and a server without a storage has no pages."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from page_visits import Browser
from stored_logins_server import StoredSite
from tests_web_server import Server, server

from tokenserver.config.load import load_settings
from tokenserver.web.application import ListenerApps, ReconfigurableApplication, listener_apps, token_endpoint

__all__ = ["server"]


def test_other_settings(site: StoredSite) -> None:
    """They are those of the next page; sessions and forms go on."""
    live = ReconfigurableApplication(site.parts)
    browser = Browser(live.flask.test_client())
    browser.log_in()
    page = browser.get("/account")
    assert "Your access keys" in page.text
    config = site.folder / "tokenserver.yaml"
    config.write_text(config.read_text().replace("access_keys: {}\n", ""))
    live.apply(load_settings(config, {}))
    assert "Your access keys" not in browser.get("/account").text
    assert browser.get("/account/keys/new").status == 404
    fields = page.form("/logout").fields | {"lifetime": "43200"}
    assert browser.post("/account/keys/new", fields).status == 404
    assert browser.submit(page, "/logout").status == 303
    live.stop()
    for thread in live.threads:
        thread.join(10)


@pytest.fixture
def apps(site: StoredSite) -> ListenerApps:
    """The applications of a server with a listener for management, whose public URL has a path."""
    text = (site.folder / "tokenserver.yaml").read_text()
    config = site.folder / "two.yaml"
    more = "server: {management: '127.0.0.1:5002', management_url: 'https://account.example.com/tokens', url:"
    assert "server: {url:" in text
    config.write_text(text.replace("server: {url:", more))
    parts = replace(site.parts, settings=load_settings(config, {}))
    return listener_apps(parts, token_endpoint(parts))


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def test_no_page_is_public(apps: ListenerApps) -> None:
    """Nothing of pages and the API is there, by any method, at the root or below either path.

    See docs/design/threats.md#threat-215.
    """
    assert apps.management is not None
    rules = [rule.rule for rule in apps.management.url_map.iter_rules() if "." in rule.endpoint]
    assert len(rules) > 30
    assert [rule.rule for rule in apps.public.url_map.iter_rules() if "." in rule.endpoint] == []
    public = apps.public.test_client()
    for rule in rules:
        path = re.sub(r"<[^>]*>", "x", rule)
        found = {
            public.open(f"{prefix}{path}", method=method).status_code
            for prefix in ("", "/tokens")
            for method in METHODS
        }
        assert found == {404}, path


def test_pages_are_at_the_url_of_management(apps: ListenerApps) -> None:
    """At the root and below its path; links, cookies and headers are for that URL. No token is to be had there."""
    assert apps.management is not None
    client = apps.management.test_client()
    for prefix in ("", "/tokens"):
        page = client.get(f"{prefix}/login", base_url="https://account.example.com")
        assert (page.status_code, 'href="/tokens/' in page.text) == (200, True)
        assert "Strict-Transport-Security" in page.headers
    cookie = next(line for line in page.headers.getlist("Set-Cookie"))
    assert cookie.startswith("__Host-")
    assert client.get("/tokens/token?service=reg").status_code == 404
    front = client.get("/").get_json()
    assert (front["api"], "token_endpoint" in front) == ("./api/v1", False)
    assert client.get("/", headers={"Accept": "text/html"}).status_code == 200


def test_a_form_comes_from_the_url_of_management(apps: ListenerApps) -> None:
    """Its origin is right, that of the public URL is not."""
    assert apps.management is not None
    client = apps.management.test_client()
    for origin, is_read in (("https://account.example.com", True), ("https://auth.example.com", False)):
        page = client.get("/login", base_url="https://account.example.com")
        form = re.search(r'name="form" value="([^"]*)"', page.text)
        assert form is not None
        data = {"form": form[1], "username": "ann", "password": "wrong"}
        sent = client.post("/login", data=data, headers={"Origin": origin}, base_url="https://account.example.com")
        assert ("The user name or the password is wrong." in sent.text) is is_read


def test_without_a_storage(server: Server) -> None:
    """No page is there, and `/` leads to none."""
    browser = Browser(server.client)
    assert "/login" not in browser.get("/", Accept="text/html").links
    for path in ("/login", "/account", "/admin", "/robots/x"):
        assert server.client.get(path).status_code == 404
