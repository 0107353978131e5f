"""Hints for frequent mistakes in YAML."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.documents.strict_yaml import read_yaml
from tokenserver.documents.yaml_hints import beginners_hint
from tokenserver.errors import LoadError


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        pytest.param("a:\n  - **\n", 2, 'as in "**"', id="stars"),
        pytest.param("a: [**]\n", 1, 'as in "**"', id="stars-in-brackets"),
        pytest.param("a: [x, */shared]\n", 1, "begins with *", id="a-star-first"),
        pytest.param("a: [*x]\n", 1, "quote it if text is meant", id="an-alias"),
        pytest.param("a: *x\n", 1, "quote it if text is meant", id="an-alias-as-value"),
        pytest.param("a: [${user}/**]\n", 1, 'as in "${user}/**"', id="a-variable"),
        pytest.param("a: [x, users/${user}/**]\n", 1, "a value with ${", id="a-variable-inside"),
        pytest.param("a: [x/${user}-*]\n", 1, "a value with ${", id="a-star-after-a-variable"),
        pytest.param("a: [group:reg-{team}-rw]\n", 1, 'as in "group:reg-{team}-rw"', id="a-brace-inside"),
        pytest.param("a: [b: reg-{team}-rw]\n", 1, "a value with {", id="a-brace-inside-a-value"),
        pytest.param("a: [{team}-rw]\n", 1, "a value with {", id="braces-first"),
        pytest.param("a: [@x]\n", 1, "begins with @", id="a-sign"),
        pytest.param("a: [!x y]\n", 1, "quote it if text is meant", id="a-tag"),
        pytest.param("a:\n\tb: 1\n", 2, "fix: indent with spaces", id="a-tab"),
        pytest.param("a:\n\t- b\n", 2, "fix: indent with spaces", id="a-tab-before-an-item"),
        pytest.param("a: 1\n...\n  - b: 1\n", 3, "fix: move it above that line", id="after-the-end"),
        pytest.param("a: 1\n... # all\n\nb: 1\n", 4, "fix: move it above that line", id="a-section-after-the-end"),
    ],
)
def test_a_mistake_with_its_fix(text: str, line: int, expected: str) -> None:
    """At its line, and with what to write."""
    with pytest.raises(LoadError) as caught:
        read_yaml(text, "a.yaml")
    (fault,) = caught.value.faults
    assert fault.line == line
    assert expected in fault.message


@pytest.mark.parametrize("text", ["a: [b\n", "a: b: c\n", 'a: "x\n'])
def test_other_mistakes_have_no_hint(text: str) -> None:
    """A hint that is wrong would be worse than none."""
    with pytest.raises(LoadError) as caught:
        read_yaml(text, "a.yaml")
    assert "fix" not in caught.value.faults[0].message


@given(st.text(), st.integers(-1, 50))
def test_any_text_has_a_hint_or_none(text: str, line: int) -> None:
    """Whatever the text is, and whether it has such a line."""
    hint = beginners_hint(text, line)
    assert hint == "" or hint.startswith("; ")


def test_a_hint_does_not_repeat_the_text() -> None:
    """It may be a secret."""
    with pytest.raises(LoadError) as caught:
        read_yaml("password: @s3cret\n", "a.yaml")
    assert "s3cret" not in str(caught.value)
