"""New events: the lines of logs as the store takes them, most of them without decoding.

The server writes the same members for the same ruling again and again; between them only the time, the ids and the
duration differ, by which nothing is found. What lies between is decoded once.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from tokenserver.audit.events import event_and_text, text
from tokenserver.audit.index_terms import terms_of
from tokenserver.audit.question import moment_of
from tokenserver.audit.store.chunk import NO_TIME, NewEvent, microseconds

MAX_KNOWN = 50_000
"""Texts between the ids that are remembered, with their terms."""

_EXCHANGE = re.compile(
    rb'{"time":"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})\.([0-9]{3})Z",'
    rb'"event":"exchange","request_id":"([0-9a-zA-Z]+)",(.*),"jti":"[0-9a-zA-Z_-]+","outcome":"([a-z_]+)","ms":[0-9.]+}'
)


class NewEvents:
    """Makes events of lines; `key` is that of their digests."""

    def __init__(self, key: bytes) -> None:
        self._hash = blake2b(digest_size=8, key=key)
        self._terms: dict[tuple[bytes, bytes], Collection[str]] = {}
        self._second = (b"", 0)

    def of(self, line: bytes) -> NewEvent | None:
        """The event of a line; None if it has none."""
        found = _EXCHANGE.fullmatch(line) if line.isascii() else None
        if found is None:
            return self._decoded(line)
        second, milliseconds, request, between, outcome = found.groups()
        terms = self._terms.get((between, outcome))
        if terms is None:
            event = self._decoded(line)
            if event is None or not _says(line, found):
                return event
            if len(self._terms) >= MAX_KNOWN:
                self._terms.clear()
            self._terms[between, outcome] = event.terms
            return event
        if self._second[0] != second:
            try:
                moment = datetime.fromisoformat(second.decode("ascii")).replace(tzinfo=UTC)
            except ValueError:
                return self._decoded(line)
            self._second = (second, microseconds(moment))
        at = self._second[1] + int(milliseconds) * 1000
        return NewEvent(at, self._digest(line), line, zlib.crc32(request), terms)

    def _decoded(self, line: bytes) -> NewEvent | None:
        found = event_and_text(line)
        if found is None:
            return None
        event, written = found
        return NewEvent(_time_of(event), self._digest(written), written, _request_of(event), tuple(terms_of(event)))

    def _digest(self, written: bytes) -> int:
        digest = self._hash.copy()
        digest.update(written)
        return int.from_bytes(digest.digest(), "little")


def request_number(request: str) -> int:
    """By which events of a request are looked for; several requests can have the same number."""
    return zlib.crc32(request.encode("utf-8", "surrogatepass"))


def _says(line: bytes, found: re.Match[bytes]) -> bool:
    """Whether the event has the time, the id and the outcome that were found, and none of them twice."""
    parsed = event_and_text(line)
    if parsed is None:
        return False
    event, _ = parsed
    second, milliseconds, request, _, outcome = (group.decode("ascii") for group in found.groups())
    named = text(event, "time"), text(event, "request_id"), text(event, "outcome"), text(event, "event")
    return named == (f"{second}.{milliseconds}Z", request, outcome, "exchange")


def _time_of(event: dict[str, Any]) -> int:
    moment = moment_of(event)
    return NO_TIME if moment is None else microseconds(moment)


def _request_of(event: dict[str, Any]) -> int:
    return request_number(text(event, "request_id"))
