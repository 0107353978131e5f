"""Chores of a worker, once a minute: last uses in both directions, and totals; daily what ends soon, or is over.

They have a thread of their own: writing may wait for other writers, and no look for revocations must wait for that.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from tokenserver.credentials import AccessKeyForm
from tokenserver.storage.connections.attempts import Attempts
from tokenserver.storage.credential import LAG_SECONDS
from tokenserver.storage.following.last_uses import FLUSH_SECONDS, LastUses
from tokenserver.storage.following.reading import CredentialReader, EndingSoon, Total

logger = logging.getLogger("tokenserver.storage")

SOON_SECONDS = 14 * 86_400
"""How long before its end a credential is reported."""

REPORTED_FORMS = frozenset({str(AccessKeyForm.PERSONAL), str(AccessKeyForm.ROBOT)})
"""Those that people have to renew; clients get the others again at their next login."""

MAX_NAMED = 20
"""How many credentials one sentence names."""

LOOK_SECONDS = 1.0
"""How often it is looked whether the minute is over."""

WAITING = "storage: the last uses of credentials wait to be written"

_KINDS = {str(AccessKeyForm.PERSONAL): "access key", str(AccessKeyForm.ROBOT): "secret"}


class Chores:
    """The chores of one worker. A line of the log is written if `is_first(line)`; `now` is seconds since the epoch.

    `prune` removes what ended long ago; one worker of a server calls it once a day.
    """

    def __init__(
        self,
        uses: LastUses,
        reader: CredentialReader,
        *,
        is_first: Callable[[str], bool],
        prune: Callable[[], object] = lambda: None,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._uses = uses
        self._reader = reader
        self._is_first = is_first
        self._attempts = Attempts(WAITING, logger, is_first=is_first)
        self._prune = prune
        self._now = now
        self._monotonic = monotonic
        self._due = 0.0
        self._since = 0
        self._day: str | None = None
        self.totals: Mapping[str, Total] = {}
        """The live credentials by form, as of the last minute."""

    def start(self, stop: threading.Event) -> threading.Thread:
        """Start the thread, which works until `stop` is set and then writes the uses that wait."""
        thread = threading.Thread(target=self.work, args=(stop,), name="storage chores", daemon=True)
        thread.start()
        return thread

    def work(self, stop: threading.Event) -> None:
        """Do what is due until `stop` is set. Blocks."""
        while not stop.wait(LOOK_SECONDS):
            self._attempts.run(self.run)
        self._attempts.run(self.write_uses)

    def learn_uses(self, pace: Callable[[], None]) -> None:
        """Read all last uses, and do the rest at the next call of `run`. Called before a load is put in force: without
        its last use, a credential would seem to be unused since it was made. `pace` is called after each page.

        Raises:
            StorageUnavailable: the database does not answer.
        """
        begin = int(self._now())
        for page in self._reader.last_uses(0):
            self._uses.learn(page)
            pace()
        self._due, self._since = 0.0, begin - LAG_SECONDS

    def run(self) -> None:
        """Do what is due.

        Raises:
            StorageUnavailable: the database does not answer; nothing is lost.
        """
        if self._monotonic() < self._due:
            return
        self.write_uses()
        begin = int(self._now())
        for page in self._reader.last_uses(self._since):
            self._uses.learn(page)
        self.totals = self._reader.totals(begin)
        self._daily(begin)
        self._due, self._since = self._monotonic() + FLUSH_SECONDS, begin - LAG_SECONDS

    def write_uses(self) -> None:
        """Write the uses that wait. Raises as `run`."""
        noted = self._uses.take()
        self._reader.write_uses(noted)
        self._uses.written(noted)

    def _daily(self, now: int) -> None:
        """Once a day, name the credentials that end soon, and remove those that ended long ago."""
        day = _day(now)
        if day == self._day:
            return
        ending = ending_soon(self._reader, now)
        if ending and self._is_first(f"credentials that end soon {day}"):
            logger.warning("%s", ending_line(ending))
        if self._is_first(f"credentials are removed {day}"):
            self._prune()
        self._day = day


def ending_soon(reader: CredentialReader, now: int) -> list[EndingSoon]:
    """The keys and secrets that somebody has to renew soon, for `ending_line`. `now` is in seconds since the epoch.

    Raises:
        StorageUnavailable: the database does not answer.
    """
    return reader.ending(now, now + SOON_SECONDS, forms=REPORTED_FORMS, limit=MAX_NAMED + 1)


def ending_line(ending: list[EndingSoon]) -> str:
    """The line about credentials that end soon, the soonest first; those beyond `MAX_NAMED` are not named."""
    named = "; ".join(
        f"{_KINDS[one.form]} {one.id} of {one.owner}{f' ({one.name})' if one.name else ''} on {_day(one.ends)}"
        for one in ending[:MAX_NAMED]
    )
    more = "; and more" if len(ending) > MAX_NAMED else ""
    fix = "tokenserver access-keys rotate ID, or tokenserver robots secret rotate NAME"
    return f"credentials end within {SOON_SECONDS // 86_400} days: {named}{more}; fix: {fix}"


def _day(moment: int) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d}"
