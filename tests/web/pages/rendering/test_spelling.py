"""Programs and limits in a few words."""

from __future__ import annotations

import pytest

from tokenserver.ceilings import Bound, Ceiling
from tokenserver.patterns import parse_pattern
from tokenserver.web.pages.rendering.spelling import bounds_of, spell_program

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
EDGE = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1"


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (FIREFOX, "Firefox, Linux"),
        (EDGE, "Edge, Windows"),
        (PHONE, "Safari, iPhone"),
        ("curl/8.0", "curl"),
        ("", ""),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 60 + "…"),
    ],
)
def test_programs(agent: str, expected: str) -> None:
    """By their usual names; what is unknown is shown as it calls itself, and shortened."""
    assert spell_program(agent) == expected


def test_bounds() -> None:
    """The actions in their usual order with the patterns; none for all repositories, nothing for no ceiling."""
    web = (parse_pattern("web/**"), parse_pattern("x"))
    ceiling = Ceiling(
        (Bound(web, frozenset({"push", "pull"})), Bound((parse_pattern("**"),), frozenset({"pull"}))), None
    )
    assert bounds_of(ceiling) == [("pull, push", "web/**, x"), ("pull", "")]
    assert bounds_of(None) == []
    assert bounds_of(Ceiling((Bound((parse_pattern("catalog"),), frozenset({"*"}), "registry"),), None)) == []
