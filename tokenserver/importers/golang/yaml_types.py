"""Types of Go into which YAML is decoded, and the values that come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class GoText:
    """A string. A named type, unlike `string` itself, cannot be the quoted text `null` or `~` behind a pointer."""

    named: bool = False


@dataclass(frozen=True, slots=True)
class GoInteger:
    """An int or int64; a `duration` also takes texts such as 1h30m, and is in nanoseconds."""

    duration: bool = False


@dataclass(frozen=True, slots=True)
class GoBoolean:
    """A bool."""


@dataclass(frozen=True, slots=True)
class GoAnything:
    """An interface: whatever the YAML says."""


@dataclass(frozen=True, slots=True)
class GoPointer:
    """A pointer, None if it is nil."""

    to: GoType


@dataclass(frozen=True, slots=True)
class GoList:
    """A slice, None if it is nil, which differs from an empty one."""

    item: GoType


@dataclass(frozen=True, slots=True)
class GoTable:
    """A map from strings, None if it is nil; each value with the line of its key."""

    item: GoType


@dataclass(frozen=True, slots=True)
class GoStruct:
    """A structure; its fields by their keys in YAML."""

    fields: Mapping[str, GoType]


GoType = GoText | GoInteger | GoBoolean | GoAnything | GoPointer | GoList | GoTable | GoStruct


@dataclass(slots=True)
class DecodedStruct:
    """The fields of a structure, the line of each key that is set, and the line where it begins."""

    values: dict[str, Any]
    line: int = 0
    lines: dict[str, int] = field(default_factory=dict)
    ignored: list[tuple[str, int]] = field(default_factory=list)


def zero(kind: GoType) -> Any:
    """Go's zero value of a type."""
    match kind:
        case GoText():
            return ""
        case GoInteger():
            return 0
        case GoBoolean():
            return False
        case GoStruct(fields):
            return DecodedStruct({key: zero(of) for key, of in fields.items()})
        case _:
            return None
