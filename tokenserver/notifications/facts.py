"""What a registry reports: one push, pull, mount or delete, and its event in the audit trail. Pure.

Nothing that a registry sends is trusted: a name is checked, a text is truncated, and what cannot be read is recorded
as that, so that no report disappears.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from ipaddress import ip_address
from typing import Any

from tokenserver.exchange.audit_events import cut, shown
from tokenserver.scopes import is_repository_name

PUSH, PULL, MOUNT, DELETE = DEEDS = ("push", "pull", "mount", "delete")
"""What a registry can report, in its own words."""

UNREADABLE = "unreadable"
"""The action of a report that cannot be read."""

BLOB_TYPE = "application/octet-stream"
"""The media type that Distribution gives every blob: it does not know what a blob is."""

_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class RegistryDeed:
    """One report. An empty text is one that the registry did not send.

    `subject` is that of the token, empty for an anonymous client, and None if the registry does not say whose it was.
    `at` is when it happened by the clock of the registry, as audit events spell times.
    """

    id: str
    action: str
    repository: str
    subject: str | None
    at: str = ""
    tag: str = ""
    digest: str = ""
    media_type: str = ""
    size: int | None = None
    from_repository: str = ""
    client: str = ""
    user_agent: str = ""
    request_id: str = ""
    instance: str = ""

    @property
    def is_blob(self) -> bool:
        """Whether it is the push or pull of a blob: a part of an image, whose manifest has a report of its own."""
        return self.action in (PUSH, PULL) and self.media_type == BLOB_TYPE and not self.tag

    @property
    def used(self) -> list[str]:
        """The accesses that a token had to grant for it, as scopes."""
        if self.action == MOUNT:
            source = [f"repository:{self.from_repository}:pull"] if self.from_repository else []
            return [f"repository:{self.repository}:push", *source]
        return [f"repository:{self.repository}:{self.action}"]


@dataclass(frozen=True, slots=True)
class UnreadableReport:
    """A report that breaks a rule; `reason` repeats nothing of it."""

    reason: str
    id: str = ""


Report = RegistryDeed | UnreadableReport


def audit_event(report: Report, *, registry: str, request_id: str, reported_by: str | None) -> dict[str, Any]:
    """The event of a report, of which `registry` is the service name and `reported_by` the sender's address.

    Members that mean the same have the names that they have in the events of exchanges.
    """
    start: dict[str, Any] = {"event": "registry", "request_id": request_id, "registry": registry}
    if isinstance(report, UnreadableReport):
        facts: dict[str, Any] = {"action": UNREADABLE, "event_id": report.id, "reason": report.reason}
    else:
        facts = {
            "action": report.action,
            "repository": report.repository,
            "tag": report.tag,
            "digest": report.digest,
            "media_type": report.media_type,
            "size": report.size,
            "from_repository": report.from_repository,
            "client": report.client,
            "user_agent": report.user_agent,
            "registry_request_id": report.request_id,
            "instance": report.instance,
            "event_id": report.id,
            "at": report.at,
            "used": report.used,
        }
    subject = {} if isinstance(report, UnreadableReport) or report.subject is None else {"subject": report.subject}
    known = {name: value for name, value in facts.items() if value not in ("", None)}
    return {**start, **subject, **known, "reported_by": reported_by}


def text_in(value: Mapping[str, Any], name: str) -> str:
    """A text, truncated; empty if it is none. A credential that was typed where it does not belong is not repeated."""
    found = value.get(name)
    return cut(shown(found)) if isinstance(found, str) else ""


def identifier_in(value: Mapping[str, Any], name: str) -> str:
    """The id of an event; a digest of one that is too long, or not to be repeated, so that no two ids become one."""
    found = value.get(name)
    if not isinstance(found, str):
        return ""
    repeated = cut(shown(found))
    return repeated if repeated == found else f"sha256:{sha256(found.encode('utf-8', 'surrogatepass')).hexdigest()}"


def section_in(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A section; empty if there is none."""
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def size_in(value: Mapping[str, Any], name: str) -> int | None:
    """A number of bytes; None if it is none."""
    found = value.get(name)
    return found if type(found) is int and 0 <= found <= _LARGEST else None


def repository_in(value: Mapping[str, Any], name: str) -> str:
    """The name of a repository; empty if it is none."""
    found = value.get(name)
    return found if isinstance(found, str) and is_repository_name(found) else ""


def moment_in(value: Mapping[str, Any], name: str) -> str:
    """A time of RFC 3339 as audit events spell it; empty if it is none."""
    found = value.get(name)
    if not isinstance(found, str) or len(found) > len("2026-01-31T00:00:00.000000000+00:00"):
        return ""
    try:
        moment = datetime.fromisoformat(found)
        if moment.tzinfo is None:
            return ""
        return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError):
        return ""


def address_in(value: Mapping[str, Any], name: str) -> str:
    """The address of `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`; another text is truncated and kept."""
    found = text_in(value, name)
    host = found.rpartition(":")[0] if found.count(":") == 1 or found.startswith("[") else found
    for one in (host.removeprefix("[").removesuffix("]"), found.removeprefix("[").removesuffix("]")):
        try:
            return str(ip_address(one))
        except ValueError:
            continue
    return found
