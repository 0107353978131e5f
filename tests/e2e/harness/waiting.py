"""Waiting for what must come about, however busy the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 120.0
"""Far longer than anything takes that a test waits for without measuring it."""


FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.05


def until(
    holds: Callable[[], bool],
    *,
    seconds: float = PATIENCE_SECONDS,
    in_a_row: int = 1,
    tolerates: tuple[type[Exception], ...] = (),
) -> None:
    """Wait until it holds, that many times in a row: requests on connections of their own meet any worker.

    An error that it `tolerates` means that it does not hold yet, as a connection that is refused.
    """
    end, found, pause = time.monotonic() + seconds, 0, FIRST_PAUSE
    while found < in_a_row:
        try:
            does_hold = holds()
        except tolerates:
            does_hold = False
        if does_hold:
            found += 1
            continue
        found = 0
        assert time.monotonic() < end, f"it did not come within {seconds} s"
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
