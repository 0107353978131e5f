"""Respawn policy: when to replace worker processes that end or hang, with which backoff, and when to give up.

It knows only times, no processes; `supervisor` applies it.
"""

from __future__ import annotations

from collections.abc import Mapping

YOUNG_SECONDS = 3.0
"""A worker that ends sooner after its start has not served."""

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0

HOPELESS = 3
"""Failed starts in a row after which another one is expected to fail too, unless some other worker serves."""

HANG_SECONDS = 20.0
"""A worker without a heartbeat for this long does not answer its clients either."""


class RespawnPolicy:
    """The policy of one master process. Workers are numbered; `now` is monotonic, in seconds."""

    def __init__(self) -> None:
        self._failures: dict[int, int] = {}
        self._due: dict[int, float] = {}

    def ended(self, worker: int, age: float, now: float) -> None:
        """Note that a worker ended unasked. One that has served is due immediately, others after a growing pause."""
        failures = self._failures.get(worker, 0) + 1 if age < YOUNG_SECONDS else 0
        self._failures[worker] = failures
        self._due[worker] = now + (min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (failures - 1)) if failures else 0.0)

    def due(self, now: float) -> list[int]:
        """The workers to start now; they count as started."""
        found = [worker for worker, moment in self._due.items() if moment <= now]
        for worker in found:
            del self._due[worker]
        return found

    def may_start(self, worker: int) -> bool:
        """Whether the next start of this worker may succeed: it has failed fewer than `HOPELESS` times in a row."""
        return self._failures.get(worker, 0) < HOPELESS

    def is_hopeless(self, ages: Mapping[int, float]) -> bool:
        """Whether every further start is expected to fail. `ages` are those of the live workers, infinite for one that
        already serves.
        """
        if any(age >= YOUNG_SECONDS for age in ages.values()):
            return False
        return bool(self._due) and all(self._failures[worker] >= HOPELESS for worker in self._due)


def hanging(heartbeats: Mapping[int, float], now: float) -> list[int]:
    """The workers whose last heartbeat is too long ago; one without any yet (0) is still starting."""
    return [worker for worker, last in heartbeats.items() if last and now - last > HANG_SECONDS]
