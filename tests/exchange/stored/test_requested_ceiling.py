"""The ceiling that a device asks for: read as a whole, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.errors import InvalidRequest
from tokenserver.exchange.stored.requested_ceiling import MAX_BOUNDS, requested_ceiling


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["repository:web/**:pull"], "pull on web/**"),
        (["repository:web/x:pull,push repository:ops/*:pull"], "pull and push on web/x; pull on ops/*"),
        (["repository:web/x:pull", "repository:web/x:pull"], "pull on web/x"),
        (["repository:web/x:*"], "pull and push and delete and * on web/x"),
        (["registry:catalog:*"], "* on registry:catalog"),
        (["repository:host:5000/x:pull"], "pull on host:5000/x"),
    ],
)
def test_what_is_asked(values: list[str], expected: str) -> None:
    """Scopes whose names are patterns, one or several to a parameter."""
    assert str(requested_ceiling(values)) == expected


@pytest.mark.parametrize("values", [[], [""], ["  "]])
def test_nothing_is_asked(values: list[str]) -> None:
    """Then nothing narrows the person."""
    assert requested_ceiling(values) is None


@pytest.mark.parametrize(
    "value",
    [
        "repository:web/x",
        "repository:web/x:",
        "repository:web/x:pull,",
        "repository:web/x:fly",
        "repository::pull",
        "repository:Web:pull",
        "repository:users/${user}/x:pull",
        "repository:teams/${group}/x:pull",
        "repository(plugin):web/x:pull",
        "registry:secrets:*",
        "blob:web/x:pull",
        "web/x:pull",
        " ".join(f"repository:web/x{number}:pull" for number in range(MAX_BOUNDS + 1)),
    ],
)
def test_what_cannot_be_asked(value: str) -> None:
    """One that is not understood might be the narrow one, so nothing is skipped."""
    with pytest.raises(InvalidRequest, match=r"^scope: "):
        requested_ceiling(["repository:web/x:pull", value])


@given(value=st.text(alphabet="repository:gst*,pulh/${}a ", max_size=60))
def test_any_text(value: str) -> None:
    """A ceiling with something in it, none, or the one error."""
    try:
        ceiling = requested_ceiling([value])
    except InvalidRequest:
        return
    assert (ceiling is None) is (not value.split())
