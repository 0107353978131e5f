"""Building blocks of JSON Schemas (draft 7, which all editors know) for strict YAML documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

DIALECT = "http://json-schema.org/draft-07/schema#"

Schema = dict[str, Any]


def text(description: str = "", **limits: Any) -> Schema:
    """Text that is not empty."""
    return _described({"type": "string", "minLength": 1, **limits}, description)


def word(words: Sequence[str], description: str = "") -> Schema:
    """One of a few words."""
    return _described({"enum": list(words)}, description)


def items(of: Schema, description: str = "", *, may_be_empty: bool = False) -> Schema:
    """A list."""
    return _described({"type": "array", "items": of} | ({} if may_be_empty else {"minItems": 1}), description)


def one_or_more(of: Schema, description: str = "") -> Schema:
    """A list, or a single item of it."""
    return _described({"anyOf": [of, items(of)]}, description)


def mapping(keys: dict[str, Schema], description: str = "", *, required: Sequence[str] = ()) -> Schema:
    """A mapping with these keys only, and at least one of them."""
    schema: Schema = {"type": "object", "properties": keys, "additionalProperties": False, "minProperties": 1}
    return _described(schema | ({"required": list(required)} if required else {}), description)


def named(value: Schema, description: str = "") -> Schema:
    """A mapping from names to values."""
    return _described({"type": "object", "additionalProperties": value, "minProperties": 1}, description)


def exactly_one(schema: Schema, *pairs: tuple[str, str]) -> Schema:
    """The mapping, with exactly one key of each pair."""
    return schema | {"allOf": [{"oneOf": [{"required": [key]} for key in pair]} for pair in pairs]}


def _described(schema: Schema, description: str) -> Schema:
    return schema | ({"description": description} if description else {})
