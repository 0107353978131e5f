"""The shell of all pages: who gets in, which forms are accepted, where a login leads, and the headers of answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from page_visits import Browser, Page
from stored_logins_server import StoredSite, stored_site

from tokenserver.web.application import application
from tokenserver.web.pages.shell import NEXT_PATHS, next_path

PAGES = ("/account", "/account/keys/new", "/robots/ci", "/admin", "/admin/person?user=bob")
ACTIONS = (
    "/logout",
    "/account/keys/new",
    "/account/keys/0/rename",
    "/account/keys/0/replace",
    "/account/keys/0/end",
    "/account/logins/0/end",
    "/account/logins/end-others",
    "/robots/ci/secrets",
    "/robots/ci/secrets/0/replace",
    "/robots/ci/secrets/0/end",
    "/admin/person/end-logins",
    "/admin/person/end-login",
    "/admin/person/end-key",
)
ADMINISTRATORS = 'administrators: ["user:ann"]\n'


@pytest.fixture
def admin(site: StoredSite, browser: Browser) -> Browser:
    """ann, who is an administrator, is logged in."""
    file = site.folder / "policies" / "policy.yaml"
    file.write_text(file.read_text() + ADMINISTRATORS)
    assert [site.parts.live.look(), site.parts.live.look()] == [False, True]
    browser.log_in()
    return browser


def test_nobody_is_led_to_the_login(browser: Browser) -> None:
    """And from there back to where they wanted to go, or to the account."""
    found = {path: browser.get(path).response.headers["Location"] for path in PAGES}
    assert found == {
        "/account": "/login?next=%2Faccount",
        "/account/keys/new": "/login?next=%2Faccount%2Fkeys%2Fnew",
        "/robots/ci": "/login",
        "/admin": "/login?next=%2Fadmin",
        "/admin/person?user=bob": "/login?next=%2Fadmin",
    }


def test_every_action_needs_a_form_of_ours(admin: Browser) -> None:
    """Without its token, with one for another browser, or from another site, nothing is done."""
    other = Browser(admin.client.application.test_client())
    foreign = other.get("/login").form("/login").fields["form"]
    own = admin.get("/account").form("/logout").fields["form"]
    cases: list[tuple[dict[str, str], dict[str, str]]] = [
        ({"id": "x"}, {}),
        ({"form": foreign}, {}),
        ({"form": own[:-1] + ("0" if own[-1] != "0" else "1")}, {}),
        ({"form": own}, {"Sec-Fetch-Site": "cross-site"}),
        ({"form": own}, {"Sec-Fetch-Site": "same-site"}),
        ({"form": own}, {"Origin": "https://evil.example"}),
    ]
    for path in ACTIONS:
        for fields, headers in cases:
            answer = admin.post(path, fields, **headers)
            assert (answer.status, "Form refused" in answer.text) == (403, True), (path, fields, headers)
    assert admin.get("/account").status == 200


def test_every_action_needs_a_login(browser: Browser) -> None:
    """Without one, it leads to the login."""
    assert {browser.post(path, {"form": "x"}).status for path in ACTIONS} == {303}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://localhost:5001"}, 303),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 303),
        ({"Origin": "http://localhost", "Host": "localhost"}, 303),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "null", "Sec-Fetch-Site": "none"}, 403),
    ],
    ids=str,
)
def test_origins(browser: Browser, headers: dict[str, str], status: int) -> None:
    """The server's own address, or what browsers send in its place where no referrer is sent."""
    browser.log_in()
    page = browser.get("/account")
    assert browser.post("/logout", page.form("/logout").fields, **headers).status == status


@pytest.mark.parametrize(
    "wanted",
    [
        *("//evil.example", "https://evil.example/account", "/account/../x", "/account\n", "\\evil", "/login", ""),
        *("/account?x=1", "/device?user_code=A&x", "/device?user_code=<b>", "/Account", "javascript:alert(1)"),
    ],
)
def test_a_login_leads_to_pages_of_ours_alone(browser: Browser, wanted: str) -> None:
    """Anything else is ignored, in the address and in the form."""
    assert next_path(wanted) is None
    page = browser.client.get("/login", query_string={"next": wanted}, environ_overrides=browser.overrides)
    form = Page(page).form("/login").fields
    assert "next" not in form
    answer = browser.post("/login", form | {"next": wanted, "username": "ann", "password": "ann's pässwörd"})
    assert answer.response.headers["Location"] == "/account"


@pytest.mark.parametrize("wanted", [*sorted(NEXT_PATHS), "/device?user_code=BCDF-GHJK"])
def test_where_a_login_leads(wanted: str) -> None:
    """The closed list."""
    assert next_path(wanted) == wanted


def test_headers(admin: Browser) -> None:
    """No script, no frame, no cache, no referrer; and fewer than 30 kB with the style sheet."""
    for path in ("/", *PAGES, "/account/keys/none"):
        check_page(admin, path)
    admin.submit(admin.get("/account"), "/logout")
    check_page(admin, "/login")


def check_page(admin: Browser, path: str) -> None:
    """The headers and the size of one page."""
    page = admin.get(path, Accept="text/html")
    headers = page.response.headers
    policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'"
    assert headers["Content-Security-Policy"] == f"{policy}; base-uri 'none'; frame-ancestors 'none'"
    assert "script" not in {tag for tag, _ in page.tags}
    assert "style" not in {name for _, facts in page.tags for name in facts}
    expected = {
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Vary": "Accept-Language, Cookie",
    }
    assert {name: headers[name] for name in expected} == expected
    assert "camera=()" in headers["Permissions-Policy"]
    sheets = [facts["href"] or "" for tag, facts in page.tags if tag == "link"]
    total = len(page.html) + sum(len(admin.client.get(sheet).data) for sheet in sheets)
    assert total < 30_000


def test_assets_are_kept_for_good(browser: Browser) -> None:
    """Their names change with their content; another name is no page."""
    page = browser.get("/login")
    (sheet,) = [facts["href"] for tag, facts in page.tags if facts.get("rel") == "stylesheet"]
    answer = browser.client.get(sheet or "")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
    assert browser.client.get("/assets/style-000000000000.css").status_code == 404


@pytest.mark.parametrize(
    ("accepted", "language"), [("de", "de"), ("de-AT, en;q=0.5", "de"), ("fr", "en"), ("en, de", "en"), ("", "en")]
)
def test_languages(browser: Browser, accepted: str, language: str) -> None:
    """German where the browser prefers it, English otherwise."""
    page = browser.get("/login", **{"Accept-Language": accepted})
    assert page.response.headers["Content-Language"] == language
    assert page.tags[0] == ("html", {"lang": language})
    assert ("Benutzername" in page.text) is (language == "de")


def test_plain_http(browser: Browser) -> None:
    """A page from another machine without TLS is refused, and nobody can log in."""
    browser.overrides = {"REMOTE_ADDR": "192.0.2.1", "wsgi.url_scheme": "http"}
    assert browser.get("/login").status == 403
    assert browser.post("/login", {"username": "ann"}).status == 403


def test_too_large(browser: Browser) -> None:
    """A form has at most 64 KiB, however it is sent."""
    form = browser.get("/login").form("/login").fields
    assert browser.post("/login", form | {"username": "a" * 65_536}).status == 413
    assert browser.post("/login", form | {"username": "a" * 60_000}).status == 403


def test_no_form(browser: Browser) -> None:
    """Another media type is refused; so is another method, which is told the right one."""
    answer = Page(browser.client.post("/login", json={"username": "ann"}, environ_overrides=browser.overrides))
    assert answer.status == 415
    put = browser.client.put("/account", environ_overrides=browser.overrides)
    assert (put.status_code, put.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


def test_a_bug_is_a_page(site: StoredSite, browser: Browser, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """Its text is neither shown nor logged."""
    browser.log_in()

    def broken(*_: object) -> None:
        raise RuntimeError("secret-text")

    monkeypatch.setattr("tokenserver.management.service.Management.whoami", broken)
    answer = browser.get("/account")
    assert (answer.status, "The server made a mistake." in answer.text) == (500, True)
    assert "RuntimeError" in caplog.text
    assert "secret-text" not in caplog.text + answer.html


def test_the_storage_is_away(site: StoredSite, browser: Browser) -> None:
    """Pages say so, and when to come back; tokens are issued meanwhile."""
    browser.log_in()
    storage = site.parts.storage
    assert storage is not None
    (site.folder / "state" / "tokenserver.db").rename(site.folder / "state" / "away")
    storage.database.engine.dispose()
    answer = browser.get("/account")
    assert (answer.status, answer.response.headers["Retry-After"]) == (503, "5")
    assert site.get("ann", "ann's pässwörd").status_code == 200


def test_below_a_prefix(server_folder: Path, tmp_path: Path) -> None:
    """Pages are answered at the root and below the server's path; links and redirections have the path."""
    with stored_site(server_folder, tmp_path / "site") as site:
        server = site.parts.settings.server.model_copy(update={"url": "http://localhost:5001/tokens"})
        parts = replace(site.parts, settings=site.parts.settings.model_copy(update={"server": server}))
        browser = Browser(application(parts).test_client())
        for path in ("/login", "/tokens/login"):
            page = browser.get(path)
            assert page.status == 200
            assert page.form("/tokens/login").fields["form"]
            assert all((facts["href"] or "").startswith("/tokens/") for tag, facts in page.tags if tag == "link")
        assert browser.get("/tokens/account").response.headers["Location"].startswith("/tokens/login?")
        assert browser.client.get("/tokens/tokens/login").status_code == 404
        assert browser.client.get("/other/login").status_code == 404
        answer = browser.submit(
            browser.get("/tokens/login"), "/tokens/login", username="ann", password="ann's pässwörd"
        )
        assert answer.response.headers["Location"] == "/tokens/account"
        assert browser.get("/tokens/account").status == 200


def test_https_cookies(server_folder: Path, tmp_path: Path) -> None:
    """Behind https, the cookie is for this host, this scheme and no script."""
    with stored_site(server_folder, tmp_path / "site") as site:
        server = site.parts.settings.server.model_copy(update={"url": "https://auth.example.com"})
        parts = replace(site.parts, settings=site.parts.settings.model_copy(update={"server": server}))
        browser = Browser(application(parts).test_client())
        page = browser.get("/login")
        assert page.response.headers["Set-Cookie"].startswith("__Host-tokenserver-visit=")
        answer = browser.submit(page, "/login", username="ann", password="ann's pässwörd")
        cookie = answer.response.headers.getlist("Set-Cookie")[0]
        name, _, rest = cookie.partition("=")
        assert name == "__Host-tokenserver"
        assert rest[64:] == "; Secure; HttpOnly; Path=/; SameSite=Lax"
