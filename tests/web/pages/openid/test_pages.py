"""Logins at OpenID providers through the whole application: the cookies, the pages, and what works afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ended_logins import change_users, disabled, load_users
from openid_site import OpenIdSite, openid_site
from page_visits import Browser
from stored_logins_server import claims_of, message
from workload_jwts import jwt, private_key

from tokenserver.authn.oidc.logout_token import EVENT
from tokenserver.credentials import AccessKeyForm
from tokenserver.exchange.admission import MAX_PROVIDER_LOGINS

COOKIE, LOGIN, FAILURE = "tokenserver", "tokenserver-login", "tokenserver-failure"


@pytest.fixture
def site(server_folder: Path, tmp_path: Path) -> Iterator[OpenIdSite]:
    """A running server."""
    with openid_site(server_folder, tmp_path / "site") as found:
        yield found


@pytest.fixture
def browser(site: OpenIdSite) -> Browser:
    """Nobody is logged in."""
    site.fake.person |= {"preferred_username": "carl"}
    return Browser(site.site.client)


def cookies(browser: Browser) -> set[str]:
    """The names of the cookies that the browser has."""
    return {name for name in (COOKIE, LOGIN, FAILURE) if browser.client.get_cookie(name) is not None}


def logout_token(site: OpenIdSite, **claims: Any) -> str:
    """A logout token of the provider."""
    now = int(time.time())
    usual = {"iss": site.fake.url, "aud": "tokenserver", "iat": now, "jti": str(claims), "events": {EVENT: {}}}
    return jwt({**usual, **claims}, key=private_key("ES256"), key_id="k", header={"typ": "logout+jwt"})


def test_a_login(site: OpenIdSite, browser: Browser) -> None:
    """A button leads there, and the way back to the account, with a session and without the cookie of the login."""
    assert "/login/with/sso" in browser.get("/login").links
    page = browser.get("/login/with/sso")
    assert page.response.headers["Cache-Control"] == "no-store"
    assert cookies(browser) == {LOGIN}
    answer = site.log_in(browser)
    assert (answer.status, answer.response.headers["Location"]) == (303, "/account")
    assert cookies(browser) == {COOKIE}
    assert "carl" in browser.get("/account").text
    facts = ("event", "outcome", "subject", "source", "client")
    assert [site.site.last[name] for name in facts] == ["browser_login", "logged_in", "carl", "sso", "192.0.2.1"]


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ("/device?user_code=BCDF-GHJK", "/device?user_code=BCDF-GHJK"),
        ("https://evil.example.com/", "/account"),
        ("//evil.example.com/account", "/account"),
    ],
)
def test_where_a_login_leads(site: OpenIdSite, browser: Browser, wanted: str, path: str) -> None:
    """To a page of the closed list, nowhere else."""
    assert site.log_in(browser, wanted=wanted).response.headers["Location"] == path


def test_what_a_person_gets(site: OpenIdSite, browser: Browser) -> None:
    """An access key and a refresh token, with the groups of now; both end with the person."""
    site.fake.person["groups"] = ["/devs"]
    site.log_in(browser)
    key = site.site.stored(AccessKeyForm.PERSONAL, "carl", source="sso")
    assert claims_of(site.site.get("carl", key))["sub"] == "carl"
    assert site.site.last["kind"] == "key"
    (source, _) = site.site.parts.live.snapshot().oidc_sources
    identity = source.find("carl")
    assert identity is not None
    stored = site.site.parts.stored
    assert stored is not None
    logins = stored.given(site.site.parts.settings, now=time.time, is_blocked=lambda: False)
    refresh = logins.begin(identity, "reg", None, "docker")
    assert refresh is not None
    assert claims_of(site.site.refresh(refresh.text.reveal()))["sub"] == "carl"
    assert (site.site.last["kind"], site.site.last["via"]) == ("oidc", "refresh")
    person = stored.openid.people.find("sso", "carl")
    assert person is not None
    stored.openid.people.store.end(person)
    time.sleep(1.1)  # what was found a moment ago is used for a second
    assert site.site.get("carl", key).status_code == 401
    assert site.site.refresh(refresh.text.reveal()).status_code == 401


def test_people_of_the_file(site: OpenIdSite, browser: Browser) -> None:
    """A login for `accounts` is that person, whose keys work by either login; others have no account."""
    answer = site.log_in(browser, "local")
    assert answer.response.headers["Location"] == "/login/failed"
    assert "there is no such account here" in browser.get("/login/failed").text
    site.fake.person |= {"preferred_username": "ann", "sub": "2"}
    assert site.log_in(browser, "local").response.headers["Location"] == "/account"
    assert (site.site.last["subject"], site.site.last["source"]) == ("ann", "htpasswd")
    assert "ann" in browser.get("/account").text
    site.fake.person["sub"] = "3"
    assert site.log_in(browser, "sso").response.headers["Location"] == "/login/failed"
    assert "The name ann is that of another account here." in browser.get("/login/failed").text


def test_people_of_a_file_that_is_not_loaded_yet(site: OpenIdSite, browser: Browser) -> None:
    """The provider vouches for somebody whose account here was disabled a moment ago: there is no session, neither now
    nor once the account is enabled again; docs/design/threats.md#threat-245."""
    site.fake.person |= {"preferred_username": "ann", "sub": "2"}
    text = (site.site.folder / "users.htpasswd").read_text("utf-8")
    change_users(site.site, disabled)
    assert site.log_in(browser, "local").response.headers["Location"] == "/login/failed"
    assert (site.site.last["outcome"], site.site.last["source"]) == ("invalid_credentials", "local")
    load_users(site.site)
    assert site.log_in(browser, "local").response.headers["Location"] == "/login/failed"
    change_users(site.site, lambda _: text)
    load_users(site.site)
    assert site.site.parts.storage is not None
    assert site.site.parts.storage.sessions.listed(source="htpasswd", subject="ann") == []
    assert site.log_in(browser, "local").response.headers["Location"] == "/account"


def test_a_failed_login(site: OpenIdSite, browser: Browser) -> None:
    """A page at a clean address says what happened, once; the audit log has the reason."""
    site.fake.claims = {"_claim_names": {"groups": "src1"}}
    answer = site.log_in(browser)
    assert (answer.status, answer.response.headers["Location"]) == (303, "/login/failed")
    assert cookies(browser) == {FAILURE}
    page = browser.get("/login/failed")
    assert page.status == 403
    assert "You are in more groups than the provider can list." in page.text
    assert browser.get("/login/failed").response.headers["Location"] == "/login"
    assert (site.site.last["outcome"], site.site.last["source"]) == ("invalid_credentials", "sso")
    assert "in too many groups for a token" in site.site.last["reason"]
    browser.client.set_cookie(FAILURE, "AAAA")
    assert browser.get("/login/failed").response.headers["Location"] == "/login"


def test_a_replayed_answer(site: OpenIdSite, browser: Browser) -> None:
    """It is nobody's the second time, and nobody else's the first time."""
    path = site.sent_back(browser)
    thief = Browser(site.site.client.application.test_client())
    assert thief.get(path).response.headers["Location"] == "/login/failed"
    assert browser.get(path).response.headers["Location"] == "/account"
    assert browser.get(path).response.headers["Location"] == "/login/failed"
    assert cookies(browser) == {COOKIE, FAILURE}  # the session of the first one goes on
    assert COOKIE not in cookies(thief)


def test_nothing_of_the_answer_is_logged(site: OpenIdSite, browser: Browser, caplog: pytest.LogCaptureFixture) -> None:
    """Neither code nor state, cookie or tokens, whether it works or not."""
    site.fake.status, site.fake.body = 500, b"{}"
    site.log_in(browser)
    page = browser.get("/login/failed")
    assert (page.status, "The server cannot answer now." in page.text) == (503, True)
    site.fake.status = site.fake.body = None
    site.log_in(browser)
    ((form, _), *_) = site.fake.forms
    texts = f"{site.site.audit.events}{caplog.text}"
    for secret in (form["code"], form["code_verifier"], "refresh-0", "eyJ"):
        assert secret not in texts


@pytest.mark.parametrize("path", ["/login/with/other", "/login/callback/other", "/logout/done/other"])
def test_an_unknown_provider(browser: Browser, path: str) -> None:
    """Is a page that does not exist."""
    page = browser.get(path)
    if page.status == 303:
        page = browser.get("/login/failed")
    assert page.status == 404


def test_a_provider_that_was_never_there(site: OpenIdSite, browser: Browser) -> None:
    """Its button leads to a page that says to try again."""
    (source, _) = site.site.parts.live.snapshot().oidc_sources
    source.client._metadata = None
    assert browser.get("/login/with/sso").status == 503


def test_a_slow_provider(site: OpenIdSite, browser: Browser) -> None:
    """Logins wait for it in a room of their own: others are answered, and too many of them are rejected."""
    assert site.site.client.application is not None
    openid = site.site.client.application.extensions["tokenserver.shell"].site.openid
    path = site.sent_back(Browser(site.site.client.application.test_client()))
    with ExitStack() as held:
        for _ in range(MAX_PROVIDER_LOGINS):
            held.enter_context(openid.bulkhead)
        assert browser.get(path).response.headers["Location"] == "/login/failed"
        assert browser.get("/login/failed").status == 503
        assert site.site.login().status_code == 200
        assert browser.get("/login").status == 200
    assert site.log_in(browser).response.headers["Location"] == "/account"


def test_a_logout(site: OpenIdSite, browser: Browser) -> None:
    """Here, and by a link at the provider; somebody with a password has no such link."""
    site.log_in(browser)
    answer = browser.submit(browser.get("/account"), "/logout")
    assert answer.response.headers["Location"] == "/logout/done/sso"
    assert COOKIE not in cookies(browser)
    page = browser.get("/logout/done/sso")
    (link,) = [one for one in page.links if one.startswith(site.fake.url)]
    assert "post_logout_redirect_uri=http%3A%2F%2Flocalhost%3A5001%2Flogin" in link
    browser.log_in()
    answer = browser.submit(browser.get("/account"), "/logout")
    assert answer.response.headers["Location"] == "/login?note=logged-out"
    (source, _) = site.site.parts.live.snapshot().oidc_sources
    source.client._metadata = None
    assert browser.get("/logout/done/sso").response.headers["Location"] == "/login?note=logged-out"


class TestBackChannel:
    """`POST /logout/backchannel/NAME`."""

    def send(self, site: OpenIdSite, token: str, name: str = "sso") -> int:
        """What the provider sends."""
        answer = site.site.post(f"/logout/backchannel/{name}", logout_token=token)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.content_type == "application/json"
        return int(answer.status_code)

    def test_a_session(self, site: OpenIdSite, browser: Browser) -> None:
        """Ends with that of the provider; another one of the person does not."""
        site.log_in(browser)
        other = Browser(site.site.client.application.test_client())
        site.fake.person["sid"] = "s2"
        site.log_in(other)
        token = logout_token(site, sub="1-ann", sid="s1")
        assert self.send(site, token) == 200
        assert (site.site.last["event"], site.site.last["outcome"]) == ("provider_logout", "logged_out")
        assert site.site.last["subject"] == "carl"
        assert browser.get("/account").status == 303
        assert other.get("/account").status == 200
        assert self.send(site, token) == 400
        assert site.site.last["reason"] == "the logout token was used before"

    def test_a_person(self, site: OpenIdSite, browser: Browser) -> None:
        """All browser sessions and refresh tokens end; access keys do not."""
        site.log_in(browser)
        refresh = site.site.stored(AccessKeyForm.REFRESH, "carl", source="sso")
        key = site.site.stored(AccessKeyForm.PERSONAL, "carl", source="sso")
        assert site.site.refresh(refresh).status_code == 200
        assert self.send(site, logout_token(site, sub="1-ann")) == 200
        assert browser.get("/account").status == 303
        assert message(site.site.refresh(refresh))[0] == 401
        assert site.site.get("carl", key).status_code == 200

    def test_no_logout_token(self, site: OpenIdSite, browser: Browser) -> None:
        """Nothing ends, and the answer does not say why."""
        site.log_in(browser)
        for token in ("", "x", site.fake.id_token()):
            assert self.send(site, token) == 400
        assert self.send(site, logout_token(site, sub="1-ann"), "other") == 404
        assert browser.get("/account").status == 200
