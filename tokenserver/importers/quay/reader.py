"""Reads an export of Quay's API v1: one JSON document with the answers of its paths. Pure.

`organizations` and `users` are lists, `members` has the members of each team by `ORGANIZATION/TEAM`, `robots` and
`prototypes` the lists of each namespace, and `permissions` those of each repository. docs/move-from-quay.md has the
script that makes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tokenserver.importers.export_reader import ExportReader
from tokenserver.importers.quay.model import (
    QuayExport,
    QuayGrant,
    QuayPrototype,
    QuayRepository,
    QuayRobot,
    QuayTeam,
    QuayUser,
)

_PARTS = ("organizations", "members", "robots", "prototypes", "repositories", "permissions", "users")


def read_quay(content: bytes, file: str) -> QuayExport:
    """The values of an export.

    Raises:
        LoadError: all faults: not JSON, a part that is missing, a member of a wrong type.
    """
    reader = ExportReader(content, file)
    whole = reader.whole
    for name in _PARTS:
        if name not in whole:
            reader.fault(name, f"is missing; an export has {', '.join(_PARTS[:-1])} and {_PARTS[-1]}")
    organizations = reader.objects(whole.get("organizations"), "organizations")
    export = QuayExport(
        file,
        tuple(reader.text(entry, "name", path) for path, entry in organizations),
        tuple(team for path, entry in organizations for team in _teams(reader, entry, path)),
        tuple(_repositories(reader, whole)),
        tuple(_prototypes(reader, whole)),
        tuple(_robots(reader, whole)),
        tuple(_user(reader, entry, path) for path, entry in reader.objects(whole.get("users"), "users")),
    )
    reader.require_no_faults()
    return export


def _teams(reader: ExportReader, entry: dict[str, Any], path: str) -> Iterator[QuayTeam]:
    organization = entry.get("name")
    members = reader.mapping(reader.whole.get("members"), "members")
    for name, value in reader.mapping(entry.get("teams"), f"{path}.teams").items():
        team = reader.mapping(value, f"{path}.teams.{name}")
        key = f"{organization}/{name}"
        if key not in members:
            reader.fault(f"members.{key}", "is missing, so the members of a team are unknown; fix: export it again")
        listed = reader.objects(members.get(key), f"members.{key}")
        invited = [one for _, one in listed if one.get("invited") is True]
        names = tuple(reader.text(one, "name", place) for place, one in listed if one.get("invited") is not True)
        role = reader.text(team, "role", f"{path}.teams.{name}")
        yield QuayTeam(reader.place(f"{path}.teams.{name}"), str(organization), name, role, names, len(invited))


def _repositories(reader: ExportReader, whole: dict[str, Any]) -> Iterator[QuayRepository]:
    permissions = reader.mapping(whole.get("permissions"), "permissions")
    for path, entry in reader.objects(whole.get("repositories"), "repositories"):
        namespace, name = reader.text(entry, "namespace", path), reader.text(entry, "name", path)
        key = f"{namespace}/{name}"
        if key not in permissions:
            reader.fault(f"permissions.{key}", "is missing, so who may use the repository is unknown")
        yield QuayRepository(
            reader.place(path),
            namespace,
            name,
            reader.flag(entry, "is_public", path),
            reader.optional_text(entry, "state", path) or "NORMAL",
            reader.optional_text(entry, "kind", path) or "image",
            tuple(_grants(reader, permissions.get(key), f"permissions.{key}")),
        )


def _grants(reader: ExportReader, value: Any, path: str) -> Iterator[QuayGrant]:
    found = reader.mapping(value, path)
    for part, sort in (("users", "user"), ("teams", "team")):
        for name, entry in reader.mapping(found.get(part), f"{path}.{part}").items():
            place = f"{path}.{part}.{name}"
            role = reader.text(reader.mapping(entry, place), "role", place)
            is_robot = sort == "user" and "+" in name
            yield QuayGrant(reader.place(place), "robot" if is_robot else sort, name, role)


def _prototypes(reader: ExportReader, whole: dict[str, Any]) -> Iterator[QuayPrototype]:
    for organization, value in reader.mapping(whole.get("prototypes"), "prototypes").items():
        for path, entry in reader.objects(value, f"prototypes.{organization}"):
            delegate = reader.mapping(entry.get("delegate"), f"{path}.delegate")
            creator = reader.mapping(entry.get("activating_user"), f"{path}.activating_user")
            name = reader.text(delegate, "name", f"{path}.delegate")
            kind = reader.text(delegate, "kind", f"{path}.delegate")
            yield QuayPrototype(
                reader.place(path),
                organization,
                "robot" if kind == "user" and "+" in name else kind,
                name,
                reader.text(entry, "role", path),
                reader.optional_text(creator, "name", f"{path}.activating_user"),
            )


def _robots(reader: ExportReader, whole: dict[str, Any]) -> Iterator[QuayRobot]:
    for namespace, value in reader.mapping(whole.get("robots"), "robots").items():
        for path, entry in reader.objects(value, f"robots.{namespace}"):
            name = reader.text(entry, "name", path)
            yield QuayRobot(reader.place(path), name, reader.optional_text(entry, "description", path))


def _user(reader: ExportReader, entry: dict[str, Any], path: str) -> QuayUser:
    return QuayUser(
        reader.place(path),
        reader.text(entry, "username", path),
        reader.flag(entry, "super_user", path),
        reader.flag(entry, "enabled", path) if entry.get("enabled") is not None else True,
    )
