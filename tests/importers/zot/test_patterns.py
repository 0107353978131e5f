"""Patterns of zot as patterns of the policies: the same names, or more and a reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zot_configurations import NAMES, doublestar

from tokenserver.importers.zot.patterns import MAX_LENGTH, read_pattern
from tokenserver.patterns import matches


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        pytest.param("**", ["**"], id="everything"),
        pytest.param("web/**", ["web/**", "web"], id="also none"),
        pytest.param("**/**/a", ["**/a", "a"], id="in a row"),
        pytest.param("web/*-**", ["web/*-*"], id="within a segment"),
        pytest.param("{web,data}/x", ["data/x", "web/x"], id="alternatives"),
        pytest.param("{a,{b,c}}", ["a", "b", "c"], id="braces within braces"),
        pytest.param("web/shop", ["web/shop"], id="a name"),
    ],
)
def test_exact(text: str, spelled: list[str]) -> None:
    """It becomes as many patterns as it takes."""
    found = read_pattern(text)
    assert (sorted(found.spelled), found.problem) == (sorted(spelled), "")


@pytest.mark.parametrize(
    ("text", "spelled", "problem"),
    [
        pytest.param("web/?", ("web/*",), "?, [classes], escapes", id="one character"),
        pytest.param("web/[ab]*", ("web/*",), "?, [classes], escapes", id="a class"),
        pytest.param("{a", ("*a",), "?, [classes], escapes", id="a single brace"),
        pytest.param("Web/**", (), "no repository has such a name", id="capitals"),
        pytest.param("/".join(["**", "a"] * 20), ("**",), "it stands for more than 64 patterns", id="very many"),
        pytest.param("A" + "{A,B}" * 30, ("**",), "it stands for more than 64 patterns", id="very many that are none"),
        pytest.param("{" + "," * MAX_LENGTH + "}", ("**",), "it stands for more than 64 patterns", id="long"),
    ],
)
def test_not_exact(text: str, spelled: tuple[str, ...], problem: str) -> None:
    """It has a reason, and covers at least what it matches."""
    found = read_pattern(text)
    assert problem in found.problem
    assert found.spelled == spelled


_TEXTS = st.lists(
    st.sampled_from(["a", "b", "*", "**", "a*", "?", "[ab]", "{a,b}", "{a,b/**}"]), min_size=1, max_size=4
)


@given(_TEXTS.map("/".join))
def test_the_same_names(text: str) -> None:
    """As doublestar matches them; where the pattern has a problem, at least these."""
    found = read_pattern(text)
    for name in NAMES:
        covered = any(matches(one, name.split("/"), None, ()) for one in found.covering)
        assert covered or not doublestar(text, name)
        assert found.problem or covered == doublestar(text, name)
