"""Forms and Basic credentials as Go reads them."""

from __future__ import annotations

import pytest

from tokenserver.importers.golang.forms import basic_credentials, parse_form


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", {}, id="nothing"),
        pytest.param("a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}, id="repeated"),
        pytest.param("a&=x&b=", {"a": [""], "": ["x"], "b": [""]}, id="empty names and values"),
        pytest.param("a=1&&b=2", {"a": ["1"], "b": ["2"]}, id="an empty pair"),
        pytest.param("a=b=c", {"a": ["b=c"]}, id="a second equals sign"),
        pytest.param("a=1;b=2&c=3", {"c": ["3"]}, id="a semicolon"),
        pytest.param("a=%zz&b=%4&c=3&%=4", {"c": ["3"]}, id="broken escapes"),
        pytest.param("a+b=%2B+%41", {"a b": ["+ A"]}, id="escapes"),
        pytest.param("a=%C3%A9%ff", {"a": ["é\udcff"]}, id="bytes"),
    ],
)
def test_forms(text: str, expected: dict[str, list[str]]) -> None:
    """The values of each name."""
    assert parse_form(text) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(None, None, id="none"),
        pytest.param("Basic YTpiOmM=", ("a", "b:c"), id="a colon in the password"),
        pytest.param("bAsIc Og==", ("", ""), id="both empty"),
        pytest.param(" Basic YTpi ", ("a", "b"), id="blanks around"),
        pytest.param("Basic YQ==", None, id="no colon"),
        pytest.param("Basic YTpi=", None, id="too much padding"),
        pytest.param("Basic YTo", None, id="no padding"),
        pytest.param("Basic \xe9", None, id="no base64"),
        pytest.param("Bearer YTpi", None, id="another scheme"),
    ],
)
def test_basic(header: str | None, expected: tuple[str, str] | None) -> None:
    """User and password, or none."""
    assert basic_credentials(header) == expected
