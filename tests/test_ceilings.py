"""What a ceiling lets a credential do at most."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from some_ceilings import ceiling

from tokenserver.ceilings import Bound, Ceiling
from tokenserver.patterns import parse_name, parse_pattern
from tokenserver.scopes import Resource

TWO = ceiling(("web/**", "pull,push"), ("web/*/site", "delete"), services={"registry", "mirror"})


@pytest.mark.parametrize(
    ("service", "name", "expected"),
    [
        pytest.param("registry", "web/a", {"pull", "push"}, id="below"),
        pytest.param("mirror", "web/a/site", {"pull", "push", "delete"}, id="both-bounds"),
        pytest.param("registry", "web", set(), id="not-below"),
        pytest.param("registry", "webs/a", set(), id="beside"),
        pytest.param("other", "web/a", set(), id="another-registry"),
    ],
)
def test_actions(service: str, name: str, expected: set[str]) -> None:
    """All bounds that cover a repository count, at the registries of the ceiling."""
    assert TWO.actions(Resource("repository", name), service) == expected


def test_a_bound_is_for_one_type() -> None:
    """A narrowing of repositories gives nothing on the registry itself, and the reverse."""
    catalog = Ceiling((Bound((parse_name("catalog"),), frozenset({"*"}), "registry"),))
    assert catalog.actions(Resource("registry", "catalog"), "any") == {"*"}
    assert catalog.actions(Resource("repository", "catalog"), "any") == set()
    assert ceiling(("**", "pull")).actions(Resource("registry", "catalog"), "any") == set()


def test_nobody_fills_a_variable() -> None:
    """Ceilings are written without variables; one that has them covers nothing."""
    ours = Ceiling((Bound((parse_pattern("u/${user}"), parse_pattern("g/${group}")), frozenset({"pull"})),))
    for name in ("u/ann", "g/web", "u/${user}"):
        assert ours.actions(Resource("repository", name), "any") == set()


NAMES = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map("/".join)


@given(st.lists(st.tuples(NAMES, st.sets(st.sampled_from(["pull", "push", "delete"])))), NAMES)
def test_of_plain_names_it_is_a_table(bounds: list[tuple[str, set[str]]], name: str) -> None:
    """Compared with a dictionary, where patterns are plain names."""
    made = ceiling(*((one, ",".join(actions)) for one, actions in bounds))
    expected = {action for one, actions in bounds if one == name for action in actions}
    assert made.actions(Resource("repository", name), "any") == expected


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (TWO, "pull and push on web/**; delete on web/*/site, at mirror and registry only"),
        (ceiling(("**", "pull")), "pull on **"),
        (Ceiling(()), "nothing"),
        (Ceiling((), frozenset()), "nothing, at no registry only"),
        (ceiling(("a", "")), "nothing on a"),
        (Ceiling((Bound((parse_name("catalog"),), frozenset({"*"}), "registry"),)), "* on registry:catalog"),
    ],
)
def test_spelled(limit: Ceiling, text: str) -> None:
    """As explanations say it: "your key is narrowed to …"."""
    assert str(limit) == text
