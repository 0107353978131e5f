"""The pages of robots: their owners and administrators make, replace and end secrets."""

from __future__ import annotations

import re

import pytest
from page_visits import Browser, Page
from stored_logins_server import StoredSite

SECRET = re.compile(r"tknr_[0-9A-Za-z]{61}")


@pytest.fixture
def owner(site: StoredSite, browser: Browser) -> Browser:
    """ann, who owns the robot ci, is logged in."""
    file = site.folder / "policies" / "policy.yaml"
    file.write_text(file.read_text().replace("ci: {description: builds}", 'ci: {owners: ["user:ann"]}'))
    assert [site.parts.live.look(), site.parts.live.look()] == [False, True]
    browser.log_in()
    return browser


def made(page: Page) -> str:
    """The secret on a page."""
    assert page.status == 200, page.text
    return str(SECRET.findall(page.text)[0])


def test_a_life(site: StoredSite, owner: Browser) -> None:
    """Made, replaced and ended: two at most, each shown once, each form accepted once."""
    assert "/robots/ci" in owner.get("/account").links
    page = owner.get("/robots/ci")
    first = made(owner.submit(page, "/robots/ci/secrets", name="runner"))
    assert site.get("ci", first).status_code == 200
    assert owner.submit(page, "/robots/ci/secrets").status == 409
    path = f"/robots/ci/secrets/{first[5:17]}"
    answer = owner.submit(owner.get("/robots/ci"), f"{path}/replace")
    second = made(answer)
    assert "docker login -u ci reg" in answer.text
    page = owner.get("/robots/ci")
    assert second not in page.html
    assert "The robot has two secrets." in page.text
    assert owner.end(page, f"{path}/end").response.headers["Location"] == "/robots/ci?note=secret-ended"
    assert [site.get("ci", one).status_code for one in (first, second)] == [401, 200]
    assert "The secret has ended." in owner.get("/robots/ci?note=secret-ended").text


def test_a_wrong_field(owner: Browser) -> None:
    """As at keys of people."""
    answer = owner.submit(owner.get("/robots/ci"), "/robots/ci/secrets", networks="nowhere")
    assert answer.status == 400
    assert [facts["id"] for _, facts in answer.tags if facts.get("class") == "wrong"] == ["networks-wrong"]


def test_a_login_of_an_hour_ago(owner: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """The form is not shown; one from before leads to the login, with what was typed in it."""
    page = owner.get("/robots/ci")
    monkeypatch.setattr("tokenserver.management.rights.FRESH_SECONDS", -1)
    assert "log in again" in owner.get("/robots/ci").text
    owner.headers["Sec-Fetch-Site"] = "same-origin"
    refused = owner.submit(page, "/robots/ci/secrets", name="runner 7")
    assert (refused.status, "runner 7" in refused.html) == (403, True)
    assert [one for one in refused.links if one.startswith("/login?note=again")]


def test_others_do_not_find_it(browser: Browser) -> None:
    """Neither do owners a robot that nobody declares."""
    browser.log_in("zoë")
    assert [browser.get(f"/robots/{name}").status for name in ("ci", "none")] == [404, 404]
