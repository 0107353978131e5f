"""Principals as sets, and the hypothetical clients of questions."""

from __future__ import annotations

import policy_worlds as world
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.policy.model import Group, Groups, PolicySet, Principal
from tokenserver.policy.principals import (
    ANONYMOUS,
    AUTHENTICATED,
    EVERYONE,
    UNNAMED,
    client_for,
    listed,
    parted,
    principals_of,
)
from tokenserver.policy.terms import (
    TermError,
    parse_principal,
)


def test_principals_become_one_set() -> None:
    """A list of principals is the union of them."""
    found = principals_of(map(parse_principal, ["anonymous", "user:ann", "user:bob", "group:web"]))
    assert (found.everyone, found.authenticated, found.anonymous) == (False, False, True)
    assert (set(found.users), set(found.groups)) == ({"ann", "bob"}, {"web"})


principals = st.lists(st.sampled_from([*map(parse_principal, world.PRINCIPALS)]), max_size=6)


@given(principals)
def test_a_set_is_listed_as_it_was_made(found: list[Principal]) -> None:
    """In a fixed order, each once; equal sets are one object, whatever their order was."""
    made = principals_of(found)
    assert set(listed(made)) == set(found)
    assert len(listed(made)) == len(set(found))
    assert principals_of(listed(made)) == principals_of(reversed(found)) == made
    assert listed(principals_of(reversed(found))) == listed(made)


@given(principals)
def test_everyone_is_two_halves(found: list[Principal]) -> None:
    """Nobody is in both halves, and everything else stays."""
    halves = [*parted(found)]
    assert EVERYONE not in halves
    assert [one for one in halves if one not in (AUTHENTICATED, ANONYMOUS)] == [one for one in found if one.name]
    if EVERYONE in found:
        assert {AUTHENTICATED, ANONYMOUS} <= set(halves)


TREE = PolicySet("", (), (), Groups.of_all([Group("web", frozenset({"ann"}), frozenset({"devs"})), Group("ops")]), {})


@pytest.mark.parametrize(
    ("principal", "brought", "subject", "groups"),
    [
        pytest.param("anonymous", ["devs"], None, set(), id="anonymous clients bring nothing"),
        pytest.param("authenticated", [], UNNAMED, set(), id="an unnamed user"),
        pytest.param("authenticated", ["devs"], UNNAMED, {"devs", "web"}, id="who brings a group"),
        pytest.param("user:ann", [], "ann", {"web"}, id="a user with the groups of the tree"),
        pytest.param("user:bob", [], "bob", set(), id="a user in no group"),
        pytest.param("group:web", [], UNNAMED, {"web"}, id="a member, however the client joined"),
        pytest.param("group:other", [], UNNAMED, {"other"}, id="a group of a directory"),
        pytest.param("group:devs", [], UNNAMED, {"devs", "web"}, id="which is in a group of the tree"),
        pytest.param("group:ops", ["ops"], UNNAMED, {"ops"}, id="a group of the tree hides one that is brought"),
    ],
)
def test_client_for(principal: str, brought: list[str], subject: str | None, groups: set[str]) -> None:
    """The client that a question about a principal is asked for."""
    client = client_for(TREE, parse_principal(principal), brought)
    assert client.groups == groups
    if subject is None:
        assert client.identity.is_anonymous
    else:
        assert client.identity.subject == subject
    assert client.is_unnamed is (subject == UNNAMED)


def test_no_policy_can_name_the_unnamed() -> None:
    """Otherwise a question about anybody would have the answer of somebody."""
    with pytest.raises(TermError):
        parse_principal(f"user:{UNNAMED}")
