"""The members of a JSON object from another program (RFC 8259), read with a bounded depth."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

MAX_DEPTH = 64
"""How many levels of objects and arrays are read."""

_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
"""A string, also one without an end, so that brackets in it do not count; or a bracket."""

_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}

_SIGNIFICANT = 16
"""How many characters of an integer are read: no moment or duration has more."""


class JsonMembers(tuple[tuple[str, Any], ...]):
    """The members of an object in their order; a name can be there twice."""

    __slots__ = ()

    def named(self, name: str) -> list[Any]:
        """The values of all members of that name."""
        return [value for member, value in self if member == name]


def read_members(content: bytes) -> JsonMembers:
    """The members of the JSON object in `content`.

    Strings are returned with one character for each byte outside ASCII: compare them with ASCII only. Of integers the
    first 16 characters count, and numbers with a fraction or an exponent are None.

    Raises:
        ValueError: no JSON, no object, or nested more than `MAX_DEPTH` levels.
    """
    text = content.decode("latin-1")
    if _is_too_deep(text):
        raise ValueError("nested too deeply")
    value = json.loads(
        text,
        object_pairs_hook=JsonMembers,
        parse_int=lambda literal: int(literal[:_SIGNIFICANT]),
        parse_float=lambda _: None,
        parse_constant=_reject,
    )
    if not isinstance(value, JsonMembers):
        raise ValueError("not an object")  # noqa: TRY004 - a fault of the content, as the others
    return value


def _is_too_deep(text: str) -> bool:
    depth = 0
    for found in _STRUCTURE.finditer(text):
        depth += _STEPS.get(found[0], 0)
        if depth > MAX_DEPTH:
            return True
    return False


def _reject(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
