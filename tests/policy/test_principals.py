"""Principals as sets, and the hypothetical clients of questions."""

from __future__ import annotations

from tokenserver.policy.principals import principals_of
from tokenserver.policy.terms import (
    parse_principal,
)


def test_principals_become_one_set() -> None:
    """A list of principals is the union of them."""
    found = principals_of(map(parse_principal, ["anonymous", "user:ann", "user:bob", "group:web"]))
    assert (found.everyone, found.authenticated, found.anonymous) == (False, False, True)
    assert (set(found.users), set(found.groups)) == ({"ann", "bob"}, {"web"})
