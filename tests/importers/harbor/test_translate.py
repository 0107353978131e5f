"""Exports of Harbor as policies: what they decide is what Harbor decides (docs/design/threats.md#threat-219)."""

from __future__ import annotations

from typing import Any

import pytest
from harbor_exports import (
    GROUPS,
    PROJECTS,
    USERS,
    access,
    content,
    exports,
    harbor_export,
    member,
    naive,
    naive_robot,
    permission,
    project,
    robot,
)
from hypothesis import given
from hypothesis import strategies as st
from imported_policies import NOW, decided, loaded, person
from imported_policies import robot as robot_here
from nasty_names import nasty_names
from slow_properties import slow_examples

from tokenserver.identity import ANONYMOUS
from tokenserver.importers.harbor.reader import read_harbor
from tokenserver.importers.harbor.translate import PROJECTS_PER_FILE, HarborPolicies, translate_harbor
from tokenserver.importers.policy_text import policy_yaml
from tokenserver.importers.report import Construct, Verdict


def translated(export: dict[str, Any], *, robots_as_users: bool = False) -> HarborPolicies:
    """The policies of an export."""
    return translate_harbor(read_harbor(content(export), "x.json"), NOW, robots_as_users=robots_as_users)


def texts(result: HarborPolicies) -> list[str]:
    """Its files."""
    return [policy_yaml(file) for file in result.files.values()]


def lost(result: HarborPolicies) -> list[tuple[str, str]]:
    """What was not translated, and why."""
    return [(one.text, one.note) for one in result.constructs if one.verdict is Verdict.NOT_TRANSLATED]


@slow_examples()
@given(exports())
def test_what_is_decided_is_what_harbor_decides(export: dict[str, Any]) -> None:
    """For every person with any group, for clients that are not logged in, and for every robot, as either sort."""
    result = translated(export)
    names = [f"{name}/x" for name in (*PROJECTS, "gone")]
    if not result.grants:
        assert not any(naive(export, user, {*GROUPS}, name) for user in USERS for name in names)
        return
    policies = loaded(*texts(result))
    for name in names:
        for user in (*USERS, "stranger"):
            assert decided(policies, person(user), name) == naive(export, user, set(), name)
            for group in GROUPS:
                assert decided(policies, person(user, group), name) == naive(export, user, {group}, name)
        assert decided(policies, ANONYMOUS, name) == naive(export, None, set(), name)
    by_old_name = {
        one.text: one.became[0].removeprefix("robot:")
        for one in result.constructs
        if one.became[:1] and "robot:" in one.became[0]
    }
    as_users = loaded(*texts(translated(export, robots_as_users=True)))
    for entry in export["robots"]:
        for name in names[:-1]:
            expected = naive_robot(export, entry, name, NOW.timestamp())
            if entry["name"] in by_old_name:
                assert decided(policies, robot_here(by_old_name[entry["name"]]), name) == expected
                assert decided(as_users, person(entry["name"]), name) == expected


_ACCESS = access("repository:pull", "repository:push")


@given(
    projects=st.lists(nasty_names, max_size=3),
    users=st.lists(nasty_names, max_size=3),
    groups=st.lists(nasty_names, max_size=2),
    robots=st.lists(nasty_names, max_size=2),
    prefix=st.sampled_from(["", "robot$"]),
    as_users=st.booleans(),
)
def test_any_names(
    projects: list[str], users: list[str], groups: list[str], robots: list[str], prefix: str, as_users: bool
) -> None:
    """Whatever things are called, the policies load, and a stranger may do nothing."""
    permissions = [permission(one, _ACCESS) for one in ("*", *projects)]
    members = [member(name, 2) for name in users] + [member(name, 2, "g", 0) for name in groups]
    result = translated(
        harbor_export(
            [project(number, name) for number, name in enumerate(projects, 1)],
            dict.fromkeys(range(1, len(projects) + 1), members),
            users=[{"username": name, "sysadmin_flag": True} for name in users],
            usergroups=[{"id": number, "group_name": name} for number, name in enumerate(groups, 1)],
            robots=[robot(f"{prefix}{name}", *permissions) for name in robots],
        ),
        robots_as_users=as_users,
    )
    if result.grants:
        policies = loaded(*texts(result))
        assert decided(policies, person("a stranger"), "web/x") == decided(policies, ANONYMOUS, "web/x") == set()


@given(exports())
def test_nothing_is_lost_silently(export: dict[str, Any]) -> None:
    """Each member, robot and project is in the report or in a rule."""
    result = translated(export)
    said = {one.text for one in result.constructs}
    assert {one["name"] for one in export["projects"]} <= said
    assert {one["name"] for one in export["robots"]} <= said
    for one in export["projects"]:
        for entry in export["members"][str(one["project_id"])]:
            if entry["role_id"] not in range(1, 6):
                assert f"{one['name']}: {entry['entity_name']}" in said


def test_a_project() -> None:
    """A group and a rule for each role, as somebody would have written them, with tests."""
    export = harbor_export(
        [project(1, "web"), project(2, "base", public=True)],
        {1: [member("ann", 1), member("bob", 2), member("devs", 2, "g", 7), member("bob", 2)]},
        usergroups=[{"id": 7, "group_name": "devs", "group_type": 3}],
    )
    result = translated(export)
    assert texts(result) == [
        """\
# Projects of Harbor: a group for each role that has members, and what it may do.
version: 1

groups:
  web/projectAdmin: {users: [ann]}
  web/developer: {users: [bob], groups: [devs]}

allow:
  - id: web-projectAdmin
    to: ["group:web/projectAdmin"]
    repositories: ["web/**"]
    role: maintainer
  - id: web-developer
    to: ["group:web/developer"]
    repositories: ["web/**"]
    role: writer
  # public projects: anybody pulls, logged in or not
  - id: public
    to: [everyone]
    repositories: ["base/**"]
    role: reader

tests:
  - {as: {user: ann}, can: ["pull web/example-image", "push web/example-image", "delete web/example-image"]}
  - {as: {user: bob}, can: ["pull web/example-image", "push web/example-image"]}
  - {as: anonymous, cannot: ["pull web/example-image"]}
  - {as: anonymous, can: ["pull base/example-image"]}
"""
    ]
    loaded(*texts(result))
    assert result.is_anonymous
    assert [(one.text, one.verdict, one.became) for one in result.constructs] == [
        ("web", Verdict.EXACT, ("web-projectAdmin", "web-developer")),
        ("base", Verdict.EXACT, ("public",)),
    ]


def test_system_administrators() -> None:
    """They may do everything, see the catalog, and administer."""
    configurations = {"auth_mode": {"value": "ldap_auth"}, "ldap_group_admin_dn": {"value": "cn=reg-ops,dc=x"}}
    users = [{"username": "root", "sysadmin_flag": True}, {"username": "ann", "sysadmin_flag": False}]
    result = translated(harbor_export([project(1, "web")], users=users, configurations=configurations))
    policies = loaded(*texts(result))
    for identity in (person("root"), person("ann", "reg-ops")):
        assert decided(policies, identity, "web/x") == {"pull", "push", "delete"}
        assert decided(policies, identity, "catalog", "registry") == {"*"}
    assert decided(policies, person("ann"), "web/x") == decided(policies, person("ann"), "catalog", "registry") == set()
    assert result.users == ("root", "ann")
    assert not result.is_anonymous


@pytest.mark.parametrize(
    ("export", "text", "note"),
    [
        pytest.param(
            harbor_export([project(1, "web")], {1: [member("ann", 9)]}),
            "web: ann",
            "the role 9 is not known; nothing was granted",
            id="an unknown role",
        ),
        pytest.param(
            harbor_export([project(1, "web")], {1: [member("ann", 3, role_name="maintainer")]}),
            "web: ann",
            "the role 3 is guest, but called 'maintainer'; nothing was granted",
            id="a role with another's name",
        ),
        pytest.param(
            harbor_export([project(1, "web")], {1: [member("ann", 1, "x")]}),
            "web: ann",
            "a member of the sort 'x' is not known; nothing was granted",
            id="an unknown sort",
        ),
        pytest.param(
            harbor_export([project(1, "web")], {1: [member("a*b", 1)]}),
            "web: a*b",
            "a name must not hold '*', a wildcard in policies",
            id="a user who cannot exist",
        ),
        pytest.param(
            harbor_export([project(1, "web")], {1: [member("x\x00", 1, "g")]}),
            "web: x\x00",
            "'x\\x00': a group name has 1 to 255 characters, and no control characters",
            id="a group that cannot exist",
        ),
        pytest.param(
            harbor_export([project(1, "web"), project(2, "web")]), "web", "it is there twice", id="a project twice"
        ),
        pytest.param(
            harbor_export([project(1, "we*")]),
            "we*",
            "the name has characters with a meaning in policies",
            id="a project like a pattern",
        ),
        pytest.param(
            harbor_export([{**project(1, "hub"), "registry_id": 4}]),
            "hub",
            "it is a cache of another registry, which only Harbor fills",
            id="a proxy cache",
        ),
        pytest.param(
            harbor_export([project(1, "web", auto_scan="true", prevent_vul="true", severity="high")]),
            "web",
            "no token server can do this: images are scanned when they are pushed; "
            "images with vulnerabilities cannot be pulled",
            id="scans",
        ),
        pytest.param(
            harbor_export(users=[{"username": "everyone", "sysadmin_flag": True}]),
            "everyone",
            "the name is reserved, as are <token>, anonymous, authenticated, everyone",
            id="an administrator who cannot exist",
        ),
    ],
)
def test_what_is_reported(export: dict[str, Any], text: str, note: str) -> None:
    """Once, and nothing is guessed: the rest still loads."""
    result = translated(export)
    assert lost(result) == [(text, note)]
    if result.grants:
        loaded(*texts(result))


def test_a_group_of_the_policies_hides_none_of_the_directory() -> None:
    """A directory may have a group of the name that a new one would have."""
    export = harbor_export([project(1, "web")], {1: [member("web/developer", 3, "g"), member("ann", 2)]})
    policies = loaded(*texts(translated(export)))
    assert decided(policies, person("bob", "web/developer"), "web/x") == {"pull"}
    assert decided(policies, person("ann"), "web/x") == {"pull", "push"}


def test_many_projects() -> None:
    """Several files, each with some of them, and one rule for the public ones of each."""
    projects = [project(number, f"p{number}", public=True) for number in range(1, PROJECTS_PER_FILE + 2)]
    result = translated(harbor_export(projects))
    assert list(result.files) == ["policies/projects-01.yaml", "policies/projects-02.yaml"]
    assert [[rule.id for rule in file.allow] for file in result.files.values()] == [["public"], ["public-2"]]
    assert result.constructs[-1] == Construct(
        f"x.json: projects[{PROJECTS_PER_FILE}]", f"p{PROJECTS_PER_FILE + 1}", Verdict.EXACT, became=("public-2",)
    )
    loaded(*texts(result))


def test_nothing() -> None:
    """An empty Harbor has no policies, which its report says."""
    result = translated(harbor_export())
    assert (dict(result.files), result.constructs, result.grants) == ({}, (), False)


def test_robots_as_users() -> None:
    """They keep their names, and need a password as users do."""
    export = harbor_export([project(1, "web")], robots=[robot("robot$web+ci")], users=[{"username": "ann"}])
    result = translated(export, robots_as_users=True)
    assert (result.users, result.user_robots, result.robots) == (("ann", "robot$web+ci"), ("robot$web+ci",), ())
    assert translated(export).robots == ("web.ci",)
