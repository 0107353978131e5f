"""The site of a server: settings change while people are logged in, and a server without a storage has no pages."""

from __future__ import annotations

from page_visits import Browser
from stored_logins_server import StoredSite
from tests_web_server import Server, server

from tokenserver.config.load import load_settings
from tokenserver.web.application import ReconfigurableApplication

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


def test_without_a_storage(server: Server) -> None:
    """No page is there, and `/` leads to none."""
    browser = Browser(server.client)
    assert "/login" not in browser.get("/", Accept="text/html").links
    for path in ("/login", "/account", "/admin", "/robots/x"):
        assert server.client.get(path).status_code == 404
