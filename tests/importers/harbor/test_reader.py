"""Exports of Harbor: what is read from the answers of its API, and faults with their places."""

from __future__ import annotations

from typing import Any

import pytest
from harbor_exports import access, content, harbor_export, member, permission, project, robot

from tokenserver.errors import LoadError
from tokenserver.importers.harbor.model import (
    HarborExport,
    HarborGroup,
    HarborMember,
    HarborPermission,
    HarborProject,
    HarborRobot,
)
from tokenserver.importers.harbor.reader import read_harbor


def read(export: dict[str, Any]) -> HarborExport:
    """The values of an export."""
    return read_harbor(content(export), "x.json")


def test_an_export() -> None:
    """Everything that matters, from answers as the API gives them."""
    found = read(
        harbor_export(
            [project(1, "web", public=True, auto_scan="true", prevent_vul="false", retention_id="4")],
            {1: [member("ann", 1), member("devs", 2, "g", 7)]},
            users=[{"username": "ann", "sysadmin_flag": True, "email": "ann@example.com"}, {"username": "bob"}],
            usergroups=[{"id": 7, "group_name": "devs", "group_type": 1, "ldap_group_dn": "cn=devs,dc=x"}],
            robots=[robot("robot$web+ci", permission("web", access("repository:push")), description="CI", duration=30)],
            configurations={"auth_mode": {"value": "ldap_auth", "editable": False}, "token_expiration": {"value": 30}},
        )
    )
    assert found == HarborExport(
        "x.json",
        (
            HarborProject(
                "x.json: projects[0]",
                1,
                "web",
                is_public=True,
                extras=("images are scanned when they are pushed", "tags are removed by rules of retention"),
                members=(
                    HarborMember("x.json: members.1[0]", "ann", "u", 1, "projectAdmin"),
                    HarborMember("x.json: members.1[1]", "devs", "g", 2, "developer", 7),
                ),
            ),
        ),
        (HarborGroup(7, "devs", "cn=devs,dc=x"),),
        ("ann", "bob"),
        ("ann",),
        (
            HarborRobot(
                "x.json: robots[0]",
                "robot$web+ci",
                description="CI",
                permissions=(HarborPermission("project", "web", (("repository", "push"),)),),
            ),
        ),
        {"auth_mode": "ldap_auth"},
    )


def test_immutable_tags() -> None:
    """Rules that are on are for the report."""
    rules = {"1": [{"id": 1, "disabled": True}], "2": [{"id": 2, "disabled": False}]}
    found = read(harbor_export([project(1, "web"), project(2, "data")], immutabletagrules=rules))
    assert [one.extras for one in found.projects] == [(), ("tags cannot be changed, by rules",)]


def test_effects() -> None:
    """What is denied is apart from what is allowed."""
    pairs = [*access("repository:pull", effect="allow"), *access("repository:push", effect="deny")]
    (found,) = read(harbor_export(robots=[robot("robot$x", permission("*", pairs))])).robots
    assert found.permissions == (
        HarborPermission("project", "*", (("repository", "pull"),), (("repository", "push"),)),
    )


def test_a_proxy_cache() -> None:
    """Its project names the registry that it is of."""
    found = read(harbor_export([{**project(1, "hub"), "registry_id": 3}, {**project(2, "web"), "registry_id": 0}]))
    assert [one.is_proxy for one in found.projects] == [True, False]


@pytest.mark.parametrize(
    ("public", "is_public"),
    [("true", True), ("false", False), (True, True), (False, False), (None, False)],
)
def test_public_projects(public: Any, is_public: bool) -> None:
    """Harbor writes the boolean as a text."""
    found = read(harbor_export([{**project(1, "web"), "metadata": {"public": public}}]))
    assert found.projects[0].is_public == is_public


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        pytest.param({"projects": None, "members": 1}, "members", "must be an object", id="a wrong type"),
        pytest.param({"robots": [1]}, "robots[0]", "must be an object", id="no object"),
        pytest.param({"members": {"9": []}}, "members.9", "is of no exported project", id="members of nothing"),
        pytest.param(
            {"projects": [project(1, "")], "members": {"1": []}},
            "projects[0].name",
            "must be text, which",
            id="no name",
        ),
        pytest.param(
            {"projects": [project(1, "web")]}, "members.1", "is missing, so the members of a project", id="no members"
        ),
        pytest.param({"users": [{"username": 3}]}, "users[0].username", "must be text", id="a name that is none"),
        pytest.param(
            {"users": [{"username": "a", "sysadmin_flag": "yes"}]},
            "users[0].sysadmin_flag",
            "must be true or false",
            id="no flag",
        ),
        pytest.param(
            {"robots": [{"name": "x", "expires_at": "never"}]},
            "robots[0].expires_at",
            "must be a whole number",
            id="time",
        ),
        pytest.param(
            {"robots": [{"name": "x", "permissions": [{"namespace": "web"}]}]},
            "robots[0].permissions[0].kind",
            "must be text, which is missing",
            id="no kind",
        ),
        pytest.param({"configurations": []}, "configurations", "must be an object", id="configurations"),
        pytest.param(
            {"errors": [{"code": "FORBIDDEN"}]}, "errors", "is an error of Harbor's API, not an export", id="an error"
        ),
    ],
)
def test_faults(change: dict[str, Any], path: str, message: str) -> None:
    """Each with its place; nothing is guessed."""
    with pytest.raises(LoadError) as refused:
        read({**harbor_export(), **change})
    (fault,) = refused.value.faults
    assert (fault.file, fault.path) == ("x.json", path)
    assert message in fault.message


def test_lists_that_are_missing() -> None:
    """All of them are named, since an answer of one path alone is no export."""
    with pytest.raises(LoadError) as refused:
        read({"projects": []})
    assert [fault.path for fault in refused.value.faults] == ["members", "robots", "usergroups", "users"]
