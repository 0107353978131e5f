"""The first storm after a start, beside later ones: 256 connections at once, each request another repository."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bench.load import Measured, drive, new_repositories
from bench.servers import Running

CONNECTIONS = 256
SECONDS = 2
LATER = 3
"""Storms after the first one of each start."""

READY = 1.0
"""Seconds after the first answer, in which the other workers load, too."""


def compared(start: Callable[[], Running], starts: int) -> dict[str, Any]:
    """Start so many servers with `start` and drive each; prints rates, latencies and the ratio of first to later."""
    work = replace(new_repositories(), connections=CONNECTIONS)
    firsts: list[Measured] = []
    laters: list[Measured] = []
    for _ in range(starts):
        url = start().url
        time.sleep(READY)
        firsts.append(drive(url, work, SECONDS))
        laters += [drive(url, work, SECONDS) for _ in range(LATER)]
    title = f"{CONNECTIONS} connections for {SECONDS} s, all new repositories"
    print(f"{title:50} {'per second':>10} {'p50 ms':>7} {'p99 ms':>7} {'of later':>8}")
    found: dict[str, Any] = {}
    usual = statistics.median(one.rate for one in laters)
    for name, storms in (("the first storm after a start", firsts), ("later storms", laters)):
        rate, p50, p99 = (statistics.median(getattr(one, part) for one in storms) for part in ("rate", "p50", "p99"))
        print(f"{name:50} {rate:10.0f} {p50:7.2f} {p99:7.2f} {rate / usual:8.2f}")
        found[name] = {"per_second": rate, "p50_ms": p50, "p99_ms": p99, "of_later": rate / usual}
    return found
