"""Reports of differences to the shadow peer: one event for each, without repeating it for an hour."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tokenserver.errors import AuditUnavailable
from tokenserver.exchange.peer.differences import Difference
from tokenserver.exchange.peer.question import PeerQuestion
from tokenserver.exchange.peer.recent_keys import RecentKeys
from tokenserver.exchange.peer.shared_keys import SharedKeys

REPORTED_SECONDS = 3600.0
"""How long the same difference is not recorded again."""

KEPT = 10_000
"""Differences that are remembered, of about 150 bytes each."""

MAX_EVENTS = 20
"""Differences of one exchange that are recorded; the last event has the number of all others."""


class DifferenceReports:
    """Records differences. `record` takes an event; `together` is what the workers of the server share."""

    def __init__(self, record: Callable[[dict[str, Any]], None], together: SharedKeys) -> None:
        self._record = record
        self._together = together
        self._reported = RecentKeys(REPORTED_SECONDS, KEPT)

    def report(self, question: PeerQuestion, found: list[Difference], now: float) -> None:
        """Record what was not recorded within the last hour."""
        about = {"registry": question.service, "subject": question.subject}
        new = [{**about, **one.members} for one in found]
        keyed = [(text, event) for event in new if not self._is_known(text := f"reported\n{json.dumps(event)}", now)]
        omitted = {"omitted": len(keyed) - MAX_EVENTS} if len(keyed) > MAX_EVENTS else {}
        first = keyed[:MAX_EVENTS]
        for number, (text, event) in enumerate(first, start=1):
            more = omitted if number == len(first) else {}
            try:
                self._record({"event": "peer_difference", "request_id": question.request_id, **event, **more})
            except AuditUnavailable:  # the audit trail reports it, and the next exchange has the difference again
                return
            self._reported.add(text, now)
            self._together.add(text, now)

    def _is_known(self, text: str, now: float) -> bool:
        return self._reported.has(text, now) or self._together.has(text, now, REPORTED_SECONDS)
