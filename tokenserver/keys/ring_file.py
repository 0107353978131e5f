"""`ring.json`: the signing keys with their states. It is replaced atomically, which commits a change."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from tokenserver.documents.document import parse, validate
from tokenserver.errors import LoadError

State = Literal["next", "active", "retired"]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_YEARS = range(2000, 3000)
"""Far from the limits of `datetime`, so that adding a duration cannot overflow."""


def _file_name(key_id: str) -> str:
    """Validate an id, which names files and so must not lead out of the folder."""
    if _ID.fullmatch(key_id) is None:
        raise ValueError("must be letters, digits, - and _, at most 64")
    return key_id


def _moment(value: Any) -> Any:
    """A time with its zone, in UTC (RFC 3339, section 5.6)."""
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or moment.year not in _YEARS:
        raise ValueError(f"must be a time such as 2027-01-31T12:00:00Z, not {value!r}")
    return moment.astimezone(UTC)


class RingEntry(BaseModel):
    """One signing key and its state. `since` is when that state began; None if it was not recorded."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    id: Annotated[str, AfterValidator(_file_name)]
    state: State
    since: Annotated[datetime, BeforeValidator(_moment)] | None = None


class RingFile(BaseModel):
    """The content of the file."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    version: Literal[1]
    keys: tuple[RingEntry, ...] = Field(strict=False)


def read_entries(text: str, file: str) -> tuple[RingEntry, ...]:
    """The signing keys in the order of the file.

    Raises:
        LoadError: every fault, with its line: unknown members, an id twice, no active key or several.
    """
    document = parse(text, file)
    content = validate(document, RingFile)
    faults = []
    seen: set[str] = set()
    active = [index for index, entry in enumerate(content.keys) if entry.state == "active"]
    for index, entry in enumerate(content.keys):
        if entry.id in seen:
            faults.append(document.fault(("keys", index, "id"), f"the key {entry.id} is listed twice"))
        seen.add(entry.id)
    for index in active[1:]:
        faults.append(document.fault(("keys", index, "state"), "a second active key; exactly one key signs"))
    if not active:
        faults.append(document.fault(("keys",), "no key is active; exactly one key signs"))
    if faults:
        raise LoadError(faults)
    return content.keys


def write_entries(entries: Iterable[RingEntry]) -> bytes:
    """The content of `ring.json` for these keys."""
    keys = []
    for entry in entries:
        written = {"id": entry.id, "state": entry.state}
        if entry.since is not None:
            since = entry.since.astimezone(UTC)
            written["since"] = since.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        keys.append(written)
    return json.dumps({"version": 1, "keys": keys}, indent=2).encode("ascii") + b"\n"
