"""The page /access: everybody learns about their own access what a token request would say, and no more."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from administered_sites import administrator
from page_visits import Browser
from stored_logins_server import StoredSite


def asked(action: str, repository: str, service: str = "reg") -> str:
    """The address of a question."""
    query = {"service": service, "action": action, "repository": repository}
    return f"/access?{urlencode(query)}"


def test_only_for_those_who_are_logged_in(site: StoredSite) -> None:
    """Others are led to the login, and back."""
    answer = Browser(site.client).get("/access")
    assert (answer.status, answer.response.headers["Location"]) == (303, "/login?next=%2Faccess")


def test_the_form(site: StoredSite) -> None:
    """It has every registry, and nothing is answered that nobody asked."""
    browser = Browser(site.client)
    browser.log_in()
    page = browser.get("/access")
    assert page.status == 200
    assert page.forms[-1].fields == {"service": "reg", "action": "pull", "repository": ""}
    assert [facts["value"] for tag, facts in page.tags if tag == "option"][:3] == ["reg", "other", "without"]
    assert "Answer" not in page.text


@pytest.mark.parametrize(
    ("action", "repository", "expected"),
    [
        pytest.param("push", "team/x", ["Yes: you may push team/x at reg.", "team allows it"], id="allowed"),
        pytest.param(
            "push",
            "team/prod/x",
            ["No: a rule forbids you to push team/prod/x at reg.", "frozen forbids it from the pipeline"],
            id="forbidden",
        ),
        pytest.param(
            "push", "web/x", ["No: no rule lets you push web/x at reg.", "Whom to ask #web in the chat"], id="no-rule"
        ),
        pytest.param(
            "*",
            "registry:catalog",
            ["What comes closest catalog grants it to group:ops: you are in none of these groups"],
            id="nearest",
        ),
    ],
)
def test_answers(site: StoredSite, action: str, repository: str, expected: list[str]) -> None:
    """With the rules that decide, what comes closest, and whom to ask; without files and lines."""
    browser = Browser(site.client)
    browser.log_in()
    page = browser.get(asked(action, repository))
    assert page.status == 200
    assert [text for text in expected if text not in page.text] == []
    assert "policy.yaml" not in page.html


def test_places_are_for_administrators(site: StoredSite) -> None:
    """They may read the files. docs/design/threats.md#threat-174"""
    page = administrator(site).get(asked("*", "registry:catalog"))
    assert "Yes: you may * registry:catalog at reg." in page.text
    assert "policy.yaml:8" in page.text
    assert any(link.startswith("/admin/who-can?service=reg") for link in page.links)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param(asked("pull", "team/*"), "is no legal name (a name, not a pattern)", id="pattern"),
        pytest.param(asked("pul", "team/x"), "unknown action 'pul'", id="action"),
        pytest.param(asked("pull", "{0}/{x}"), "is no legal name", id="braces"),
        pytest.param(asked("pull", "<b>x</b>"), "is no legal name", id="markup"),
        pytest.param(asked("pull", "x" * 2000), "has at most 512 characters", id="long"),
        pytest.param(asked("pull", "team/x", "nowhere"), "There is no such registry.", id="registry"),
    ],
)
def test_wrong_questions(site: StoredSite, path: str, expected: str) -> None:
    """A page that says what is wrong, with what was typed, escaped."""
    browser = Browser(site.client)
    browser.log_in()
    page = browser.get(path)
    assert page.status == 400
    assert expected in page.text
    assert "<b>x</b>" not in page.html


def test_the_answer_is_that_of_a_token(site: StoredSite) -> None:
    """What the page says is what the token of the same person has."""
    browser = Browser(site.client)
    browser.log_in()
    granted = site.get("ann", "ann's p\u00e4ssw\u00f6rd", "&explain=1").get_json()["scopes"][0]["granted"]
    said = [action for action in ("pull", "push", "delete") if "Yes: " in browser.get(asked(action, "team/x")).text]
    assert said == granted


def test_an_alias_is_its_registry(site: StoredSite) -> None:
    """A registry may be asked for by another of its names."""
    browser = Browser(site.client)
    browser.log_in()
    assert "Yes: you may push team/x at reg." in browser.get(asked("push", "team/x", "reg-alias")).text


def test_german(site: StoredSite) -> None:
    """In the language of the reader."""
    browser = Browser(site.client, **{"Accept-Language": "de"})
    browser.log_in()
    assert "Ja: Sie haben push f\u00fcr team/x bei reg." in browser.get(asked("push", "team/x")).text
