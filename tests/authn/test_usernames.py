"""User names: which are legal, and which count as the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.usernames import canonical, name_problem


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        pytest.param("ann", None, id="plain"),
        pytest.param("ann.smith-1_x@example.com", None, id="punctuation"),
        pytest.param("zoë", None, id="not ASCII"),
        pytest.param("", "the name is empty", id="empty"),
        pytest.param("a" * 256, "the name is longer than 255 characters", id="too long"),
        pytest.param(" ann", "the name begins or ends with a blank", id="leading blank"),
        pytest.param("\u3000", "the name contains non-printable characters", id="ideographic blank"),
        pytest.param("\ufeffann", "the name contains non-printable characters", id="BOM"),
        pytest.param("a\u0308", "the name is not in Unicode normal form C, in which names are compared", id="NFD"),
        pytest.param("a:b", "a name must not hold ':' or begin with '#'", id="colon"),
        pytest.param("#ann", "a name must not hold ':' or begin with '#'", id="like a comment"),
        pytest.param("robot$ci", "a name must not hold '$' or '*'", id="robot"),
        pytest.param("${user}", "a name must not hold '$' or '*'", id="variable"),
        pytest.param("*", "a name must not hold '$' or '*'", id="wildcard"),
        *(
            pytest.param(
                name, "the name is reserved, as are <token>, anonymous, authenticated, everyone", id=f"reserved {name}"
            )
            for name in ("anonymous", "Everyone", "AUTHENTICATED", "<token>", "\uff41nonymous")
        ),
    ],
)
def test_names(name: str, problem: str | None) -> None:
    """Which names a user can have, and why not the others."""
    assert name_problem(name) == problem


@given(st.text())
def test_canonical_names_are_stable(name: str) -> None:
    """A name that was folded and is folded again goes to a counter that it always goes to."""
    assert canonical(name) == canonical(f" {name}  ")
