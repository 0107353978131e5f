"""`ring.json`: which signing key is in which state. Written last and replaced as a whole, so it commits a change."""

from __future__ import annotations

import json
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tokenserver.documents import parse, validate
from tokenserver.errors import LoadError

State = Literal["next", "active", "retired"]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)


def _file_name(key_id: str) -> str:
    """An id names files, so it may not lead out of the folder."""
    if _ID.fullmatch(key_id) is None:
        raise ValueError("must be letters, digits, - and _, at most 64")
    return key_id


class Entry(BaseModel):
    """One signing key and its state."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    id: Annotated[str, AfterValidator(_file_name)]
    state: State


class RingFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    version: Literal[1]
    keys: tuple[Entry, ...] = Field(strict=False)


def read_states(text: str, file: str) -> dict[str, State]:
    """The state of each key id, in the order of the file.

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
    return {entry.id: entry.state for entry in content.keys}


def write_states(states: dict[str, State]) -> bytes:
    """The content of `ring.json` for these states."""
    keys = [{"id": key_id, "state": state} for key_id, state in states.items()]
    return json.dumps({"version": 1, "keys": keys}, indent=2).encode("ascii") + b"\n"
