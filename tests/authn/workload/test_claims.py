"""Claims as policies compare them: paths and texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.workload.claims import (
    MAX_CLAIMS,
    MAX_PATH,
    MAX_TEXT,
    MAX_VALUES,
    as_pairs,
    flatten,
)
from tokenserver.authn.workload.jwt_reader import RefusedJwt
from tokenserver.authn.workload.presets import NO_ALIASES, PRESETS

KUBERNETES = {
    "aud": ["https://auth.example.com"],
    "kubernetes.io": {
        "namespace": "web",
        "node": {"name": "n1", "uid": "u1"},
        "pod": {"name": "p-1", "uid": "u2"},
        "serviceaccount": {"name": "puller", "uid": "u3"},
        "warnafter": 1800000000,
    },
    "sub": "system:serviceaccount:web:puller",
}


@pytest.mark.parametrize(
    ("claims", "found"),
    [
        pytest.param({}, {}, id="none"),
        pytest.param({"ref": "refs/heads/main"}, {"ref": ("refs/heads/main",)}, id="text"),
        pytest.param({"a": ""}, {"a": ("",)}, id="empty text"),
        pytest.param({"a": True, "b": False}, {"a": ("true",), "b": ("false",)}, id="booleans"),
        pytest.param({"a": 74, "b": -1}, {"a": ("74",), "b": ("-1",)}, id="integers"),
        pytest.param({"a": 1.0, "b": None}, {}, id="floats and null"),
        pytest.param({"a": ["x", "y", "x"]}, {"a": ("x", "y")}, id="array"),
        pytest.param(
            {"a": ["x", 1, True, None, 1.5, [], ["z"], {"b": "c"}]}, {"a": ("x", "1", "true")}, id="mixed array"
        ),
        pytest.param({"a": [], "b": [None]}, {}, id="arrays without a value"),
        pytest.param({"a": {"b": {"c": "x"}, "d": ["y"]}}, {"a/b/c": ("x",), "a/d": ("y",)}, id="objects"),
        pytest.param({"a": {}}, {}, id="empty object"),
        pytest.param({"a/b": "x"}, {"a/b": ("x",)}, id="a slash in a name"),
        pytest.param({"a/b": "x", "a": {"b": "x"}}, {}, id="two claims with one path"),
        pytest.param({"a": {"b": "x"}, "a/b": None}, {}, id="one of the two absent"),
        pytest.param({"": "x", "a": {"": "x"}, "b\n": "x"}, {}, id="names that cannot be written"),
        pytest.param(
            {"": "x", "a": {"\n": "x", "b": "y"}, "c": "z"}, {"a/b": ("y",), "c": ("z",)}, id="others after them"
        ),
        pytest.param({"a": "x\ny", "b": "x\0", "c": ["\u202e", "z"]}, {"c": ("z",)}, id="text that cannot be printed"),
        pytest.param({"a": "x" * MAX_TEXT, "b": "x" * (MAX_TEXT + 1)}, {"a": ("x" * MAX_TEXT,)}, id="long text"),
        pytest.param({"a" * MAX_PATH: "x", "b" * (MAX_PATH + 1): "x"}, {"a" * MAX_PATH: ("x",)}, id="long name"),
        pytest.param({"a" * 200: {"b" * 60: "x"}}, {}, id="long path"),
        pytest.param({"exp": 1, "nbf": 1, "iat": 1, "jti": "x", "iss": "y"}, {"iss": ("y",)}, id="about the token"),
        pytest.param({"a": {"exp": 1}}, {"a/exp": ("1",)}, id="the same name elsewhere"),
        pytest.param({"a": 10**1023, "b": 10**1024}, {"a": (f"1{'0' * 1023}",)}, id="long integers"),
    ],
)
def test_paths_and_texts(claims: dict[str, Any], found: dict[str, tuple[str, ...]]) -> None:
    """What cannot be compared as text is absent."""
    assert flatten(claims, NO_ALIASES) == found


def test_kubernetes() -> None:
    """Short names and paths, side by side."""
    found = flatten(KUBERNETES, PRESETS["kubernetes"].aliases)
    assert found["namespace"] == found["kubernetes.io/namespace"] == ("web",)
    assert found["serviceaccount"] == found["kubernetes.io/serviceaccount/name"] == ("puller",)
    assert (found["pod"], found["sub"]) == (("p-1",), ("system:serviceaccount:web:puller",))
    assert found["kubernetes.io/warnafter"] == ("1800000000",)


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"namespace": "other", "kubernetes.io": {"namespace": "web"}}, id="both"),
        pytest.param({"kubernetes.io": {"namespace": "web"}, "namespace": ["other"]}, id="the other order"),
    ],
)
def test_an_alias_is_the_claim_of_its_path(claims: dict[str, Any]) -> None:
    """A claim that has the alias as its name is not taken for it."""
    assert flatten(claims, PRESETS["kubernetes"].aliases)["namespace"] == ("web",)


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"namespace": "web"}, id="only the name"),
        pytest.param({"namespace": "web", "kubernetes.io": {"namespace": None}}, id="no text"),
        pytest.param(
            {"namespace": "web", "kubernetes.io/namespace": "a", "kubernetes.io": {"namespace": "b"}}, id="two"
        ),
    ],
)
def test_an_alias_of_nothing_is_absent(claims: dict[str, Any]) -> None:
    """Where its path is absent, it never matches."""
    assert "namespace" not in flatten(claims, PRESETS["kubernetes"].aliases)


def test_limits() -> None:
    """As many claims and values as the limits, and not one more."""
    claims = {f"c{number}": number for number in range(MAX_CLAIMS)}
    assert len(flatten(claims, NO_ALIASES)) == MAX_CLAIMS
    with pytest.raises(RefusedJwt, match="wrong user name or password") as caught:
        flatten({**claims, "one": {"more": 1}}, NO_ALIASES)
    assert caught.value.reason == "the JWT has more than 256 claims"
    values = [str(number) for number in range(MAX_VALUES)]
    assert flatten({"a": values}, NO_ALIASES) == {"a": tuple(values)}
    with pytest.raises(RefusedJwt) as caught:
        flatten({"a": [*values, "x"]}, NO_ALIASES)
    assert caught.value.reason == "the JWT has a claim with more than 256 values"


def test_pairs() -> None:
    """As an identity has them: each value of a claim by itself."""
    assert as_pairs({"a": ("x", "y"), "b/c": ("z",)}) == {("a", "x"), ("a", "y"), ("b/c", "z")}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/\n", max_size=3), inner, max_size=3),
    max_leaves=8,
)


def reach(claims: Mapping[str, Any], path: str) -> list[Any]:
    """Every value that has this path, by trying each beginning of it as a name."""
    found = [claims[path]] if path in claims and not isinstance(claims[path], dict) else []
    for at, character in enumerate(path):
        inner = claims.get(path[:at])
        if character == "/" and 0 < at < len(path) - 1 and isinstance(inner, dict):
            found += reach(inner, path[at + 1 :])
    return found


@given(st.dictionaries(st.text("ab/", max_size=3), JSON, max_size=4))
def test_every_claim_is_where_its_path_says(claims: dict[str, Any]) -> None:
    """Once and no more, and with values that are printable texts."""
    for path, texts in flatten(claims, NO_ALIASES).items():
        (value,) = reach(claims, path)
        listed = value if isinstance(value, list) else [value]
        wanted = {
            str(one).lower() if isinstance(one, bool) else str(one) for one in listed if isinstance(one, str | int)
        }
        assert set(texts) <= wanted
        assert len(set(texts)) == len(texts) > 0
        assert all(text.isprintable() for text in texts)
