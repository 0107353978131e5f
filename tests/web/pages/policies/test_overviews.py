"""The pages /admin/who-can and /admin/matrix: for administrators, and what the commands say."""

from __future__ import annotations

import pytest
from administered_sites import administrator, rewrite_policies
from page_visits import Browser
from stored_logins_server import StoredSite

from tokenserver.policy.answers import overviews

PAGES = ["/admin/who-can", "/admin/matrix", "/admin/policies"]


@pytest.mark.parametrize("path", PAGES)
def test_only_for_administrators(site: StoredSite, path: str) -> None:
    """Others learn that, and nothing else. docs/design/threats.md#threat-174"""
    nobody = Browser(site.client).get(path)
    assert nobody.status == 303
    browser = Browser(site.client)
    browser.log_in()
    page = browser.get(path)
    assert page.status == 403
    assert "This page is for administrators." in page.text
    assert "team" not in page.text
    browser.post("/logout", page.forms[-1].fields if page.forms else {})


@pytest.mark.parametrize("path", PAGES)
def test_no_longer_an_administrator(site: StoredSite, path: str) -> None:
    """The next request after a reload is refused."""
    browser = administrator(site)
    assert browser.get(path).status == 200
    rewrite_policies(
        site, lambda text: text.replace('administrators: ["group:ops"]', "administrators: ['user:zo\u00eb']")
    )
    assert browser.get(path).status == 403


def test_who_can(site: StoredSite) -> None:
    """Each principal, with its condition and its members."""
    browser = administrator(site)
    assert "Nobody can." not in browser.get("/admin/who-can").text
    page = browser.get("/admin/who-can?service=reg&action=*&repository=registry:catalog")
    assert "group:ops always root-ann" in page.text
    assert "Nobody can." in browser.get("/admin/who-can?action=delete&repository=team/x").text
    pushing = browser.get("/admin/who-can?action=push&repository=web/x").text
    assert "user:zo\u00eb always" in pushing


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/admin/who-can?repository=a*", "is no legal name"),
        ("/admin/who-can?repository=a&service=none", "There is no such registry."),
        ("/admin/matrix?service=none", "There is no such registry."),
    ],
)
def test_wrong_questions(site: StoredSite, path: str, expected: str) -> None:
    """A page that says what is wrong."""
    page = administrator(site).get(path)
    assert (page.status, expected in page.text) == (400, True)


def test_the_matrix(site: StoredSite) -> None:
    """A row for each principal, a column for each pattern."""
    page = administrator(site).get("/admin/matrix")
    assert page.status == 200
    assert "user:ann" in page.text
    assert "registry:catalog" in page.text
    assert page.forms[-1].fields == {"service": "reg"}


def test_too_much_for_a_page(site: StoredSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, with the command that has time. docs/design/threats.md#threat-173"""
    monkeypatch.setattr(overviews, "MAX_CELLS", 1)
    monkeypatch.setattr(overviews, "PAGE_STEPS", 1)
    browser = administrator(site)
    matrix = browser.get("/admin/matrix")
    assert (matrix.status, "run tokenserver policy matrix" in matrix.text) == (400, True)
    who = browser.get("/admin/who-can?repository=team/x")
    assert (who.status, "the limit for one page" in who.text) == (400, True)
