"""The namespaces of the users of a file, and users who share one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.namespaces import FileNamespaces
from tokenserver.identity import NamespaceRule

USERS = ["john doe", "John_Doe!", "ann", "@", "?"]


def test_two_users_of_one_namespace() -> None:
    """Each has the other in the reason; users without a namespace share nothing."""
    found = FileNamespaces(USERS, NamespaceRule.SLUG)
    assert {user: found.of(user) for user in USERS} == {
        "john doe": "john-doe",
        "John_Doe!": "john-doe",
        "ann": "ann",
        "@": "",
        "?": "",
    }
    assert found.problem("john doe") == "the namespace 'john-doe' is shared with 'John_Doe!'"
    assert found.problem("John_Doe!") == "the namespace 'john-doe' is shared with 'john doe'"
    assert [found.problem(user) for user in ("ann", "@", "?")] == [None, None, None]
    assert (found.owner_of("john-doe"), found.owner_of("ann"), found.owner_of("")) == ("John_Doe!", "ann", None)


def test_without_a_rule() -> None:
    """The namespace is the name, if a segment can be it; nothing is said of it, and nobody is rejected."""
    found = FileNamespaces(USERS, None)
    assert [found.of(user) for user in USERS] == [None] * 5
    assert [found.problem(user) for user in USERS] == [None] * 5
    assert (found.owner_of("ann"), found.owner_of("john doe")) == ("ann", None)


@pytest.mark.parametrize("rule", [NamespaceRule.LOWER, NamespaceRule.SLUG])
@given(users=st.sets(st.text(st.sampled_from("aA1.-@"), min_size=1)))
def test_no_two_who_may_log_in_share_a_namespace(rule: NamespaceRule, users: set[str]) -> None:
    """Whoever has no problem has the namespace alone, or none."""
    found = FileNamespaces(users, rule)
    held = [found.of(user) for user in sorted(users) if found.problem(user) is None and found.of(user)]
    assert len(held) == len(set(held))
    alone = [user for user in users if sum(found.of(user) == found.of(other) for other in users) == 1]
    assert all(found.problem(user) is None for user in alone)
