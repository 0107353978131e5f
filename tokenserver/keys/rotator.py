"""Key rotation in a running server: performs each step when it is due, and warns of expiring certificates.

Each process has one rotator for each key folder. The lock of the folder decides which of several processes or replicas
performs a step; the others reload the files.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from tokenserver.errors import LoadError
from tokenserver.keys.expiry import SIGNING_URGENT, key_warnings
from tokenserver.keys.layout import KeysBusy
from tokenserver.keys.ring import KeyRing
from tokenserver.keys.ring_operations import RingOperations
from tokenserver.keys.schedule import RotationStep, Schedule, due

logger = logging.getLogger("tokenserver.keys")

REPEAT_ERROR = timedelta(hours=1)
REMIND = timedelta(days=1)

_DONE = {
    RotationStep.PREPARE: "created the signing key %s and published it as next",
    RotationStep.SWITCH: "the signing key %s signs from now on",
    RotationStep.FORGET: "removed the retired signing key %s, whose last token has expired",
}


class Rotator:
    """Rotates the keys of one folder. `ring` returns the live ring of this process. While `is_blocked()`, no key is
    changed, because this process could not load the change."""

    def __init__(
        self, operations: RingOperations, ring: Callable[[], KeyRing], *, is_blocked: Callable[[], bool]
    ) -> None:
        self._operations = operations
        self._ring = ring
        self._is_blocked = is_blocked
        self._reported: dict[str, datetime] = {}

    def tick(self, now: datetime) -> RotationStep | None:
        """Perform the step due at `now`; returns it if this call did so. Never raises: the server keeps signing."""
        ring = self._ring()
        for warning in key_warnings(ring, now):
            urgent = logging.ERROR if ring.active.not_after - now <= SIGNING_URGENT else logging.WARNING
            self._report(warning, now, again=REMIND, level=urgent)
        schedule = self._operations.schedule
        waiting = pending_switch(ring, schedule, now)
        if waiting is not None:
            self._report(waiting, now, again=REMIND, level=logging.WARNING)
        if self._is_blocked():
            return None
        step = due(ring, schedule, now)
        if step is None:
            return None
        if step is RotationStep.PREPARE and not self._operations.can_issue():
            self._report(NO_CA_KEY, now, again=REMIND, level=logging.WARNING)
            return None
        return self._advance(now)

    def _advance(self, now: datetime) -> RotationStep | None:
        try:
            change = self._operations.advance(now)
        except KeysBusy:
            return None  # another process is doing it
        except LoadError as error:
            self._report(f"rotation failed, keeping the current key: {error}", now, again=REPEAT_ERROR)
        except Exception as error:  # no file may stop the server; only the type is safe to log
            self._report(f"rotation failed: unexpected {type(error).__name__}", now, again=REPEAT_ERROR)
        else:
            if change is not None:
                logger.info(_DONE[change.step], change.key_id)
                return change.step
        return None

    def _report(self, message: str, now: datetime, *, again: timedelta, level: int = logging.ERROR) -> None:
        """Log the message unless it was logged recently."""
        last = self._reported.get(message)
        if last is None or abs(now - last) >= again:
            self._reported[message] = now
            logger.log(level, "%s", message)


NO_CA_KEY = (
    "a new signing key is due, but token-ca.key is not here: run `tokenserver keys rotate --to FILE` where it is kept,"
    " and `tokenserver keys import FILE` here"
)


def pending_switch(ring: KeyRing, schedule: Schedule, now: datetime) -> str | None:
    """A notice that the next key must be deployed to registries that pin keys; None if no key is waiting."""
    if not schedule.pinned or not ring.next or now < schedule.switch_at(ring.next[0]):
        return None
    return (
        f"the signing key {ring.next[0].id} waits: when every registry that pins keys has it,"
        " switch to it with: tokenserver keys rotate"
    )


def rotation_warnings(ring: KeyRing, operations: RingOperations, now: datetime) -> list[str]:
    """Reasons why keys do not rotate as configured, or need manual deployment, as sentences."""
    found = []
    waiting = pending_switch(ring, operations.schedule, now)
    if waiting is not None:
        found.append(waiting)
    if operations.schedule.rotate_every is not None:
        if not operations.can_issue():
            at = operations.schedule.prepare_at(ring)
            is_due = at is not None and at <= now
            found.append(
                NO_CA_KEY if is_due else "rotate_every is set, but token-ca.key is not here: import new keys in time"
            )
        if not os.access(operations.folder, os.W_OK):
            found.append(f"rotate_every is set, but {operations.folder} is not writable: keys do not rotate here")
    return found


def watch_keys(rotators: Iterable[Rotator], stop: threading.Event, *, every: float = 0.5) -> None:
    """Call `tick` of the rotators every `every` seconds until `stop` is set. Blocks."""
    rotators = tuple(rotators)
    while not stop.wait(every):
        for rotator in rotators:
            rotator.tick(datetime.now(UTC))
