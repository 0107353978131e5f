"""Console output of a server: log lines and audit events for a person at a terminal, instead of JSON.

Everything in it that comes from clients and files is escaped, so that it can neither move the cursor nor forge a line.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from tokenserver.exchange.audit_sink import DescriptorSink
from tokenserver.exchange.sink_state import SinkState
from tokenserver.printable import cut, one_line

MAX_SCOPES = 5
"""Scopes in the line of one audit event."""

MAX_WIDTH = 120
"""Characters of a client's text in a line."""

_RED, _GREEN, _YELLOW, _DIM = "31", "32", "33", "2"

_LEVELS = {"WARNING": _YELLOW, "ERROR": _RED, "CRITICAL": _RED}

_OUTCOMES = {"granted": _GREEN, "login": _GREEN, "explained": _GREEN, "partial": _YELLOW, "denied": _YELLOW}
"""The colours of outcomes; the others are red."""


class ConsoleFormatter(logging.Formatter):
    """Local time, level unless it is `info`, and message. An exception is named by its type only."""

    def __init__(self, *, color: bool) -> None:
        super().__init__()
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        message = one_line(record.getMessage())
        if record.exc_info and record.exc_info[0] is not None:
            message += f" ({record.exc_info[0].__name__})"
        time = paint(f"{datetime.fromtimestamp(record.created).astimezone():%H:%M:%S}", _DIM, color=self._color)
        if record.levelname == "INFO":
            return f"{time} {message}"
        level = paint(f"{record.levelname.lower()}:", _LEVELS.get(record.levelname, _DIM), color=self._color)
        return f"{time} {level} {message}"


_SHORTENED = {"old", "new", "in_force"}
"""Members of events about changes, of which the beginning is enough for people."""


class ConsoleSink(DescriptorSink):
    """A sink that writes audit events in words; other lines, and events that it does not know, as they are."""

    def __init__(self, descriptor: int, state: SinkState | None = None, *, color: bool) -> None:
        super().__init__(descriptor, state)
        self._color = color

    def write(self, line: bytes) -> None:
        """Write one event, of which `line` is the JSON.

        Raises:
            OSError: it was not written in time.
        """
        super().write(self._in_words(line))

    def write_all(self, lines: Sequence[bytes]) -> None:
        """As `write`, for several events."""
        super().write_all([self._in_words(line) for line in lines])

    def _in_words(self, line: bytes) -> bytes:
        if not line.startswith(b'{"time":'):  # `write` hands on its own line when the reader is slow
            return line
        return spell_event(json.loads(line), color=self._color).encode("utf-8", "backslashreplace") + b"\n"


def spell_event(event: dict[str, Any], *, color: bool) -> str:
    """One audit event as a line: time, outcome, client, registry, scopes, and why.

    Args:
        event: the members of the event, as in its JSON.
        color: whether the line has the colours of a terminal.
    """
    time = paint(f"{datetime.fromisoformat(event['time']).astimezone():%H:%M:%S}", _DIM, color=color)
    outcome = event.get("outcome")
    if event.get("event") != "exchange" or outcome is None:
        brief = {
            key: value[:12] if key in _SHORTENED and isinstance(value, str) else value for key, value in event.items()
        }
        facts = ", ".join(f"{key} {_plain(value)}" for key, value in brief.items() if key not in {"time", "event"})
        return f"{time} {one_line(event.get('event', 'event'))}: {facts}"
    shown = paint(f"{outcome.replace('_', ' '):<9}", _OUTCOMES.get(outcome, _RED), color=color)
    return f"{time} {shown} {' '.join(_details(event))}"


def _details(event: dict[str, Any]) -> Iterator[str]:
    user = event.get("subject") or event.get("username")
    yield _plain(user or "anonymous")
    if event.get("client"):
        yield f"from {_plain(event['client'])}"
    if event.get("registry"):
        yield f"for {_plain(event['registry'])}"
    asked, granted = event.get("asked", []), event.get("granted")
    if granted is None or granted == asked:
        yield from _scopes("", asked)
    else:
        yield from _scopes("asked ", asked)
        yield from _scopes("granted ", granted)
    yield from _scopes("rejected ", [rejected["scope"] for rejected in event.get("rejected", [])])
    why = event.get("reason") or ", ".join(dict.fromkeys(f"{rule['effect']} {rule['rule']}" for rule in _rules(event)))
    if why:
        yield f"({_plain(why)})"


def _rules(event: dict[str, Any]) -> Iterable[dict[str, Any]]:
    rules: list[dict[str, Any]] = event.get("rules", [])
    return rules[:MAX_SCOPES]


def _scopes(word: str, scopes: Sequence[str]) -> Iterator[str]:
    if scopes:
        shown = " ".join(_plain(scope.removeprefix("repository:")) for scope in scopes[:MAX_SCOPES])
        yield f"{word}{shown}" + (f" and {len(scopes) - MAX_SCOPES} more" if len(scopes) > MAX_SCOPES else "")


def _plain(value: object) -> str:
    return one_line(cut(str(value), MAX_WIDTH))


def paint(text: str, code: str, *, color: bool) -> str:
    """The text in a colour of the terminal (an SGR code), or as it is."""
    return f"\x1b[{code}m{text}\x1b[0m" if color else text
