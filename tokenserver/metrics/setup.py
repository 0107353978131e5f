"""Metrics as the settings ask for them: the memory that workers count in, and what wraps the path in each of them."""

from __future__ import annotations

import logging
import time
from typing import NamedTuple

from tokenserver.config.settings import Settings
from tokenserver.errors import Fault, LoadError
from tokenserver.exchange.service import Exchange, Explain, Refusals
from tokenserver.metrics.definitions import Layout
from tokenserver.metrics.observers import MeteredExchange, MeteredExplain, MeteredRefusals
from tokenserver.metrics.recorder import Meter
from tokenserver.metrics.shared_rows import Board

logger = logging.getLogger("tokenserver.metrics")


class Observed(NamedTuple):
    """What the web calls, with everything that watches it; `meter` None where nothing is measured."""

    exchange: Exchange
    explanation: Explain
    refusals: Refusals
    meter: Meter | None = None


def metrics_board(settings: Settings, *, workers: int) -> Board:
    """The memory that the workers of these settings count in; made before they start.

    Raises:
        LoadError: there is none.
    """
    layout = Layout(
        services=tuple(registry.service for registry in settings.registries),
        sources=tuple(source.name for source in settings.authentication),
        directories=tuple(source.name for source in settings.authentication if source.ldap is not None),
        keys=tuple(str(keys.folder) for keys in settings.key_sets()),
    )
    try:
        return Board(layout, workers=workers)
    except OSError as error:
        raise LoadError([Fault("server", 0, "metrics", f"there is no memory for it: {error.strerror}")]) from error


def metered(inner: Observed, settings: Settings, board: Board) -> Observed:
    """The same, and everything is counted in a row of `board` that this process has for itself."""
    row = board.claim()
    if row is None:
        logger.error("metrics: no room for this worker; what it does is not counted")
        return inner
    services = {name: registry.service for registry in settings.registries for name in registry.names}
    meter = Meter(board.layout, row, services)
    return Observed(
        MeteredExchange(inner.exchange, meter, monotonic=time.perf_counter),
        MeteredExplain(inner.explanation, meter, monotonic=time.perf_counter),
        MeteredRefusals(inner.refusals, meter),
        meter,
    )
