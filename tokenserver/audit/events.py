"""Events out of lines, as this server writes them and as runtimes, journald and log collectors wrap them. Pure."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import from_json

_WRAPPERS = ("MESSAGE", "log", "message", "msg", "line")
"""The members in which wrappers keep a line: journald, docker, Vector and Fluent Bit, others, Promtail."""


_NOT_THERE = b"\xff"

REPORT = "registry"
"""The value of `event` of a report: what a registry says that a client did; see `notifications.facts`."""


def event_of(line: bytes) -> dict[str, Any] | None:
    """The event of a line; None if it has none.

    The line is an event, has an event behind a prefix (Kubernetes' `TIME stdout F `, journald's export format), or is a
    JSON object that holds an event as the text, or the object, of one of the usual members.
    """
    found = _unwrapped(line)
    return None if found is None else found[0]


def event_and_text(line: bytes) -> tuple[dict[str, Any], bytes] | None:
    """The event of a line, and the text that it has without its wrapping, in one line; None if it has none."""
    found = _unwrapped(line)
    if found is None:
        return None
    event, written = found
    written = written.strip()
    if written.isascii() and b"\n" not in written:
        return event, written
    return event, json.dumps(event, separators=(",", ":")).encode("ascii")


def _unwrapped(line: bytes) -> tuple[dict[str, Any], bytes] | None:
    """The event of a line, and its own text; that is not ASCII if it is not there as such."""
    start = line.find(b"{")
    if start < 0:
        return None
    written = line[start:] if start else line
    found = _decoded(written)
    if found is None:
        return None
    if _is_event(found):
        return found, written
    for name in _WRAPPERS:
        inner, written = found.get(name), _NOT_THERE
        if isinstance(inner, str):
            written = inner.encode("utf-8", "surrogatepass")
            inner = _decoded(inner)
        if isinstance(inner, dict) and _is_event(inner):
            return inner, written
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


def member_of_granted(event: dict[str, Any]) -> str:
    """The member that lists what the event is about beyond asking: of a report what was used, else what was granted."""
    return "used" if text(event, "event") == REPORT else "granted"


def texts(event: dict[str, Any], name: str) -> list[str]:
    """The texts of a list of the event; what is none is left out, since a log can hold anything."""
    value = event.get(name)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def text(event: dict[str, Any], name: str) -> str:
    """A text of the event; empty if it has none."""
    value = event.get(name)
    return value if isinstance(value, str) else ""
