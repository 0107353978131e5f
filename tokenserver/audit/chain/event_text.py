"""The exact text of events, out of lines as this server writes them and as runtimes and collectors wrap them.

A digest is over the bytes of an event. A wrapper that keeps them as text, escaped or behind a prefix, loses nothing. A
wrapper that decodes an event and encodes it once more loses them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tokenserver.audit.events import event_of
from tokenserver.exchange.audit_chain.links import Link, link_text, read_link

BLOCK = 1024 * 1024

MAX_LINE = 1024 * 1024
"""Bytes of a line, or of the pieces of one, beyond which it holds no event of this server."""

_START = b'{"time":"'
_CRI = re.compile(rb"\S+ std(?:out|err) ([PF])(?:\S*) ", re.ASCII)
"""Kubernetes: time, stream, and whether this is a part of a line (P) or the end of it (F)."""

_WRAPPERS = ("MESSAGE", "log", "message", "msg", "line")


class ChainedEvent(NamedTuple):
    """An event with a link; `text` is exactly what was written, newline included."""

    text: bytes
    link: Link
    link_text: str


class LooseEvent(NamedTuple):
    """An event without a link that can be checked: it has none, or it has one and is not as the server wrote it.

    `is_encoded_again`: another program has encoded it, and so its bytes are lost. `time` is what it says of itself,
    empty if it says nothing.
    """

    has_link: bool
    is_encoded_again: bool
    time: str = ""


def lines_of(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """The lines of a stream, without their newlines; of a line that is too long, nothing but its beginning."""
    rest = b""
    while block := read(BLOCK):
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        yield from lines
        if len(rest) > MAX_LINE:
            rest = rest[:MAX_LINE]
    if rest:
        yield rest


class EventTexts:
    """The events of the lines of one file, one after the other; it joins what a container runtime has cut apart."""

    def __init__(self) -> None:
        self._pieces = b""

    def read(self, line: bytes) -> ChainedEvent | LooseEvent | None:
        """The event that ends with this line, without its newline; None if there is none."""
        if not self._pieces and line.startswith(_START):
            found = _chained(line)
            if found is not None:
                return found
        return self._read_wrapped(line)

    def _read_wrapped(self, line: bytes) -> ChainedEvent | LooseEvent | None:
        line = line.removesuffix(b"\r")
        if line.startswith(b"{") and not line.startswith(_START):
            return self._read_object(line)
        cri = _CRI.match(line)
        if cri is not None:
            self._pieces += line[cri.end() :]
            if cri[1] == b"P":
                self._pieces = self._pieces[:MAX_LINE]
                return None
            line, self._pieces = self._pieces, b""
        start = line.find(_START)
        if start < 0:
            return None if event_of(line) is None else _loose(line)
        return _chained(line[start:]) or _loose(line[start:])

    def _read_object(self, line: bytes) -> ChainedEvent | LooseEvent | None:
        """An event as a text in a JSON object: docker's, journald's, Vector's, Fluent Bit's or Promtail's."""
        try:
            wrapper = json.loads(line)
        except (ValueError, RecursionError):
            return None
        for name in _WRAPPERS:
            inner = wrapper.get(name) if isinstance(wrapper, dict) else None
            if not isinstance(inner, str):
                continue
            text = self._pieces + inner.encode("utf-8", "surrogatepass")
            self._pieces = b""
            if name == "log" and not text.endswith(b"\n") and "stream" in wrapper and _START in text:
                found = _chained(text)
                if found is None:  # docker cuts a long line apart, and its last piece has the newline
                    self._pieces = text[:MAX_LINE]
                return found
            text = text.removesuffix(b"\n")
            start = text.find(_START)
            if start >= 0:
                return _chained(text[start:]) or _loose(text[start:])
        return None if event_of(line) is None else _loose(line)


def _chained(text: bytes) -> ChainedEvent | None:
    spelled = link_text(text)
    link = None if spelled is None else read_link(spelled)
    if spelled is None or link is None:
        return None
    return ChainedEvent(text + b"\n", link, spelled)


def _loose(line: bytes) -> LooseEvent | None:
    event: dict[str, Any] | None = event_of(line)
    if event is None:
        return None
    time = event.get("time")
    return LooseEvent("chain" in event, not line.startswith(_START), time if isinstance(time, str) else "")
