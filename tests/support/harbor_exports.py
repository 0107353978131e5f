"""Exports of Harbor as its API v2.0 answers, made by hand, and random ones with a naive model of what they grant."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

ROLE_NAMES = {1: "projectAdmin", 2: "developer", 3: "guest", 4: "maintainer", 5: "limitedGuest"}
MAY = {1: {"pull", "push", "delete"}, 2: {"pull", "push"}, 3: {"pull"}, 4: {"pull", "push", "delete"}, 5: {"pull"}}


def project(number: int, name: str, *, public: bool = False, **metadata: str) -> dict[str, Any]:
    """An entry of `GET /projects`, with members that the importer does not need."""
    return {
        "project_id": number,
        "name": name,
        "owner_id": 1,
        "owner_name": "admin",
        "creation_time": "2024-05-01T08:00:00.000Z",
        "deleted": False,
        "current_user_role_ids": [1],
        "repo_count": 2,
        "metadata": {"public": str(public).lower(), **metadata},
    }


def member(name: str, role: int, sort: str = "u", entity: int = 1, **more: Any) -> dict[str, Any]:
    """An entry of `GET /projects/{id}/members`."""
    found = {"id": 9, "entity_id": entity, "entity_type": sort, "entity_name": name, "role_id": role}
    return {"role_name": ROLE_NAMES.get(role, ""), **found, **more}


def access(*pairs: str, effect: str = "") -> list[dict[str, str]]:
    """What a robot may do, each as `repository:pull`."""
    more = {"effect": effect} if effect else {}
    return [{"resource": pair.partition(":")[0], "action": pair.partition(":")[2], **more} for pair in pairs]


def robot(name: str, *permissions: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An entry of `GET /robots`."""
    return {
        "id": 3,
        "name": name,
        "level": "project",
        "disable": False,
        "expires_at": -1,
        "permissions": list(permissions),
        **more,
    }


def permission(namespace: str, pairs: list[dict[str, str]], kind: str = "project") -> dict[str, Any]:
    """One of a robot's permissions."""
    return {"kind": kind, "namespace": namespace, "access": pairs}


def harbor_export(
    projects: list[dict[str, Any]] | None = None,
    members: dict[int, list[dict[str, Any]]] | None = None,
    **lists: Any,
) -> dict[str, Any]:
    """A whole export; projects without members have an empty list of them."""
    projects = projects or []
    given = members or {}
    found = {str(one["project_id"]): given.get(one["project_id"], []) for one in projects}
    return {"projects": projects, "members": found, "users": [], "usergroups": [], "robots": [], **lists}


def content(export: dict[str, Any]) -> bytes:
    """The document."""
    return json.dumps(export).encode()


PROJECTS = ("web", "data", "web-2", "library")
USERS = ("ann", "bob", "no", "web")
GROUPS = ("devs", "ops", "web/developer")
ROBOTS = ("ci", "deploy")

_members = st.lists(
    st.builds(
        lambda who, role: member(who[1], role, who[0]),
        st.sampled_from([*(("u", user) for user in USERS), *(("g", group) for group in GROUPS)]),
        st.integers(0, 7),
    ),
    max_size=5,
)
_pairs = st.lists(
    st.sampled_from(["repository:pull", "repository:push", "repository:delete", "artifact:delete", "scan:create"]),
    max_size=4,
).map(lambda pairs: access(*pairs))
_permissions = st.lists(
    st.builds(
        permission, st.sampled_from([*PROJECTS, "gone", "*"]), _pairs, st.sampled_from(["project"] * 4 + ["other"])
    ),
    max_size=3,
)
_robots = st.lists(
    st.builds(
        lambda name, permissions, disable, expires: robot(
            f"robot${name}", *permissions, disable=disable, expires_at=expires
        ),
        st.sampled_from(["web+ci", "deploy", "web.ci", "data+ci"]),
        _permissions,
        st.booleans(),
        st.sampled_from([-1, -1, 1, 4_000_000_000]),
    ),
    max_size=3,
    unique_by=lambda one: str(one["name"]),
)


@st.composite
def exports(draw: st.DrawFn) -> dict[str, Any]:
    """Any small export, with roles that do not exist among them."""
    names = draw(st.lists(st.sampled_from(PROJECTS), max_size=3, unique=True))
    projects = [project(number, name, public=draw(st.booleans())) for number, name in enumerate(names, 1)]
    members = {number: draw(_members) for number in range(1, len(names) + 1)}
    users = [{"username": user, "sysadmin_flag": draw(st.booleans())} for user in draw(st.sets(st.sampled_from(USERS)))]
    return harbor_export(projects, members, users=users, robots=draw(_robots))


def naive(export: dict[str, Any], user: str | None, groups: set[str], name: str) -> set[str]:
    """What Harbor lets a person do with a repository: the roles of the person and of the groups together."""
    if any(one["username"] == user and one["sysadmin_flag"] for one in export["users"]):
        return {"pull", "push", "delete"}
    found: set[str] = set()
    for one in export["projects"]:
        if name.startswith(f"{one['name']}/"):
            found |= {"pull"} if one["metadata"]["public"] == "true" else set()
            for entry in export["members"][str(one["project_id"])]:
                is_meant = (
                    entry["entity_name"] == user if entry["entity_type"] == "u" else entry["entity_name"] in groups
                )
                found |= MAY.get(entry["role_id"], set()) if is_meant and user is not None else set()
    return found


def naive_robot(export: dict[str, Any], entry: dict[str, Any], name: str, now: float) -> set[str]:
    """What Harbor lets a robot do with a repository, if its project exists."""
    project_name = name.partition("/")[0]
    known = {one["name"]: one for one in export["projects"]}
    if entry["disable"] or 0 <= entry["expires_at"] <= now:
        return set()
    found = {"pull"} if project_name in known and known[project_name]["metadata"]["public"] == "true" else set()
    for one in entry["permissions"]:
        if one["kind"] == "project" and (one["namespace"] == "*" or one["namespace"] == project_name in known):
            found |= {pair["action"] for pair in one["access"] if pair["resource"] == "repository"}
    return found
