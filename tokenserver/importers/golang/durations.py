"""Durations as Go spells them: 1h30m, 1.5s, -20ms."""

from __future__ import annotations

import re
from decimal import Decimal

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_MAX_TEXT = 200
_HIGH = 2**63


def parse_duration(text: str) -> int | None:
    """Nanoseconds, as `time.ParseDuration` counts them; None if it rejects the text."""
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    if unsigned == "0":
        return 0
    if not unsigned or len(text) > _MAX_TEXT:
        return None
    total, at = 0, 0
    while at < len(unsigned):
        found = _PART.match(unsigned, at)
        if found is None or not (found[1] or found[2]):
            return None
        unit = _UNITS[found[3]]
        total += int(found[1] or "0") * unit + int(Decimal(f"0.{found[2] or '0'}") * unit)
        at = found.end()
    if total > _HIGH - (not text.startswith("-")):
        return None
    return -total if text.startswith("-") else total
