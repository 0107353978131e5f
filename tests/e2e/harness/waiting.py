"""Waiting for what must come about, however busy the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 120.0
"""Far longer than anything takes that a test waits for without measuring it."""


def until(holds: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS, in_a_row: int = 1) -> None:
    """Wait until it holds, that many times in a row: requests on connections of their own meet any worker."""
    end, found = time.monotonic() + seconds, 0
    while found < in_a_row:
        if holds():
            found += 1
            continue
        found = 0
        assert time.monotonic() < end, f"it did not come within {seconds} s"
        time.sleep(0.05)
