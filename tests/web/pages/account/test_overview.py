"""The page /account: what people see of themselves, and the logins that they end."""

from __future__ import annotations

from page_visits import Browser
from stored_logins_server import StoredSite

from tokenserver.credentials import AccessKeyForm

COOKIE = "tokenserver"


def test_who_i_am(site: StoredSite, browser: Browser) -> None:
    """The name, the source, and the groups with where they come from."""
    file = site.folder / "policies" / "policy.yaml"
    file.write_text(file.read_text().replace("ops: {users: [root-ann]}", "ops: {users: [root-ann, ann]}"))
    assert [site.parts.live.look(), site.parts.live.look()] == [False, True]
    browser.log_in()
    text = browser.get("/account").text
    assert "ann Known from htpasswd" in text
    assert "ops · from the policies" in text
    assert "administrator" not in text


def test_keys_are_those_of_this_person(site: StoredSite, browser: Browser) -> None:
    """With what narrows them; keys of others, and what has ended, are not among them."""
    site.stored(AccessKeyForm.PERSONAL, name="mine")
    site.stored(AccessKeyForm.PERSONAL, "zoë", name="hers")
    browser.log_in()
    page = browser.get("/account")
    assert "mine" in page.text
    assert "hers" not in page.text
    assert "everything you may do" in page.text


def test_end_a_login(site: StoredSite, browser: Browser) -> None:
    """A program's login ends; that of this browser has no button."""
    token = site.stored(AccessKeyForm.REFRESH, client="docker", services=frozenset({"reg"}))
    browser.log_in()
    page = browser.get("/account")
    ends = [form.action for form in page.forms if form.action.startswith("/account/logins/")]
    assert ends == [f"/account/logins/{token[5:17]}/end", "/account/logins/end-others"]
    answer = browser.end(page, ends[0])
    assert answer.response.headers["Location"] == "/account?note=login-ended"
    assert "The login has ended." in browser.get("/account?note=login-ended").text
    assert site.refresh(token, service="reg").status_code == 401


def test_end_all_other_logins(site: StoredSite, browser: Browser) -> None:
    """Other browsers are logged out; this one goes on."""
    other = Browser(browser.client.application.test_client())
    other.log_in()
    browser.log_in()
    browser.end(browser.get("/account"), "/account/logins/end-others")
    assert other.get("/account").status == 303
    assert browser.get("/account").status == 200


def test_logins_of_others_are_not_found(site: StoredSite, browser: Browser) -> None:
    """Whatever their ids are, also those of nobody."""
    token = site.stored(AccessKeyForm.REFRESH, "zoë")
    browser.log_in()
    form = browser.get("/account").form("/logout").fields
    for identifier in (token[5:17], "none", "0" * 64, "x" * 3000):
        assert browser.post(f"/account/logins/{identifier}/end", form).status == 404


def test_notes_are_from_a_closed_list(browser: Browser) -> None:
    """An address cannot make the page say something."""
    browser.log_in()
    assert "<b>x" not in browser.get("/account?note=%3Cb%3Ex").html


def test_hostile_texts(site: StoredSite, browser: Browser) -> None:
    """Names of keys, programs and addresses are text, whatever they hold."""
    nasty = "<script>alert(1)</script>'\"&{{ 7*7 }}"
    site.stored(AccessKeyForm.PERSONAL, name=nasty)
    site.stored(AccessKeyForm.REFRESH, client=nasty, created_from=nasty)
    browser.headers["User-Agent"] = nasty
    browser.log_in()
    page = browser.get("/account")
    assert "<script" not in page.html
    assert page.text.count(nasty) >= 3
