"""What to do about worker processes that end or hang: when to put a new one in their place, and when to give up.

It knows no process and no server, only times; `supervisor` does what it says.
"""

from __future__ import annotations

from collections.abc import Mapping

YOUNG_SECONDS = 3.0
"""A worker that ends so soon after its start has not served."""

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0

HOPELESS = 3
"""So many starts in a row that came to nothing, while nobody else serves: the next one would not either."""

HANG_SECONDS = 20.0
"""A worker that gave no sign of life for so long gives none to its clients either."""


class Keeper:
    """For one master process. Workers are numbered; `now` is in seconds and never goes back."""

    def __init__(self) -> None:
        self._failures: dict[int, int] = {}
        self._due: dict[int, float] = {}

    def ended(self, worker: int, age: float, now: float) -> None:
        """A worker ended that nobody told to. One that had served is replaced at once, others after a growing pause."""
        failures = self._failures.get(worker, 0) + 1 if age < YOUNG_SECONDS else 0
        self._failures[worker] = failures
        self._due[worker] = now + (min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (failures - 1)) if failures else 0.0)

    def due(self, now: float) -> list[int]:
        """The workers that are to be started now; they count as started."""
        found = [worker for worker, moment in self._due.items() if moment <= now]
        for worker in found:
            del self._due[worker]
        return found

    def may_start(self, worker: int) -> bool:
        """Whether this worker has not yet failed so often that its next start is expected to fail as well."""
        return self._failures.get(worker, 0) < HOPELESS

    def is_hopeless(self, ages: Mapping[int, float]) -> bool:
        """Whether no start comes to anything. `ages` are those of the workers that live; infinite for one that serves
        already, however young it is.
        """
        if any(age >= YOUNG_SECONDS for age in ages.values()):
            return False
        return bool(self._due) and all(self._failures[worker] >= HOPELESS for worker in self._due)


def hanging(signs: Mapping[int, float], now: float) -> list[int]:
    """The workers whose last sign of life is too long ago; who has given none yet (0) is still starting."""
    return [worker for worker, last in signs.items() if last and now - last > HANG_SECONDS]
