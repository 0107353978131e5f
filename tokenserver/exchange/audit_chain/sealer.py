"""Seals the chain once a minute while there are new lines, at its beginning, and when the server stops.

Each worker has a sealer; the first one for which a seal is due writes it. A seal that cannot be made is tried again a
second later, and logged; no request waits for it or fails with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from tokenserver.errors import TokenserverError
from tokenserver.exchange.audit_chain.seal_text import EVENT, seal_members
from tokenserver.exchange.audit_chain.seals import make_seal
from tokenserver.exchange.audit_chain.sink import ChainedSink
from tokenserver.exchange.audit_events import members, spell_time
from tokenserver.keys.ring import SigningKey

logger = logging.getLogger("tokenserver.audit")

SEAL_SECONDS = 60.0

LOG_SECONDS = 60.0


class Sealer:
    """Seals the lines of a sink. `key` gives the active signing key, `now` seconds since the epoch."""

    def __init__(self, sink: ChainedSink, key: Callable[[], SigningKey], *, now: Callable[[], float]) -> None:
        self._sink = sink
        self._key = key
        self._now = now
        self._logged: float | None = None

    def check(self) -> None:
        """Write a seal if one is due; call it once a second."""
        if self._sink.state.is_due(self._now(), SEAL_SECONDS):
            self._seal(closes=False)

    def close(self) -> None:
        """Seal the last lines of a server that stops."""
        self._seal(closes=True)

    def _seal(self, *, closes: bool) -> None:
        now = self._now()
        try:
            self._sink.seal(partial(self._line, now, closes), at=now, closes=closes)
        except OSError:
            pass  # an outage of the audit trail, which reports it
        except TokenserverError as error:
            if self._logged is None or not 0 <= now - self._logged < LOG_SECONDS:
                self._logged = now
                logger.error("the audit trail cannot be sealed: %s", error)  # noqa: TRY400 - the reason says it all

    def _line(self, now: float, closes: bool, link: str) -> bytes:
        time = spell_time(now)
        seal = make_seal(self._key(), link, time=time, closes=closes, after=None)
        return f'{{"time":"{time}",{members({"event": EVENT, "seal": seal_members(seal)})}}}\n'.encode("ascii")
