"""Strict JSON from other programs: one object whose meaning does not depend on the parser. Pure.

Parsers differ in what they make of duplicate members, `NaN`, half surrogate pairs and deep nesting. Two programs that
read one document differently are an old way around a check, so such documents are rejected as a whole.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from tokenserver.errors import TokenserverError

MAX_LEVELS = 16
"""Objects and arrays within each other, including the outermost one."""


class InvalidJson(TokenserverError):
    """Not a JSON object of this kind. The text continues a sentence about the document, and repeats nothing of it."""


def read_object(content: bytes) -> dict[str, Any]:
    """The JSON object in `content` (RFC 8259), which is UTF-8 without a byte order mark.

    Its numbers are finite, its texts valid Unicode, its member names unique in each object.

    Raises:
        InvalidJson: anything else, or more than `MAX_LEVELS` levels.
    """
    try:
        text = content.decode("utf-8")
        value = _value(text)
    except UnicodeDecodeError:
        raise InvalidJson("is not UTF-8 text") from None
    except RecursionError:
        raise InvalidJson(_TOO_DEEP) from None
    except ValueError:  # also for an integer of more digits than Python converts
        raise InvalidJson("is not JSON") from None
    if not isinstance(value, dict):
        raise InvalidJson("is not a JSON object")
    # Half a surrogate pair can only come from an escape, and levels from brackets: most documents need no walk.
    if "\\u" in text or text.count("{") + text.count("[") > MAX_LEVELS:
        _check(value, MAX_LEVELS)
    return value


_TOO_DEEP = f"has more than {MAX_LEVELS} levels"


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidJson("has a duplicate member")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise InvalidJson("has a number that is too large")
    return number


def _constant(_: str) -> NoReturn:
    raise InvalidJson("has a number that is none in JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_members, parse_float=_finite, parse_constant=_constant)


def _value(text: str) -> Any:
    """As `JSONDecoder.decode`, which looks for blanks around each object, although hardly any has some.

    Raises:
        ValueError: it is not JSON.
    """
    if text[:1] == "{":
        value, end = _decoder.raw_decode(text)
        if end == len(text):
            return value
    return _decoder.decode(text)


def _check(value: object, levels: int) -> None:
    """Check the texts of a value, and that it has at most so many levels."""
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise InvalidJson("has half a surrogate pair") from None
    elif isinstance(value, dict | list):
        if levels == 0:
            raise InvalidJson(_TOO_DEEP)
        for part in value:  # of an object, its names
            _check(part, levels - 1)
        if isinstance(value, dict):
            for part in value.values():
                _check(part, levels - 1)
