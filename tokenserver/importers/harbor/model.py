"""An export of Harbor as values: projects with their members, administrators and robots. Pure.

What an id or a word means that Harbor does not document is kept as it is, for the report.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ROLES = {
    1: ("projectAdmin", ("pull", "push", "delete")),
    2: ("developer", ("pull", "push")),
    3: ("guest", ("pull",)),
    4: ("maintainer", ("pull", "push", "delete")),
    5: ("limitedGuest", ("pull",)),
}
"""The roles by `role_id`, and what each may do with repositories (src/common/rbac/project/rbac_role.go)."""


@dataclass(frozen=True, slots=True)
class HarborMember:
    """One member of a project. `sort` is `u` for a user, `g` for a group, or what is written there."""

    place: str
    name: str
    sort: str
    role_id: int
    role_name: str = ""
    group_id: int = 0


@dataclass(frozen=True, slots=True)
class HarborProject:
    """One project. `extras` are its settings beyond access, such as `auto_scan`, that are on."""

    place: str
    id: int
    name: str
    is_public: bool = False
    is_proxy: bool = False
    extras: tuple[str, ...] = ()
    members: tuple[HarborMember, ...] = ()


@dataclass(frozen=True, slots=True)
class HarborGroup:
    """A user group. `dn` is its name in an LDAP directory, else empty."""

    id: int
    name: str
    dn: str = ""


@dataclass(frozen=True, slots=True)
class HarborPermission:
    """What a robot may do in a namespace, which is a project's name, `*` for all, or `/` for the system.

    `access` has pairs of a resource and an action, `denied` those with the effect `deny`.
    """

    kind: str
    namespace: str
    access: tuple[tuple[str, str], ...] = ()
    denied: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class HarborRobot:
    """A robot account. `expires_at` is in seconds since the epoch, -1 for never."""

    place: str
    name: str
    is_disabled: bool = False
    expires_at: int = -1
    description: str = ""
    permissions: tuple[HarborPermission, ...] = ()


@dataclass(frozen=True, slots=True)
class HarborExport:
    """All of an export. `settings` has text settings of its configuration, such as `auth_mode`.

    `admins` are the names of system administrators, `users` those of all users.
    """

    file: str
    projects: tuple[HarborProject, ...] = ()
    groups: tuple[HarborGroup, ...] = ()
    users: tuple[str, ...] = ()
    admins: tuple[str, ...] = ()
    robots: tuple[HarborRobot, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)

    def setting(self, name: str, default: str = "") -> str:
        """A text of the configuration."""
        return self.settings.get(name) or default
