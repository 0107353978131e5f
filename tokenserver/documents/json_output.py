"""JSON as programs read it (RFC 8259): NaN and infinite numbers, which Python would write and JSON lacks, are null."""

from __future__ import annotations

import json
import math
from typing import Any


def json_text(value: Any, *, indent: int | None = None, separators: tuple[str, str] | None = None) -> str:
    """The value as JSON, in ASCII; `indent` and `separators` are those of `json.dumps`.

    Such numbers come from logs, claims of tokens and files of others, which hold anything.

    Raises:
        TypeError: it has something in it that JSON has no form for.
    """
    try:
        return json.dumps(value, indent=indent, separators=separators, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), indent=indent, separators=separators, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(member) for member in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
