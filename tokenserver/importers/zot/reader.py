"""Reads the configuration of zot: who may do what (`http.accessControl`), and where its users are. Pure.

zot reads keys without regard to case, names of groups and patterns among them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tokenserver.importers.export_reader import ExportReader

MAX_PATTERNS = 500
"""Limit for the patterns of a configuration, of which each is compared with each."""

_OTHER_USERS = ("ldap", "openid", "apikey")
_WORDS = ("adminpolicy", "groups", "metrics", "repositories")


@dataclass(frozen=True, slots=True)
class ZotPolicy:
    """What some users and groups may do."""

    place: str
    users: tuple[str, ...]
    groups: tuple[str, ...]
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ZotRepositories:
    """The policies for one pattern; `default` is for everybody who logged in, `anonymous` for clients who did not."""

    place: str
    pattern: str
    policies: tuple[ZotPolicy, ...] = ()
    default: tuple[str, ...] = ()
    anonymous: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ZotAccess:
    """All of a configuration that matters. `users_file` is empty if zot checks none; `other_users` are other sources.

    `has_access_control` is false if everybody who logged in may do everything.
    """

    file: str
    users_file: str = ""
    other_users: tuple[str, ...] = ()
    has_access_control: bool = False
    repositories: tuple[ZotRepositories, ...] = ()
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    admin: ZotPolicy | None = None


def read_zot_access(content: bytes, file: str) -> ZotAccess:
    """The values of a configuration.

    Raises:
        LoadError: not JSON, or not what zot starts with.
    """
    reader = ExportReader(content, file)
    whole = _lower(reader, reader.whole, "")
    if not isinstance(whole.get("http"), dict):
        reader.fault("http", 'is missing; a configuration of zot is {"http": {…}, "storage": {…}}')
    http = reader.mapping(whole.get("http"), "http")
    auth = reader.mapping(http.get("auth"), "http.auth")
    users = reader.mapping(auth.get("htpasswd"), "http.auth.htpasswd")
    access = reader.mapping(http.get("accesscontrol"), "http.accessControl")
    admin = access.get("adminpolicy")
    place = "http.accessControl"
    repositories = access.get("repositories")
    if repositories is None:  # as zot 1.3 and before had it
        repositories = {key: value for key, value in access.items() if key not in _WORDS}
    found = ZotAccess(
        file,
        reader.optional_text(users, "path", "http.auth.htpasswd"),
        tuple(name for name in _OTHER_USERS if auth.get(name)),
        bool(access),
        tuple(
            _repositories(reader, pattern, value, f"{place}.repositories")
            for pattern, value in reader.mapping(repositories, f"{place}.repositories").items()
        ),
        {
            name: tuple(reader.texts(reader.mapping(value, f"{place}.groups").get("users"), f"{place}.groups.{name}"))
            for name, value in reader.mapping(access.get("groups"), f"{place}.groups").items()
        },
        None if admin is None else _policy(reader, admin, f"{place}.adminPolicy"),
    )
    if len(found.repositories) > MAX_PATTERNS:
        reader.fault(place, f"has more than {MAX_PATTERNS:,} patterns, which are too many to compare")
    reader.require_no_faults()
    return found


def _repositories(reader: ExportReader, pattern: str, value: Any, place: str) -> ZotRepositories:
    path = f"{place}.{pattern}"
    entry = reader.mapping(value, path)
    policies = reader.objects(entry.get("policies"), f"{path}.policies")
    return ZotRepositories(
        reader.place(path),
        pattern,
        tuple(_policy(reader, policy, at) for at, policy in policies),
        tuple(reader.texts(entry.get("defaultpolicy"), f"{path}.defaultPolicy")),
        tuple(reader.texts(entry.get("anonymouspolicy"), f"{path}.anonymousPolicy")),
    )


def _policy(reader: ExportReader, value: Any, path: str) -> ZotPolicy:
    entry = reader.mapping(value, path)
    lists = (tuple(reader.texts(entry.get(key), f"{path}.{key}")) for key in ("users", "groups", "actions"))
    return ZotPolicy(reader.place(path), *lists)


def _lower(reader: ExportReader, value: dict[str, Any], path: str) -> dict[str, Any]:
    """The object with lower-case keys, on all levels."""
    found: dict[str, Any] = {}
    for key, one in value.items():
        if key.lower() in found:
            reader.fault(f"{path}{key}", "is there twice, and zot would take one of the two")
        found[key.lower()] = _lowered(reader, one, f"{path}{key}.")
    return found


def _lowered(reader: ExportReader, value: Any, path: str) -> Any:
    if isinstance(value, dict):
        return _lower(reader, value, path)
    return [_lowered(reader, one, path) for one in value] if isinstance(value, list) else value
