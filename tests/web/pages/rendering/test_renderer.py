"""Rendering: whatever a page is given stands there as text, in both languages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from tokenserver.web.pages.errors import PageProblem
from tokenserver.web.pages.rendering.renderer import Renderer, spell_moment
from tokenserver.web.pages.site import LoginProvider

RENDERER = Renderer(url=lambda path: path, style="/s", icon="/i")


@given(st.text())
def test_any_text_is_escaped(text: str) -> None:
    """What a template is given stands in the page as text: markup in it is none."""
    values: dict[str, object] = {"actor": None, "navigation": [], "path": "/", "form_token": lambda: text}
    page = RENDERER.render("en", "login.html", values | _login(text))
    field = page[page.index('<input id="username"') :].partition(">")[0]
    assert "<" not in field[1:]
    assert (f' value="{escape(text)}" required' in field) is bool(text)


@given(st.text(), st.sampled_from(["en", "de"]))
def test_values_in_sentences_are_escaped(text: str, language: str) -> None:
    """So do the values in translated sentences."""
    values: dict[str, object] = {"actor": None, "navigation": [], "path": "/", "form_token": lambda: "t"}
    problem = PageProblem(409, "", "Nothing was changed: {reason}.", {"reason": text})
    page = RENDERER.render(language, "login.html", values | _login("ann") | {"problem": problem})
    start = page.index("<p>", page.index('role="alert"')) + 3
    sentence = page[start : page.index("</p>", start)]
    assert str(escape(text)) in sentence
    assert "<" not in sentence


def test_a_login_page_without_passwords() -> None:
    """One button, and nothing to type a password into."""
    providers = [LoginProvider("sso", "sso", "/login/with/sso")]
    values: dict[str, object] = {"actor": None, "navigation": [], "path": "/", "form_token": lambda: "t"}
    page = RENDERER.render("en", "login.html", values | _login("") | {"providers": providers, "takes_passwords": False})
    assert page.count('href="/login/with/sso"') == 1
    assert "<form" not in page
    assert 'class="or"' not in page


def _login(username: str) -> dict[str, object]:
    return {
        "wanted": None,
        "username": username,
        "note": None,
        "problem": None,
        "providers": [],
        "takes_passwords": True,
    }


def test_moments() -> None:
    """In UTC, for people and programs."""
    assert str(spell_moment(0)) == '<time datetime="1970-01-01T00:00Z">1970-01-01 <span>00:00 UTC</span></time>'
