"""The meaning of a YAML scalar for gopkg.in/yaml.v2, which mixes YAML 1.1 and 1.2 with rules of its own."""

from __future__ import annotations

import re

from tokenserver.documents.yaml_nodes import NodeKind, YamlNode
from tokenserver.importers.golang.standard_base64 import decode_standard_base64

Resolved = str | bool | int | float | None

_PREFIX = "tag:yaml.org,2002:"
NULL_TAG = f"{_PREFIX}null"
BINARY_TAG = f"{_PREFIX}binary"
MERGE_TAG = f"{_PREFIX}merge"
_NAMES = {f"{_PREFIX}{name}": name for name in ("str", "bool", "int", "float", "null", "timestamp")}

_WORDS: dict[str, Resolved] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}

_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[oO]?([0-7]+)|0[bB]([01]+)|([1-9][0-9]*|0))", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}", re.ASCII)
_LOW, _HIGH = -(2**63), 2**64
_MAX_NUMBER = 400
"""Characters of a number. Longer ones, which do not fit into any of Go's, count as text."""


class BadScalar(ValueError):
    """The text does not fit its explicit tag."""


def is_early_null(node: YamlNode) -> bool:
    """Whether a pointer becomes nil. `Null` and `NULL` are nulls too, but leave a pointer to an empty value."""
    if node.tag == NULL_TAG:
        return True
    if node.kind is not NodeKind.SCALAR or node.tag:
        return False
    return node.text in ("null", "~") or (node.text == "" and node.plain)


def is_merge(node: YamlNode) -> bool:
    """Whether a key of a mapping merges other mappings into it."""
    return node.kind is NodeKind.SCALAR and node.text == "<<" and (node.plain or node.tag == MERGE_TAG)


def resolve(node: YamlNode) -> Resolved:
    """The value of a scalar.

    Raises:
        BadScalar: the text does not fit its explicit tag.
    """
    if node.tag == BINARY_TAG:
        try:
            return decode_standard_base64(node.text)
        except ValueError as error:
            raise BadScalar("is not base64, as its tag !!binary requires") from error
    wanted = _NAMES.get(node.tag, "")
    if wanted == "str" or (node.tag and not wanted) or not (node.tag or node.plain):
        return node.text
    if wanted == "timestamp" and _DATE.match(node.text):
        return node.text
    value = _plain(node.text)
    kind = _kind(value)
    if wanted in ("", kind):
        return value
    if wanted == "float" and kind == "int":
        return float(value or 0)
    raise BadScalar(f"cannot be read as !!{wanted}")


def _kind(value: Resolved) -> str:
    if value is None:
        return "null"
    return {bool: "bool", int: "int", float: "float"}.get(type(value), "str")


def _plain(text: str) -> Resolved:
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789" or len(text) > _MAX_NUMBER:
        return text
    number = text if text[0] == "." else text.replace("_", "")
    found = _INTEGER.fullmatch(number)
    if found is not None:
        sign, hexadecimal, octal, binary, decimal = found.groups()
        digits, base = next(
            (digits, base) for digits, base in ((hexadecimal, 16), (octal, 8), (binary, 2), (decimal, 10)) if digits
        )
        value = int(digits, base) * (-1 if sign == "-" else 1)
        # A sign excludes Go's unsigned numbers.
        if _LOW <= value < (2**63 if sign else _HIGH):
            return value
    if _FLOAT.fullmatch(number):
        value_as_float = float(number)
        return text if value_as_float in (float("inf"), float("-inf")) else value_as_float
    return text
