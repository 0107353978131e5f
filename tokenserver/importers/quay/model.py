"""An export of Quay as values: teams, repositories with their permissions, robots and users. Pure.

Roles are kept as they are written, for the report on those that are not known.
"""

from __future__ import annotations

from dataclasses import dataclass

REPOSITORY_ROLES = {"read": "reader", "write": "maintainer", "admin": "maintainer"}
"""The roles on a repository, and the role here: `write` deletes manifests as well (endpoints/v2/manifest.py)."""

TEAM_ROLES = ("admin", "creator", "member")


@dataclass(frozen=True, slots=True)
class QuayTeam:
    """A team of an organization; the members are users and robots by their names, a robot's with a `+`."""

    place: str
    organization: str
    name: str
    role: str
    members: tuple[str, ...] = ()
    invited: int = 0


@dataclass(frozen=True, slots=True)
class QuayGrant:
    """A permission on a repository, of a `team`, `user` or `robot`."""

    place: str
    sort: str
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class QuayRepository:
    """A repository. `state` is `NORMAL`, `READ_ONLY` or `MIRROR`, `kind` is `image` or `application`."""

    place: str
    namespace: str
    name: str
    is_public: bool = False
    state: str = "NORMAL"
    kind: str = "image"
    grants: tuple[QuayGrant, ...] = ()

    @property
    def path(self) -> str:
        """What clients call it, without the registry."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class QuayPrototype:
    """A default permission of an organization, for repositories that are created later.

    `creator` restricts it to those that this user creates; empty: anybody.
    """

    place: str
    organization: str
    sort: str
    name: str
    role: str
    creator: str = ""


@dataclass(frozen=True, slots=True)
class QuayRobot:
    """A robot account of an organization or user, such as `web+ci`."""

    place: str
    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class QuayUser:
    """A user, who owns the namespace of the name."""

    place: str
    name: str
    is_superuser: bool = False
    is_enabled: bool = True


@dataclass(frozen=True, slots=True)
class QuayExport:
    """All of an export."""

    file: str
    organizations: tuple[str, ...] = ()
    teams: tuple[QuayTeam, ...] = ()
    repositories: tuple[QuayRepository, ...] = ()
    prototypes: tuple[QuayPrototype, ...] = ()
    robots: tuple[QuayRobot, ...] = ()
    users: tuple[QuayUser, ...] = ()
