"""Durations as people write them: `90s`, `15m`, `1h`, `30d`."""

from __future__ import annotations

import re

PATTERN = "^[0-9]{1,6}[smhd]$"
"""The form as a regular expression of JSON Schema."""

_FORM = re.compile(r"([0-9]{1,6})([smhd])", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(text: str) -> int | None:
    """The duration in seconds; None if `text` is not a number followed by s, m, h or d."""
    matched = _FORM.fullmatch(text)
    return None if matched is None else int(matched[1]) * _UNITS[matched[2]]
