"""Reads an export of Harbor's API v2.0: one JSON document with the answers of its lists, whole. Pure.

`projects`, `users`, `usergroups` and `robots` are the lists of all pages; `members` has the list of each project by
its id. `immutabletagrules`, likewise by project, and `configurations`, the answer of that path, may be absent.
docs/move-from-harbor.md has the script.
"""

from __future__ import annotations

from typing import Any

from tokenserver.importers.export_reader import ExportReader
from tokenserver.importers.harbor.model import (
    HarborExport,
    HarborGroup,
    HarborMember,
    HarborPermission,
    HarborProject,
    HarborRobot,
)

_LISTS = ("projects", "users", "usergroups", "robots")
_EXTRAS = {
    "auto_scan": "images are scanned when they are pushed",
    "prevent_vul": "images with vulnerabilities cannot be pulled",
    "enable_content_trust": "images without a signature cannot be pulled",
    "enable_content_trust_cosign": "images without a cosign signature cannot be pulled",
    "auto_sbom_generation": "a list of contents is made when images are pushed",
    "retention_id": "tags are removed by rules of retention",
}


def read_harbor(content: bytes, file: str) -> HarborExport:
    """The values of an export.

    Raises:
        LoadError: all faults: not JSON, a list that is missing, a member of a wrong type.
    """
    reader = ExportReader(content, file)
    whole = reader.whole
    if isinstance(whole.get("errors"), list):
        reader.fault("errors", "is an error of Harbor's API, not an export; fix: export as a system administrator")
    for name in (*_LISTS, "members"):
        if name not in whole:
            reader.fault(name, "is missing; an export has projects, members, users, usergroups and robots")
    members = reader.mapping(whole.get("members"), "members")
    projects = tuple(
        _project(reader, entry, path, members) for path, entry in reader.objects(whole.get("projects"), "projects")
    )
    known = {str(project.id) for project in projects}
    for name in members:
        if name not in known:
            reader.fault(f"members.{name}", "is of no exported project; fix: export it again")
    users = [(entry, path) for path, entry in reader.objects(whole.get("users"), "users")]
    export = HarborExport(
        file,
        projects,
        tuple(_group(reader, entry, path) for path, entry in reader.objects(whole.get("usergroups"), "usergroups")),
        tuple(reader.text(entry, "username", path) for entry, path in users),
        tuple(entry["username"] for entry, path in users if reader.flag(entry, "sysadmin_flag", path)),
        tuple(_robot(reader, entry, path) for path, entry in reader.objects(whole.get("robots"), "robots")),
        _settings(reader, whole.get("configurations")),
    )
    reader.require_no_faults()
    return export


def _project(reader: ExportReader, entry: dict[str, Any], path: str, members: dict[str, Any]) -> HarborProject:
    metadata = reader.mapping(entry.get("metadata"), f"{path}.metadata")
    identifier = reader.number(entry, "project_id", path)
    key = str(identifier)
    if "members" not in entry and key not in members:
        reader.fault(f"members.{key}", "is missing, so the members of a project are unknown; fix: export it again")
    found = reader.objects(members.get(key), f"members.{key}")
    immutable = reader.mapping(reader.whole.get("immutabletagrules"), "immutabletagrules").get(key)
    rules = [rule for _, rule in reader.objects(immutable, f"immutabletagrules.{key}") if not rule.get("disabled")]
    extras = [text for name, text in _EXTRAS.items() if metadata.get(name) not in (None, "", "false", False)]
    return HarborProject(
        reader.place(path),
        identifier,
        reader.text(entry, "name", path),
        _is_on(reader, metadata, "public", f"{path}.metadata"),
        is_proxy=entry.get("registry_id") not in (None, 0),
        extras=(*extras, *(["tags cannot be changed, by rules"] if rules else [])),
        members=tuple(_member(reader, member, place) for place, member in found),
    )


def _is_on(reader: ExportReader, metadata: dict[str, Any], key: str, path: str) -> bool:
    """A boolean that Harbor writes as a text."""
    value = metadata.get(key)
    if value in ("true", "false"):
        return bool(value == "true")
    return reader.flag(metadata, key, path)


def _member(reader: ExportReader, entry: dict[str, Any], path: str) -> HarborMember:
    sort = reader.text(entry, "entity_type", path)
    return HarborMember(
        reader.place(path),
        reader.text(entry, "entity_name", path),
        sort,
        reader.number(entry, "role_id", path),
        reader.optional_text(entry, "role_name", path),
        reader.number(entry, "entity_id", path) if sort == "g" and "entity_id" in entry else 0,
    )


def _group(reader: ExportReader, entry: dict[str, Any], path: str) -> HarborGroup:
    return HarborGroup(
        reader.number(entry, "id", path),
        reader.text(entry, "group_name", path),
        reader.optional_text(entry, "ldap_group_dn", path),
    )


def _robot(reader: ExportReader, entry: dict[str, Any], path: str) -> HarborRobot:
    permissions = reader.objects(entry.get("permissions"), f"{path}.permissions")
    return HarborRobot(
        reader.place(path),
        reader.text(entry, "name", path),
        reader.flag(entry, "disable", path),
        reader.number(entry, "expires_at", path) if entry.get("expires_at") is not None else -1,
        reader.optional_text(entry, "description", path),
        tuple(_permission(reader, permission, place) for place, permission in permissions),
    )


def _permission(reader: ExportReader, entry: dict[str, Any], path: str) -> HarborPermission:
    allowed: list[tuple[str, str]] = []
    denied: list[tuple[str, str]] = []
    for place, access in reader.objects(entry.get("access"), f"{path}.access"):
        pair = (reader.text(access, "resource", place), reader.text(access, "action", place))
        is_allowed = reader.optional_text(access, "effect", place) in ("", "allow")
        (allowed if is_allowed else denied).append(pair)
    return HarborPermission(
        reader.text(entry, "kind", path), reader.text(entry, "namespace", path), tuple(allowed), tuple(denied)
    )


def _settings(reader: ExportReader, value: Any) -> dict[str, str]:
    """The text settings of `GET /configurations`, which has an object with `value` for each."""
    found = {}
    for name, entry in reader.mapping(value, "configurations").items():
        held = entry.get("value") if isinstance(entry, dict) else None
        if isinstance(held, str):
            found[name] = held
    return found
