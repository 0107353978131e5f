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
