"""YAML text: what is written is read as the same strings, by this program's parser and by an old one."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from tokenserver.documents.strict_yaml import read_yaml
from tokenserver.documents.yaml_text import yaml_comment, yaml_flow_scalar, yaml_list, yaml_scalar

TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        pytest.param("web/shop", "web/shop", id="a name"),
        pytest.param("auth.example.com:5001", "auth.example.com:5001", id="a port"),
        pytest.param("", '""', id="nothing"),
        pytest.param("no", '"no"', id="a word that YAML 1.1 takes for a boolean"),
        pytest.param("Null", '"Null"', id="a word for nothing"),
        pytest.param("y", '"y"', id="a letter that YAML 1.1 takes for a boolean"),
        pytest.param("0123", '"0123"', id="digits"),
        pytest.param("1_000", '"1_000"', id="a number of YAML 1.1"),
        pytest.param("12:30:45", '"12:30:45"', id="a number to the base of 60"),
        pytest.param("a: b", '"a: b"', id="a key"),
        pytest.param("a #b", '"a #b"', id="a comment"),
        pytest.param("**", '"**"', id="an alias"),
        pytest.param("web/", '"web/"', id="ends with a slash"),
        pytest.param('a "b" \\', '"a \\"b\\" \\\\"', id="quotation marks"),
        pytest.param("a\nb\tc\x00\x7f\x85\u2028", '"a\\nb\\tc\\x00\\x7f\\x85\\u2028"', id="control characters"),
        pytest.param("é\U0001f600", '"é\U0001f600"', id="beyond ASCII"),
        pytest.param("\U000e0001", '"\\U000e0001"', id="invisible"),
    ],
)
def test_a_scalar(text: str, written: str) -> None:
    """It is quoted only where a parser could read something else."""
    assert yaml_scalar(text) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        pytest.param("user:ann", '"user:ann"', id="a colon"),
        pytest.param("web/shop", "web/shop", id="none"),
    ],
)
def test_a_scalar_in_brackets(text: str, written: str) -> None:
    """Old parsers reject a plain text with a colon there."""
    assert yaml_flow_scalar(text) == written


@given(st.lists(TEXTS, max_size=5))
@example(["yes", "~", "0x1F", "1e3", "=", "<<", "---", "\ufeff", "\U0010ffff", "a\r\nb", "[", "{", "user:ann"])
def test_everything_is_read_as_it_was(texts: list[str]) -> None:
    """In lists, as values and as keys, by the strict parser and by one of YAML 1.1."""
    document = f"list: {yaml_list(texts)}\n" + "".join(
        f"{yaml_scalar(f'k{number}{text}')}: {yaml_scalar(text)}\n" for number, text in enumerate(texts)
    )
    expected = {"list": texts, **{f"k{number}{text}": text for number, text in enumerate(texts)}}
    assert read_yaml(document, "x.yaml")[0] == expected
    assert yaml.safe_load(document) == expected


@pytest.mark.parametrize(
    ("text", "written"),
    [
        pytest.param("one", "  # one\n", id="a line"),
        pytest.param("one\n\ntwo ", "  # one\n  #\n  # two\n", id="several"),
        pytest.param("", "  #\n", id="empty"),
        pytest.param("a\rallow: []\u2028b\x00", "  # a allow: [] b\n", id="other ends of lines"),
    ],
)
def test_a_comment(text: str, written: str) -> None:
    """Nothing in it ends it."""
    assert yaml_comment(text, "  ") == written


@given(TEXTS)
def test_a_comment_says_nothing(text: str) -> None:
    """Whatever it holds, a parser reads what is after it and nothing else."""
    assert read_yaml(f"{yaml_comment(text)}a: b\n", "x.yaml")[0] == {"a": "b"}
    assert yaml.safe_load(f"a: b\n{yaml_comment(text, '  ')}") == {"a": "b"}
