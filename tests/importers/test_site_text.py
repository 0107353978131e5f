"""The configuration of an imported site: what the importer chose is what the server reads."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.documents.strict_yaml import read_yaml
from tokenserver.importers.site_text import SiteChoice, SiteText, site_yaml

CHOICE = SiteChoice("tokens", "registry.example.com:5000", "https://auth.example.com", "127.0.0.1:5001")


def read(site: SiteText) -> dict[str, Any]:
    """The values in the text."""
    found: dict[str, Any] = read_yaml(site_yaml(site), "x.yaml")[0]
    return found


@pytest.mark.parametrize("is_anonymous", [True, False])
def test_the_values(is_anonymous: bool) -> None:
    """They are where the server expects them."""
    assert read(SiteText("x\ny", CHOICE, compat="zot", is_anonymous=is_anonymous)) == {
        "issuer": "tokens",
        "server": {"listen": "127.0.0.1:5001", "url": "https://auth.example.com"},
        "registries": [{"service": "registry.example.com:5000", "compat": "zot"}],
        "authentication": [{"htpasswd": {"file": "users.htpasswd"}}],
        "anonymous": is_anonymous,
        "policies": "policies",
        "keys": "keys",
    }


def test_more_sources() -> None:
    """They are a comment, which becomes right when the signs are removed."""
    text = site_yaml(SiteText("x", CHOICE, sources="- ldap:\n    name: corp"))
    assert "\n  # - ldap:\n  #     name: corp\n" in text
    removed = text.replace("  # -", "  -").replace("  #     name", "      name")
    assert read_yaml(removed, "x")[0]["authentication"][1] == {"ldap": {"name": "corp"}}


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_texts(source: str, text: str) -> None:
    """Nothing that comes from outside says anything else."""
    found = read(SiteText(source, SiteChoice(text, text, text, text), sources=source))
    assert (found["issuer"], found["server"]) == (text, {"listen": text, "url": text})
    assert found.keys() == read(SiteText("x", CHOICE)).keys()
