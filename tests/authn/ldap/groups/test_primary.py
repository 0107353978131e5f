"""The primary group of a user."""

from __future__ import annotations

from typing import Any

import pytest
from directory_entries import BASE, USER_SID, Nothing, account, directory, entry, in_entry

from tokenserver.authn.ldap.deadline import Deadline
from tokenserver.authn.ldap.directory import GroupsBy, GroupSettings, Primary
from tokenserver.authn.ldap.groups.resolution import resolve


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"objectsid": ()}, id="no SID"),
        pytest.param({"primarygroupid": ()}, id="no number"),
        pytest.param({"primarygroupid": (b"x",)}, id="no such number"),
        pytest.param({"primarygroupid": (b"4294967296",)}, id="a number too large"),
        pytest.param({"objectsid": (USER_SID[:-1],)}, id="a SID that was cut"),
        pytest.param({"objectsid": (b"\1\0",)}, id="a SID without an end"),
        pytest.param({"objectsid": (USER_SID, USER_SID)}, id="two SIDs"),
    ],
)
def test_an_unreadable_primary_group_is_lost(more: dict[str, Any]) -> None:
    """An account whose primary group cannot be identified may be in any group."""
    groups = GroupSettings(GroupsBy.MEMBEROF, BASE, primary=Primary.SID)
    found = resolve(Nothing(), None, account(**more), directory(groups=groups), Deadline(5))  # type: ignore[arg-type]
    assert found.lost == (f"the primary group of cn=ann,{BASE}",)
    known = resolve(Nothing(), None, account(), directory(groups=groups), Deadline(5))  # type: ignore[arg-type]
    assert [one.reason for one in known.omitted] == ["not found"]


def test_no_primary_group() -> None:
    """An entry of another kind of directory has none, and nothing is lost."""
    groups = GroupSettings(GroupsBy.MEMBEROF, BASE, primary=Primary.SID)
    assert in_entry(entry(), groups) == frozenset()
