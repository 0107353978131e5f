"""Errors as pages: they say what to do, and what somebody typed is not lost.

See docs/design/threats.md#threat-210.
"""

from __future__ import annotations

import pytest
from page_visits import Browser, Page
from stored_logins_server import StoredSite

HTML = {"Accept": "text/html,*/*;q=0.8"}
SAME = {"Sec-Fetch-Site": "same-origin"}
TYPED = {"name": "my {laptop} <b>", "repositories": "web/**\nteam/x", "lifetime": "43200", "use": "all"}


def areas(page: Page) -> dict[str, str]:
    """What the page shows of what was typed."""
    return {
        str(facts["id"]): str(facts.get("readonly")) for tag, facts in page.tags if tag == "textarea" and facts["id"]
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/nothing", 404, "There is no page at this address."),
        ("GET", "/account/x/y", 404, "There is no page at this address."),
        ("GET", "/admin/nothing", 404, "There is no page at this address."),
        ("GET", "/assets/style-000000000000.css", 404, "There is no page at this address."),
        ("POST", "/access", 405, "This address is for a form."),
        ("GET", "/logout", 405, "This address is for a form."),
    ],
)
def test_what_is_no_page(browser: Browser, method: str, path: str, status: int, text: str) -> None:
    """A browser gets a page, in its language; a program gets JSON. Both get the same status and methods."""
    answers = [browser.client.open(path, method=method, headers=one) for one in (HTML, {}, {"Accept": "*/*"})]
    assert [one.status_code for one in answers] == [status] * 3
    assert len({one.headers.get("Allow") for one in answers}) == 1
    assert [one.mimetype for one in answers] == ["text/html", "application/json", "application/json"]
    page = Page(answers[0])
    assert text in page.text
    assert page.response.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    german = Page(browser.client.open(path, method=method, headers=HTML | {"Accept-Language": "de"}))
    assert german.tags[0] == ("html", {"lang": "de"})
    assert text not in german.text


def test_an_error_leads_on(browser: Browser) -> None:
    """Somebody who is logged in keeps the links and the way out."""
    browser.log_in()
    page = browser.get("/account/keys/none")
    assert page.status == 404
    assert {"/account", "/access"} <= set(page.links)
    assert browser.submit(page, "/logout").status == 303


def sent(browser: Browser, form: dict[str, str], **headers: str) -> Page:
    """A filled-in form for a key."""
    return browser.post("/account/keys/new", form | TYPED, **headers)


def test_the_login_ended_meanwhile(site: StoredSite, browser: Browser) -> None:
    """What was typed is shown to be copied, with the way to log in and come back; nothing was made."""
    browser.log_in()
    form = browser.get("/account/keys/new").form("/account/keys/new").fields
    browser.submit(browser.get("/account"), "/logout")
    page = sent(browser, form, **SAME)
    assert (page.status, "Your login ended while you filled in the form." in page.text) == (403, True)
    assert areas(page) == {"typed-0": "True", "typed-1": "True"}
    assert "my {laptop} &lt;b&gt;" in page.html
    assert "web/**\nteam/x</textarea>" in page.html
    assert "/login?note=again&next=%2Faccount%2Fkeys%2Fnew" in page.links
    assert browser.log_in().status == 303
    assert "You have no access key." in browser.get("/account").text


def test_an_old_form_is_shown(browser: Browser) -> None:
    """A form of an earlier login is refused, but what was typed is there."""
    browser.log_in()
    form = browser.get("/account/keys/new").form("/account/keys/new").fields
    browser.submit(browser.get("/account"), "/logout")
    browser.log_in()
    page = sent(browser, form, **SAME)
    assert (page.status, "This form is too old" in page.text) == (403, True)
    assert areas(page) == {"typed-0": "True", "typed-1": "True"}


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}], ids=str)
@pytest.mark.parametrize("is_logged_in", [True, False])
def test_nobody_else_writes_on_our_pages(browser: Browser, headers: dict[str, str], is_logged_in: bool) -> None:
    """What another site sends is never shown: it could be read as ours."""
    if is_logged_in:
        browser.log_in()
    page = sent(browser, {"form": "x"}, **headers)
    assert page.status == (403 if is_logged_in else 303)
    assert "laptop" not in page.html


def test_passwords_are_not_shown(browser: Browser) -> None:
    """The form of the login is refused without what was typed."""
    page = browser.post("/login", {"form": "x", "username": "ann", "password": "typed-secret"}, **SAME)
    assert (page.status, "The browser sent no cookie of this page." in page.text) == (403, True)
    assert "typed-secret" not in page.html


def test_a_change_of_policies_is_not_lost(browser: Browser) -> None:
    """Files keep their names, also with braces in them."""
    page = browser.post("/admin/policies", {"name.0": "a{b}.yaml", "text.0": "version: 1\n", "form": "x"}, **SAME)
    assert page.status == 403
    assert "a{b}.yaml" in page.text
    assert "version: 1\n</textarea>" in page.html
