"""Group names in policies, checked against a directory."""

from __future__ import annotations

import pytest
from directory_entries import BASE

from tokenserver.authn.ldap.directory import GroupsBy, GroupSettings
from tokenserver.authn.ldap.groups.lookup import any_group


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        pytest.param(GroupSettings(GroupsBy.POSIX, BASE), "(objectClass=posixGroup)", id="posix"),
        pytest.param(
            GroupSettings(GroupsBy.MEMBER, BASE),
            "(|(objectClass=group)(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(member=*)(uniqueMember=*))",
            id="member",
        ),
    ],
)
def test_the_filter_for_groups_in_lint(groups: GroupSettings, expected: str) -> None:
    """It finds no group that a login would not find."""
    assert any_group(groups) == expected
