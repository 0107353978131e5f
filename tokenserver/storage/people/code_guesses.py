"""Guesses at user codes: how many wrong ones a session and an address have typed, over all workers and replicas.

A guess is noted before it is looked up, and forgotten if it was right.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

from sqlalchemy import Connection, delete, func, select

from tokenserver.errors import Throttled
from tokenserver.storage.database import Database
from tokenserver.storage.tables import flows

KIND = "guess"

WINDOW_SECONDS = 600

_ID_BYTES = 16
_TABLE = flows.c


class CodeGuesses:
    """Counts guesses. `now` gives seconds since the epoch, `random` that many random bytes."""

    def __init__(
        self, database: Database, *, now: Callable[[], float], random: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._database = database
        self._now = now
        self._random = random

    def begin(self, limits: Mapping[str, int]) -> tuple[bytes, ...]:
        """Note a guess for each of those who make it, with how many wrong ones each may make; for `was_right`.

        Raises:
            Throttled: one of them has made as many within `WINDOW_SECONDS`.
            StorageUnavailable: the database does not answer.
        """
        now = int(self._now())

        def work(connection: Connection) -> tuple[bytes, ...]:
            for who, most in limits.items():
                wrong = (_TABLE.kind == KIND, _TABLE.made_by == who, _TABLE.ends > now)
                statement = select(func.count(), func.min(_TABLE.ends)).where(*wrong)
                count, first = connection.execute(statement).one()
                if count >= most:
                    raise Throttled(max(1, first - now))
            ids = tuple(self._random(_ID_BYTES) for _ in limits)
            row = {"kind": KIND, "payload": b"", "state": "", "ends": now + WINDOW_SECONDS}
            rows = [{**row, "id": id_, "made_by": who} for id_, who in zip(ids, limits, strict=True)]
            connection.execute(flows.insert(), rows)
            return ids

        return self._database.note(work)

    def was_right(self, guess: tuple[bytes, ...]) -> None:
        """Forget a guess.

        Raises:
            StorageUnavailable: it counts as a wrong one.
        """
        self._database.note(lambda connection: connection.execute(delete(flows).where(_TABLE.id.in_(guess))))
