"""The pages /login and /logout: who is let in, and that a session ends for good."""

from __future__ import annotations

import pytest
from page_visits import Browser
from stored_logins_server import StoredSite

from tokenserver.credentials import AccessKeyForm

COOKIE = "tokenserver"


def cookie_of(browser: Browser) -> str | None:
    cookie = browser.client.get_cookie(COOKIE)
    return None if cookie is None else cookie.value


def test_a_password_logs_in(site: StoredSite, browser: Browser) -> None:
    """The answer leads to the account, with a cookie, and the audit log says who."""
    answer = browser.log_in()
    assert (answer.status, answer.response.headers["Location"]) == (303, "/account")
    assert cookie_of(browser) is not None
    facts = ("event", "outcome", "subject", "source", "client", "user_agent")
    assert [site.last[name] for name in facts] == [
        "browser_login",
        "logged_in",
        "ann",
        "htpasswd",
        "192.0.2.1",
        "Firefox/1",
    ]


@pytest.mark.parametrize("name", ["ann", "nobody", "", "robot:ci", "a" * 5000])
def test_a_wrong_password(site: StoredSite, browser: Browser, name: str) -> None:
    """The same sentence for everybody, and no session."""
    answer = browser.log_in(name, "wrong")
    assert answer.status == 403
    assert "The user name or the password is wrong." in answer.text
    assert cookie_of(browser) is None
    assert (site.last["event"], site.last["outcome"]) == ("browser_login", "invalid_credentials")


@pytest.mark.parametrize("form", AccessKeyForm)
def test_other_secrets_are_no_passwords(site: StoredSite, browser: Browser, form: AccessKeyForm) -> None:
    """A right key, refresh token, session or robot secret is refused by a sentence of its own."""
    owner = "robot:ci" if form is AccessKeyForm.ROBOT else "ann"
    answer = browser.log_in("ann", site.stored(form, owner))
    assert answer.status == 403
    assert "This is an access key, not a password." in answer.text
    assert cookie_of(browser) is None


def test_each_login_has_a_new_session(browser: Browser) -> None:
    """A cookie from before the login is not the one of after it."""
    browser.client.set_cookie(COOKIE, "0" * 64)
    browser.log_in()
    assert cookie_of(browser) not in {None, "0" * 64}


def test_logged_out(site: StoredSite, browser: Browser) -> None:
    """A copy of the cookie is worth nothing afterwards."""
    browser.log_in()
    stolen = cookie_of(browser)
    assert stolen is not None
    answer = browser.submit(browser.get("/account"), "/logout")
    assert answer.response.headers["Location"] == "/login?note=logged-out"
    assert cookie_of(browser) is None
    assert (site.last["event"], site.last["outcome"]) == ("browser_login", "logged_out")
    assert "You are logged out." in browser.get("/login?note=logged-out").text
    browser.client.set_cookie(COOKIE, stolen)
    assert browser.get("/account").status == 303


def test_a_new_login_ends_the_one_before(browser: Browser) -> None:
    """Of the same browser, whoever logs in."""
    form = browser.get("/login").form("/login").fields
    browser.log_in()
    before = cookie_of(browser)
    assert before is not None
    fresh = browser.get("/login?next=/admin")
    assert (fresh.status, fresh.response.headers["Location"]) == (303, "/admin")
    visit = Browser(browser.client.application.test_client())
    page = visit.get("/login")
    visit.client.set_cookie(COOKIE, before)
    assert visit.submit(page, "/login", username="zoë", password="z").status == 303
    assert form
    browser.client.set_cookie(COOKIE, before)
    assert browser.get("/account").status == 303


def test_another_password(site: StoredSite, browser: Browser) -> None:
    """A changed password, and an account that is gone, end the session for good."""
    browser.log_in()
    lines = (site.folder / "users.htpasswd").read_text("utf-8")
    site.rewrite_users(lambda text: "".join(line for line in text.splitlines(True) if not line.startswith("ann:")))
    assert browser.get("/account").status == 303
    site.rewrite_users(lambda _: lines)
    assert browser.get("/account").status == 303


def test_too_many_attempts(browser: Browser) -> None:
    """The throttle of token requests: a right password waits as well, and the page says how long."""
    for number in range(30):
        answer = browser.log_in("ann", f"wrong {number}")
    assert (answer.status, "There were too many attempts." in answer.text) == (429, True)
    assert int(answer.response.headers["Retry-After"]) > 0
    assert browser.log_in().status == 429


def test_no_audit_event_no_login(site: StoredSite, browser: Browser) -> None:
    """The event is written before the session, and there is none without it."""
    site.audit.broken = True
    answer = browser.log_in()
    assert (answer.status, cookie_of(browser)) == (503, None)
    assert site.parts.storage is not None
    assert site.parts.storage.sessions.listed(source="htpasswd", subject="ann") == []
