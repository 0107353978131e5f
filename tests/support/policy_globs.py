"""Globs that are hard to hold side by side."""

from __future__ import annotations

from tokenserver.patterns import Pattern, parse_pattern

WORDS = (
    *("alpha", "bravo", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo"),
    *("lima", "mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform"),
)

_BANNED = "abcdefghijklmnorstuvwxyz0123456789"


def covered_in_many_ways(depth: int) -> tuple[list[Pattern], Pattern]:
    """Patterns that cover another one, which shows only after `2**depth` ways to go through it."""
    banned = [f"{glob}/**" for glob in (f"{letter}*" for letter in _BANNED)]
    banned += [f"**/{letter}*/**" for letter in _BANNED]
    tracked = ["/".join([*["*"] * at, f"{letter}*", "**", "p"]) for at in range(depth) for letter in "pq"]
    return [parse_pattern(text) for text in (*banned, *tracked)], parse_pattern("/".join([*["*"] * depth, "*", "p"]))
