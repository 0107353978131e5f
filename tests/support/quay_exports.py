"""Exports of Quay as its API v1 answers, made by hand, and random ones with a naive model of what they grant."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

MAY = {"read": {"pull"}, "write": {"pull", "push", "delete"}, "admin": {"pull", "push", "delete"}}


def organization(name: str, **teams: str) -> dict[str, Any]:
    """The answer of `GET /organization/{name}`; the role of each team."""
    found = {team: {"name": team, "description": "", "role": role, "member_count": 1} for team, role in teams.items()}
    return {"name": name, "email": "", "teams": found, "ordered_teams": list(found), "is_admin": True}


def member(name: str, **more: Any) -> dict[str, Any]:
    """A member of a team."""
    return {"name": name, "kind": "user", "is_robot": "+" in name, "invited": False, **more}


def repository(path: str, *, public: bool = False, **more: Any) -> dict[str, Any]:
    """An entry of `GET /repository`."""
    namespace, _, name = path.partition("/")
    return {"namespace": namespace, "name": name, "is_public": public, "kind": "image", "state": "NORMAL", **more}


def permissions(users: dict[str, str] | None = None, teams: dict[str, str] | None = None) -> dict[str, Any]:
    """The answers of both lists of permissions of a repository; the role of each."""
    return {
        "users": {name: {"name": name, "role": role, "is_robot": "+" in name} for name, role in (users or {}).items()},
        "teams": {name: {"name": name, "role": role} for name, role in (teams or {}).items()},
    }


def prototype(name: str, role: str, kind: str = "user", creator: str = "") -> dict[str, Any]:
    """A default permission."""
    activating = {"name": creator, "kind": "user", "is_robot": False} if creator else None
    return {"id": "1", "role": role, "activating_user": activating, "delegate": {"name": name, "kind": kind}}


def user(name: str, *, superuser: bool = False, enabled: bool = True) -> dict[str, Any]:
    """An entry of `GET /superuser/users/`."""
    return {
        "kind": "user",
        "username": name,
        "email": f"{name}@example.com",
        "super_user": superuser,
        "enabled": enabled,
    }


def quay_export(**parts: Any) -> dict[str, Any]:
    """A whole export; parts that are not given are empty."""
    empty: dict[str, Any] = {
        "organizations": [],
        "members": {},
        "robots": {},
        "prototypes": {},
        "repositories": [],
        "permissions": {},
        "users": [],
    }
    return {**empty, **parts}


def content(export: dict[str, Any]) -> bytes:
    """The document."""
    return json.dumps(export).encode()


PATHS = ("web/shop", "web/api", "data/lake", "ann/x", "bob/x")
USERS = ("ann", "bob", "eve")
ROBOTS = ("web+ci", "data+ci")
ROLES = ("read", "write", "admin", "owner")

_names = st.sampled_from([*USERS, *ROBOTS])


@st.composite
def exports(draw: st.DrawFn) -> dict[str, Any]:
    """Any small export, with roles that do not exist among them."""
    members: dict[str, Any] = {}
    organizations = []
    for name in ("web", "data"):
        teams = {team: draw(st.sampled_from(["admin", "creator", "member", "boss"])) for team in ("owners", "devs")}
        organizations.append(organization(name, **teams))
        members |= {f"{name}/{team}": [member(one) for one in draw(st.lists(_names, max_size=3))] for team in teams}
    paths = draw(st.lists(st.sampled_from(PATHS), max_size=4, unique=True))
    states = st.sampled_from(["NORMAL", "NORMAL", "READ_ONLY", "MIRROR", "ODD"])
    repositories = [repository(path, public=draw(st.booleans()), state=draw(states)) for path in paths]
    roles = st.sampled_from(ROLES)
    granted = {
        path: permissions(
            draw(st.dictionaries(_names, roles, max_size=3)),
            draw(st.dictionaries(st.sampled_from(["owners", "devs", "gone"]), roles, max_size=2)),
        )
        for path in paths
    }
    users = [user(name, superuser=draw(st.booleans()), enabled=draw(st.booleans())) for name in USERS[:2]]
    robots = {"web": [{"name": "web+ci"}], "data": [{"name": "data+ci"}] if draw(st.booleans()) else []}
    return quay_export(
        organizations=organizations,
        members=members,
        repositories=repositories,
        permissions=granted,
        users=users,
        robots=robots,
    )


def naive(export: dict[str, Any], who: str | None, path: str) -> set[str]:
    """What Quay lets a user or robot do with an existing repository."""
    (found,) = [one for one in export["repositories"] if f"{one['namespace']}/{one['name']}" == path]
    may = {"pull"} if found["is_public"] else set()
    is_disabled = any(one["username"] == who and not one["enabled"] for one in export["users"])
    known_robots = {one["name"] for listed in export["robots"].values() for one in listed}
    if who is not None and not is_disabled and ("+" not in who or who in known_robots):
        namespace = found["namespace"]
        if namespace == who and any(one["username"] == who for one in export["users"]):
            may |= MAY["admin"]
        may |= MAY.get(export["permissions"][path]["users"].get(who, {}).get("role", ""), set())
        for one in export["organizations"]:
            for team, facts in one["teams"].items():
                if one["name"] == namespace and any(
                    entry["name"] == who for entry in export["members"][f"{namespace}/{team}"]
                ):
                    may |= MAY["admin"] if facts["role"] == "admin" and "+" not in who else set()
                    may |= MAY.get(export["permissions"][path]["teams"].get(team, {}).get("role", ""), set())
    return may if found["state"] == "NORMAL" else may & {"pull"}
