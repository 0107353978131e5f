"""Events out of lines, as this server writes them and as runtimes, journald and log collectors wrap them. Pure."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import from_json

_WRAPPERS = ("MESSAGE", "log", "message", "msg", "line")
"""The members in which wrappers keep a line: journald, docker, Vector and Fluent Bit, others, Promtail."""


def event_of(line: bytes) -> dict[str, Any] | None:
    """The event of a line; None if it has none.

    The line is an event, has an event behind a prefix (Kubernetes' `TIME stdout F `, journald's export format), or is a
    JSON object that holds an event as the text, or the object, of one of the usual members.
    """
    start = line.find(b"{")
    if start < 0:
        return None
    found = _decoded(line[start:])
    if found is None or _is_event(found):
        return found
    for name in _WRAPPERS:
        inner = found.get(name)
        if isinstance(inner, str):
            inner = _decoded(inner)
        if isinstance(inner, dict) and _is_event(inner):
            return inner
    return None


def _decoded(text: bytes | str) -> dict[str, Any] | None:
    try:
        value = from_json(text, cache_strings="none")  # in half the time of json
    except ValueError:
        try:
            value = json.loads(text)  # which also takes halves of surrogate pairs
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, dict) else None


def _is_event(value: dict[str, Any]) -> bool:
    return isinstance(value.get("event"), str) and isinstance(value.get("time"), str)


def texts(event: dict[str, Any], name: str) -> list[str]:
    """The texts of a list of the event; what is none is left out, since a log can hold anything."""
    value = event.get(name)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def text(event: dict[str, Any], name: str) -> str:
    """A text of the event; empty if it has none."""
    value = event.get(name)
    return value if isinstance(value, str) else ""
