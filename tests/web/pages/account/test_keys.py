"""The pages of access keys: a key is shown once and works, and each form is accepted once."""

from __future__ import annotations

import re
import time

import pytest
from page_visits import Browser, Page
from stored_logins_server import StoredSite

from tokenserver.credentials import AccessKeyForm

KEY = re.compile(r"tknp_[0-9A-Za-z]{61}")


@pytest.fixture
def ann(browser: Browser) -> Browser:
    """ann is logged in."""
    browser.log_in()
    return browser


def made(page: Page) -> str:
    """The key on a page."""
    assert page.status == 200, page.text
    return str(KEY.findall(page.text)[0])


def test_make_a_key(site: StoredSite, ann: Browser) -> None:
    """The page has the command and the key, which logs in; nothing else ever has it."""
    answer = ann.submit(ann.get("/account/keys/new"), "/account/keys/new", name="laptop", lifetime="43200")
    key = made(answer)
    assert "docker login -u ann reg" in answer.text
    assert site.get("ann", key).status_code == 200
    assert key[17:] not in str(site.audit.events)
    page = ann.get("/account")
    assert "laptop" in page.text
    assert key not in page.html
    assert key not in ann.get(f"/account/keys/{key[5:17]}").html
    event = next(one for one in site.audit.events if one.get("action") == "create_access_key")
    assert (event["actor"], event["via"], event["outcome"]) == ("ann", "page", "done")


def test_a_reload_makes_no_second_key(site: StoredSite, ann: Browser) -> None:
    """The browser sends the same form again, and is told so."""
    page = ann.get("/account/keys/new")
    made(ann.submit(page, "/account/keys/new"))
    again = ann.submit(page, "/account/keys/new")
    assert (again.status, "accepted only once" in again.text) == (409, True)
    assert KEY.search(again.text) is None
    assert len({link for link in ann.get("/account").links if link.startswith("/account/keys/")}) == 1 + 1


def test_a_narrow_key(site: StoredSite, ann: Browser) -> None:
    """It can pull at one registry, from one network, and no more."""
    fields = {"use": "pull", "service": "reg", "repositories": "team/**\n", "networks": "192.0.2.0/24\n"}
    key = made(ann.submit(ann.get("/account/keys/new"), "/account/keys/new", **fields))
    assert site.get("ann", key, address="192.0.2.9").status_code == 200
    assert site.get("ann", key, address="198.51.100.1").status_code == 401
    page = ann.get("/account")
    assert "pull in team/**" in page.text
    assert "at reg" in page.text
    assert "from 192.0.2.0/24" in page.text


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"repositories": "team/[x]"}, "repositories"),
        ({"networks": "10.0.0.0/40"}, "networks"),
        ({"name": "a\tb"}, "name"),
        ({"service": "nowhere"}, "service"),
        ({"lifetime": "1"}, "lifetime"),
        ({"lifetime": "x"}, "lifetime"),
        ({"lifetime": "9" * 50}, "lifetime"),
        ({"use": "everything"}, "use"),
    ],
    ids=str,
)
def test_a_wrong_field(ann: Browser, fields: dict[str, str], name: str) -> None:
    """The error is beside its field, which is described by it; what was typed stays."""
    answer = ann.submit(ann.get("/account/keys/new"), "/account/keys/new", **fields)
    assert answer.status == 400
    (field,) = [facts for tag, facts in answer.tags if facts.get("id") == name]
    assert field["aria-invalid"] == "true"
    assert (field["aria-describedby"] or "").split()[0] == f"{name}-wrong"
    assert [facts["id"] for _, facts in answer.tags if facts.get("class") == "wrong"] == [f"{name}-wrong"]
    if name in {"repositories", "networks", "name"}:
        assert answer.form("/account/keys/new").fields[name] == fields[name]


def test_rename(site: StoredSite, ann: Browser) -> None:
    """By its own page, where a wrong name is refused beside the field."""
    identifier = site.stored(AccessKeyForm.PERSONAL, name="old")[5:17]
    path = f"/account/keys/{identifier}"
    assert ann.submit(ann.get(path), f"{path}/rename", name="new").status == 303
    assert "new" in ann.get("/account?note=key-renamed").text
    assert ann.submit(ann.get(path), f"{path}/rename", name="a" * 500).status == 400


def test_replace(site: StoredSite, ann: Browser) -> None:
    """The new one works, the old one for a while as well; a reload makes no third."""
    old = site.stored(AccessKeyForm.PERSONAL, ends=int(time.time()) + 9 * 86_400)
    path = f"/account/keys/{old[5:17]}"
    page = ann.get(path)
    new = made(ann.submit(page, f"{path}/replace"))
    assert [site.get("ann", one).status_code for one in (old, new)] == [200, 200]
    assert ann.submit(page, f"{path}/replace").status == 409


def test_end(site: StoredSite, ann: Browser) -> None:
    """It never works again, and its page says so."""
    key = site.stored(AccessKeyForm.PERSONAL, name="gone")
    path = f"/account/keys/{key[5:17]}"
    assert site.get("ann", key).status_code == 200
    assert ann.end(ann.get(path), f"{path}/end").response.headers["Location"] == "/account?note=key-ended"
    assert site.get("ann", key).status_code == 401
    page = ann.get(path)
    assert [form.action for form in page.forms] == ["/logout"]
    assert "gone" in ann.get("/account").text


def test_keys_of_others_are_not_found(site: StoredSite, ann: Browser) -> None:
    """Neither shown, nor renamed, replaced or ended."""
    key = site.stored(AccessKeyForm.PERSONAL, "zoë", name="hers")
    path = f"/account/keys/{key[5:17]}"
    assert ann.get(path).status == 404
    for action in ("rename", "replace", "end"):
        token = ann.get("/account/keys/new").form("/account/keys/new").fields["form"]
        assert ann.post(f"{path}/{action}", {"form": token, "name": "x"}).status == 404
    assert site.get("zoë", key).status_code == 200


def test_a_login_of_an_hour_ago(site: StoredSite, ann: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """It makes no key: the password is asked for again, and leads back. It can still end keys."""
    key = site.stored(AccessKeyForm.PERSONAL)
    path = f"/account/keys/{key[5:17]}"
    page, pages = ann.get("/account/keys/new"), ann.get(path)
    monkeypatch.setattr("tokenserver.management.rights.FRESH_SECONDS", -1)
    answer = ann.get("/account/keys/new")
    assert answer.response.headers["Location"] == "/login?next=%2Faccount%2Fkeys%2Fnew&note=again"
    login = ann.get(answer.response.headers["Location"])
    assert "To go on, log in again." in login.text
    assert login.form("/login").fields["username"] == "ann"
    refused = ann.submit(page, "/account/keys/new")
    assert (refused.status, KEY.search(refused.text)) == (403, None)
    assert ann.submit(pages, f"{path}/replace").status == 303
    assert ann.end(pages, f"{path}/end").status == 303
