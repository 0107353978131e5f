"""An audit trail on a clock that stands still, and rulings to record in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tokenserver.exchange.audit import AuditTrail

START = 1_700_000_000.0


class Clock:
    """A clock that moves only when a test moves it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """For the trail's two clocks."""
    return Clock()


def trail_to(sink: Any, clock: Clock) -> AuditTrail:
    """A trail of a server whose policies are called `digest`."""
    return AuditTrail(sink, now=clock, policy=lambda: "digest", monotonic=clock)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe of 64 KiB."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)
