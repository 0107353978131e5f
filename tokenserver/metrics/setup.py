"""Sets metrics up as configured: the memory that all workers count in, and the observer of each worker."""

from __future__ import annotations

import logging

from tokenserver.config.settings import Settings
from tokenserver.errors import Fault, LoadError
from tokenserver.metrics.definitions import LabelNames, Layout
from tokenserver.metrics.recorder import Meter
from tokenserver.metrics.shared_rows import Board
from tokenserver.notifications.facts import PUSH

SPARE_NAMES = (256, 16, 16, 16, 16)
"""How many registries, sources, directories, key folders and workload sources that a reload adds have labels of their
own. Each registry takes about 300 bytes for each worker.
"""

logger = logging.getLogger("tokenserver.metrics")


def metrics_board(settings: Settings, *, workers: int) -> Board:
    """The memory that the workers count in; to be created before they start.

    Raises:
        LoadError: there is not enough memory.
    """
    layout = Layout(**label_names(settings).with_spares(SPARE_NAMES)._asdict())
    try:
        return Board(layout, workers=workers)
    except OSError as error:
        raise LoadError([Fault("server", 0, "metrics", f"not enough memory: {error.strerror}")]) from error


def worker_meter(settings: Settings, board: Board) -> Meter | None:
    """The observer that counts in a row of `board` that this process has to itself; None if all rows are taken."""
    row = board.claim()
    if row is None:
        logger.error("metrics: no free row for this worker; its requests are not counted")
        return None
    return Meter(board.layout, row, services_of(settings), pushes=pushes_of(settings), latest=lambda: board.layout)


def add_labels(settings: Settings, board: Board) -> None:
    """Labels for what is new in these settings, in every process. One thread of the master process may do this."""
    left = board.add(label_names(settings))
    if left:
        logger.warning("metrics: no more room for names; %d of them have no label until a restart", len(left))


def label_names(settings: Settings) -> LabelNames:
    """The label values that these settings name."""
    return LabelNames(
        services=tuple(registry.service for registry in settings.registries),
        sources=tuple(source.name for source in settings.authentication),
        directories=tuple(source.name for source in settings.authentication if source.remote is not None),
        keys=tuple(str(keys.folder) for keys in settings.key_sets()),
        issuers=tuple(source.name for source in settings.authentication if source.workload or source.oidc),
    )


def services_of(settings: Settings) -> dict[str, str]:
    """The primary name of each service name."""
    return {name: registry.service for registry in settings.registries for name in registry.names}


def pushes_of(settings: Settings) -> frozenset[str]:
    """The registries that are to report pushes, by their primary names."""
    return frozenset(
        registry.service
        for registry in settings.reporters
        if registry.notifications is not None and PUSH in registry.notifications.actions
    )
