"""What zot asks and reads otherwise: its name for the catalog, and actions compared letter by letter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.scopes import ACTIONS, TYPES, Access, Resource, parse_scopes
from tokenserver.tokens.zot import CATALOG, as_asked, as_read


def access(name: str, *actions: str, kind: str = "repository") -> Access:
    return Access(Resource(kind, name), frozenset(actions))


NAMELESS = access("", "pull")
CATALOG_STAR = access("catalog", "*", kind="registry")


@pytest.mark.parametrize(
    ("text", "scopes", "rejected"),
    [
        pytest.param("repository::pull", ["registry:catalog:*"], [], id="alone"),
        pytest.param(
            "repository:web/x:pull repository::pull", ["repository:web/x:pull", "registry:catalog:*"], [], id="beside"
        ),
        pytest.param("registry:catalog:* repository::pull", ["registry:catalog:*"], [], id="both-names"),
        pytest.param("registry:catalog:pull repository::pull", ["registry:catalog:pull,*"], [], id="merged"),
        pytest.param("repository::push", [], ["repository::push"], id="another-action"),
        pytest.param("repository::pull,push", [], ["repository::pull,push"], id="two-actions"),
        pytest.param("registry::pull", [], ["registry::pull"], id="another-type"),
        pytest.param(
            "repository:x y::pull repository::pull",
            ["registry:catalog:*"],
            ["repository:x", "y::pull"],
            id="with-others",
        ),
        pytest.param("repository:web/x:pull", ["repository:web/x:pull"], [], id="none"),
    ],
)
def test_the_catalog_by_its_name_in_zot(text: str, scopes: list[str], rejected: list[str]) -> None:
    """Only the challenge's exact text means the catalog; anything else that is malformed stays rejected."""
    asked = as_asked(parse_scopes([text]))
    assert [str(scope) for scope in asked.scopes] == scopes
    assert [one.text for one in asked.rejected] == rejected


@pytest.mark.parametrize(
    ("granted", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([access("a", "pull")], [access("a", "pull")], id="as it is"),
        pytest.param([access("a", "*")], [access("a", "pull", "push", "delete")], id="a star spelt out"),
        pytest.param([access("a", "pull", "*")], [access("a", "pull", "push", "delete")], id="next to a star"),
        pytest.param([CATALOG_STAR], [CATALOG_STAR, NAMELESS], id="the catalog"),
        pytest.param(
            [access("catalog", "pull", kind="registry")], [access("catalog", "pull", kind="registry")], id="no star"
        ),
        pytest.param([access("other", "*", kind="registry")], [access("other", "*", kind="registry")], id="no catalog"),
    ],
)
def test_what_zot_reads(granted: list[Access], expected: list[Access]) -> None:
    """`*` means nothing to zot, so what it stands for is listed."""
    assert as_read(granted) == expected


@given(
    st.lists(
        st.builds(
            Access,
            st.builds(Resource, st.sampled_from(TYPES), st.sampled_from(["a", "a/b", "catalog"])),
            st.frozensets(st.sampled_from(ACTIONS), min_size=1),
        )
    )
)
def test_never_more_than_was_granted(granted: list[Access]) -> None:
    """Every action on every repository was granted, by its name or by a star; the catalog's name needs the catalog."""
    for read in as_read(granted):
        if read.resource.name == "":
            assert any(one.resource == CATALOG and "*" in one.actions for one in granted)
            assert read.actions == {"pull"}
            continue
        held = frozenset[str]().union(*(one.actions for one in granted if one.resource == read.resource))
        assert read.actions <= held or "*" in held
