"""The question before something ends: every form that ends something asks it, and nothing ends without the answer.

See docs/design/threats.md#threat-211.
"""

from __future__ import annotations

import pytest
from page_visits import Browser, Page
from stored_logins_server import StoredSite

from tokenserver.credentials import AccessKeyForm

ADMINISTRATORS = 'administrators: ["user:ann"]\n'
CASES = {
    "a key": ("/account/keys/{key}", "/account/keys/{key}/end", "the key"),
    "a login": ("/account", "/account/logins/{login}/end", "docker"),
    "all other logins": ("/account", "/account/logins/end-others", ""),
    "a secret of a robot": ("/robots/ci", "/robots/ci/secrets/{secret}/end", "the secret"),
    "a key of somebody": ("/admin/person?user=ann", "/admin/person/end-key", "the key"),
    "a login of somebody": ("/admin/person?user=ann", "/admin/person/end-login", "docker"),
    "all logins of somebody": ("/admin/person?user=ann", "/admin/person/end-logins", "ann"),
}


@pytest.fixture
def held(site: StoredSite, browser: Browser) -> dict[str, str]:
    """What ann has, who administers; the ids."""
    file = site.folder / "policies" / "policy.yaml"
    file.write_text(file.read_text() + ADMINISTRATORS)
    assert [site.parts.live.look(), site.parts.live.look()] == [False, True]
    browser.log_in()
    made = {
        "key": site.stored(AccessKeyForm.PERSONAL, name="the key"),
        "login": site.stored(AccessKeyForm.REFRESH, client="docker"),
        "secret": site.stored(AccessKeyForm.ROBOT, "robot:ci", name="the secret"),
    }
    return {name: text[5:17] for name, text in made.items()}


def live(site: StoredSite) -> int:
    """How many stored credentials have not ended."""
    assert site.parts.storage is not None
    from tokenserver.storage.selection import Selection

    return sum(one.ended is None for one in site.parts.storage.store.listed(Selection()))


@pytest.mark.parametrize("name", CASES)
def test_nothing_ends_without_an_answer(site: StoredSite, browser: Browser, held: dict[str, str], name: str) -> None:
    """The question names what ends, changes nothing, and leads back; the answer ends it, once."""
    path, action, called = (text.format(**held) for text in CASES[name])
    which = called if called == "docker" else ""  # there is a login of the browser as well
    question = browser.submit(first_page(browser, path), action, which, reason="why")
    assert (question.status, live(site)) == (200, 3)
    assert called in question.text
    assert "cannot be undone" in question.text or "never comes back" in question.text
    assert path in question.links
    for wrong in ("", "no", "1"):
        assert browser.submit(question, action, sure=wrong).status == 200
    assert live(site) == 3
    assert browser.submit(question, action).status == 303
    assert live(site) < 3


def first_page(browser: Browser, path: str) -> Page:
    """The page with the form."""
    page = browser.get(path)
    assert page.status == 200
    return page


def test_every_form_that_ends_something_asks(browser: Browser, held: dict[str, str]) -> None:
    """A new one fails here until it is in the table."""
    pages = [first_page(browser, path.format(**held)) for path, _, _ in CASES.values()]
    found = {form.action for page in pages for form in page.forms if "end" in form.action.rpartition("/")[2]}
    assert found == {action.format(**held) for _, action, _ in CASES.values()}


def test_the_question_speaks_german(browser: Browser, held: dict[str, str]) -> None:
    """With what ends in it."""
    page = browser.get("/account", **{"Accept-Language": "de"})
    action = f"/account/logins/{held['login']}/end"
    browser.headers["Accept-Language"] = "de"
    question = browser.submit(page, action)
    assert "Die Anmeldung docker beenden?" in question.text
    assert "Ja, beenden" in question.text


def test_a_key_that_has_ended(browser: Browser, held: dict[str, str]) -> None:
    """A late answer changes nothing, and the reason is in the language of the page."""
    path = f"/account/keys/{held['key']}"
    question = browser.submit(browser.get(path), f"{path}/end")
    assert browser.submit(question, f"{path}/end").status == 303
    browser.headers["Accept-Language"] = "de"
    late = browser.submit(question, f"{path}/end")
    assert (late.status, "Es wurde nichts geändert: das ist schon beendet." in late.text) == (409, True)
