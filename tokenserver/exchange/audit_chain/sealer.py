"""Seals the chain of a worker once a minute while there are new lines, at its beginning, and when the server stops.

A seal that cannot be made is tried again a second later, and logged; no request waits for it or fails with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from tokenserver.errors import TokenserverError
from tokenserver.exchange.audit_chain.record import ChainRecord
from tokenserver.exchange.audit_chain.seal_text import EVENT, StatedChain, seal_members
from tokenserver.exchange.audit_chain.seals import make_seal
from tokenserver.exchange.audit_chain.sink import ChainedSink
from tokenserver.exchange.audit_chain.state import Statement
from tokenserver.exchange.audit_events import members, spell_time
from tokenserver.keys.ring import SigningKey

logger = logging.getLogger("tokenserver.audit")

SEAL_SECONDS = 60.0

LOG_SECONDS = 60.0


class Sealer:
    """Seals the lines of a sink. `key` gives the active signing key, `now` seconds since the epoch.

    With `record`, seals state what came before, and the storage keeps how far they came.
    """

    def __init__(
        self,
        sink: ChainedSink,
        key: Callable[[], SigningKey],
        *,
        now: Callable[[], float],
        record: ChainRecord | None = None,
    ) -> None:
        self._sink = sink
        self._key = key
        self._now = now
        self._record = record
        self._link = ""
        self._logged: float | None = None

    def check(self) -> None:
        """Write a seal if one is due; call it once a second."""
        if self._record is not None and self._record.is_awaited:
            return
        if self._sink.is_due(self._now(), SEAL_SECONDS):
            self._seal(closes=False)

    def close(self) -> None:
        """Seal the last lines of a worker that stops."""
        self._seal(closes=True)
        if self._record is not None:
            self._record.finish()

    def _seal(self, *, closes: bool) -> None:
        now = self._now()
        try:
            is_written = self._sink.seal(partial(self._text, now, closes), at=now, closes=closes)
            if is_written and self._record is not None:
                self._record.sealed(self._link, now, closes=closes)
        except OSError:
            pass  # an outage of the audit trail, which reports it
        except TokenserverError as error:
            if self._logged is None or not 0 <= now - self._logged < LOG_SECONDS:
                self._logged = now
                logger.error("the audit trail cannot be sealed: %s", error)  # noqa: TRY400 - the reason says it all

    def _text(self, now: float, closes: bool, link: str, others: list[Statement]) -> str:
        time, self._link = spell_time(now), link
        seal = make_seal(
            self._key(),
            link,
            time=time,
            closes=closes,
            others=[_stated(one) for one in others],
            server="" if self._record is None else self._record.server,
            before=() if self._record is None else self._record.stating(),
        )
        return f'{{"time":"{time}",{members({"event": EVENT, "seal": seal_members(seal)})}}}\n'


def _stated(one: Statement) -> StatedChain:
    return StatedChain(one.chain, one.number, spell_time(one.since / 1000))
