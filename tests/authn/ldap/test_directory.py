"""The presets: what each kind of directory is asked for."""

from __future__ import annotations

import re

import pytest

from tokenserver.authn.ldap.directory import PRESETS, GroupsBy, Primary
from tokenserver.authn.ldap.filters import USER, check_filter

ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_valid_configuration(name: str) -> None:
    """Its filter can be sent and holds the user's name, and its attributes are names of attributes."""
    preset = PRESETS[name]
    check_filter(preset["user_filter"])
    assert preset["user_filter"].count(USER) == 1
    assert all(ATTRIBUTE.fullmatch(preset[key]) for key in ("subject", "display_name", "email"))
    assert isinstance(preset["groups_by"], GroupsBy)


@pytest.mark.parametrize("name", PRESETS)
def test_the_filter_of_a_preset_finds_users_alone(name: str) -> None:
    """It names a class of people, and looks for the attribute that becomes the subject."""
    preset = PRESETS[name]
    assert "objectClass=" in preset["user_filter"]
    assert f"({preset['subject']}={USER})" in preset["user_filter"]


def test_a_matching_rule_goes_with_nesting() -> None:
    """Only Active Directory resolves nested groups itself; its primary group is recorded by SID."""
    by_rule = {name for name, preset in PRESETS.items() if preset["by_rule"]}
    assert by_rule == {name for name, preset in PRESETS.items() if preset["groups_by"] is GroupsBy.NESTED}
    assert by_rule == {name for name, preset in PRESETS.items() if preset.get("primary") is Primary.SID}


def test_all_presets_ignore_case() -> None:
    """These directories compare names without case, so their names become lower case before a policy compares them."""
    assert {preset["lowercase"] for preset in PRESETS.values()} == {True}
