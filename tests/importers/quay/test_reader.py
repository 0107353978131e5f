"""Exports of Quay: what is read from the answers of its API, and faults with their places."""

from __future__ import annotations

from typing import Any

import pytest
from quay_exports import content, member, organization, permissions, prototype, quay_export, repository, user

from tokenserver.errors import LoadError
from tokenserver.importers.quay.model import (
    QuayExport,
    QuayGrant,
    QuayPrototype,
    QuayRepository,
    QuayRobot,
    QuayTeam,
    QuayUser,
)
from tokenserver.importers.quay.reader import read_quay


def read(export: dict[str, Any]) -> QuayExport:
    """The values of an export."""
    return read_quay(content(export), "x.json")


def test_an_export() -> None:
    """Everything that matters, from answers as the API gives them."""
    found = read(
        quay_export(
            organizations=[organization("web", devs="member")],
            members={"web/devs": [member("ann"), {"kind": "invite", "email": "x@example.com", "invited": True}]},
            robots={"web": [{"name": "web+ci", "description": "builds"}]},
            prototypes={"web": [prototype("web+ci", "read", creator="ann"), prototype("devs", "read", "team")]},
            repositories=[repository("web/shop", public=True), repository("web/old", state=None, kind=None)],
            permissions={"web/shop": permissions({"ann": "read", "web+ci": "write"}, {"devs": "admin"}), "web/old": {}},
            users=[user("ann", superuser=True), {"username": "bob"}],
        )
    )
    at = "x.json: permissions.web/shop"
    assert found == QuayExport(
        "x.json",
        ("web",),
        (QuayTeam("x.json: organizations[0].teams.devs", "web", "devs", "member", ("ann",), 1),),
        (
            QuayRepository(
                "x.json: repositories[0]",
                "web",
                "shop",
                is_public=True,
                grants=(
                    QuayGrant(f"{at}.users.ann", "user", "ann", "read"),
                    QuayGrant(f"{at}.users.web+ci", "robot", "web+ci", "write"),
                    QuayGrant(f"{at}.teams.devs", "team", "devs", "admin"),
                ),
            ),
            QuayRepository("x.json: repositories[1]", "web", "old"),
        ),
        (
            QuayPrototype("x.json: prototypes.web[0]", "web", "robot", "web+ci", "read", "ann"),
            QuayPrototype("x.json: prototypes.web[1]", "web", "team", "devs", "read"),
        ),
        (QuayRobot("x.json: robots.web[0]", "web+ci", "builds"),),
        (
            QuayUser("x.json: users[0]", "ann", is_superuser=True),
            QuayUser("x.json: users[1]", "bob"),
        ),
    )


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        pytest.param(
            {"organizations": [organization("web", devs="member")]}, "members.web/devs", "is missing", id="no members"
        ),
        pytest.param({"repositories": [repository("a/b")]}, "permissions.a/b", "is missing", id="no permissions"),
        pytest.param({"users": [{}]}, "users[0].username", "must be text, which is missing", id="no name"),
        pytest.param({"users": 1}, "users", "must be a list of objects", id="a wrong type"),
        pytest.param(
            {"organizations": [{"name": "web", "teams": {"a": {}}}], "members": {"web/a": []}},
            "organizations[0].teams.a.role",
            "must be text, which is missing",
            id="no role",
        ),
    ],
)
def test_faults(change: dict[str, Any], path: str, message: str) -> None:
    """Each with its place; nothing is guessed."""
    with pytest.raises(LoadError) as refused:
        read({**quay_export(), **change})
    (fault,) = refused.value.faults
    assert (fault.path, message in fault.message) == (path, True)


def test_parts_that_are_missing() -> None:
    """All of them are named."""
    with pytest.raises(LoadError) as refused:
        read({"repositories": []})
    assert [fault.path for fault in refused.value.faults] == [
        *("members", "organizations", "permissions", "prototypes", "robots", "users"),
    ]
