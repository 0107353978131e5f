"""Differences between two answers, by resource, and between accepted and refused logins."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.exchange.peer.answer import Grants, grants_of
from tokenserver.exchange.peer.differences import AccessDifference, LoginDifference, differences
from tokenserver.scopes import ACTIONS, Resource

A, B = Resource("repository", "a"), Resource("repository", "b")


def grants(**actions: str) -> Grants:
    """Grants on repositories by their names."""
    return grants_of((Resource("repository", name), text.split()) for name, text in actions.items())


def access(resource: str, here: list[str], peer: list[str], more: list[str], less: list[str]) -> dict[str, Any]:
    """The members of a difference in access."""
    return {
        "difference": "access",
        "resource": f"repository:{resource}",
        "here": here,
        "peer": peer,
        "peer_more": more,
        "peer_less": less,
    }


HERE = {"difference": "login", "here": "accepted", "peer": "refused"}
THERE = {"difference": "login", "here": "refused", "peer": "accepted"}


@pytest.mark.parametrize(
    ("here", "peer", "has_login", "expected"),
    [
        pytest.param({}, {}, True, [], id="nothing and nothing"),
        pytest.param(grants(a="pull"), grants(a="pull"), True, [], id="the same"),
        pytest.param(None, None, True, [], id="both refuse"),
        pytest.param({}, None, True, [HERE], id="the peer refuses"),
        pytest.param(None, {}, True, [THERE], id="we refuse"),
        pytest.param(
            grants(a="pull"),
            grants(a="pull push"),
            True,
            [access("a", ["pull"], ["pull", "push"], ["push"], [])],
            id="+",
        ),
        pytest.param(
            grants(a="pull push"), {}, True, [access("a", ["pull", "push"], [], [], ["pull", "push"])], id="-"
        ),
        pytest.param(
            grants(b="pull", a="push"),
            grants(a="pull"),
            True,
            [access("a", ["push"], ["pull"], ["pull"], ["push"]), access("b", ["pull"], [], [], ["pull"])],
            id="several, in order",
        ),
        pytest.param({}, None, False, [], id="anonymous: nothing, or refused"),
        pytest.param(None, {}, False, [], id="anonymous: refused, or nothing"),
        pytest.param(None, None, False, [], id="anonymous: both refuse"),
        pytest.param(None, grants(a="pull"), False, [THERE], id="anonymous access at the peer alone"),
        pytest.param(grants(a="pull"), None, False, [HERE], id="anonymous access here alone"),
        pytest.param(grants(a="pull"), {}, False, [access("a", ["pull"], [], [], ["pull"])], id="anonymous: less"),
    ],
)
def test_differences(here: Grants | None, peer: Grants | None, has_login: bool, expected: list[dict[str, Any]]) -> None:
    """Each resource by itself; a refusal is one difference, whatever was granted."""
    assert [one.members for one in differences(here, peer, has_login=has_login)] == expected


def test_a_name_from_the_peer_is_safe_to_print() -> None:
    """It may be anything."""
    members = AccessDifference(
        Resource("repository", "a\n\x1b[2J" + "x" * 500), frozenset(), frozenset({"pull"})
    ).members
    assert members["resource"].startswith("repository:a\\n\\x1b[2J")
    assert (members["resource"].isprintable(), len(members["resource"])) == (True, 300)
    json.dumps(members)


GRANTS = st.none() | st.dictionaries(
    st.sampled_from([A, B]), st.frozensets(st.sampled_from(ACTIONS), min_size=1), max_size=2
)


@given(GRANTS, GRANTS)
def test_both_sides(here: Grants | None, peer: Grants | None) -> None:
    """None is reported exactly if they are the same, and what one side has more the other has less."""
    found, mirrored = differences(here, peer), differences(peer, here)
    assert (found == []) == (here == peer)
    assert len(found) == len(mirrored)
    for one, other in zip(found, mirrored, strict=True):
        if isinstance(one, LoginDifference):
            assert isinstance(other, LoginDifference)
            assert one.is_accepted_here != other.is_accepted_here
        else:
            assert one.members["peer_more"] == other.members["peer_less"] != one.members["peer_less"]
