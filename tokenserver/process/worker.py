"""Start-up of a worker process: loads the application, then tunes garbage collection and CPU affinity for it."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.errors import LoadError
from tokenserver.exchange.audit_chain.sink import ChainedSink
from tokenserver.exchange.audit_chain.state import ChainState
from tokenserver.exchange.audit_sink import DescriptorSink
from tokenserver.exchange.sink_state import SinkState
from tokenserver.metrics.shared_rows import Board
from tokenserver.process.console import ConsoleSink
from tokenserver.process.outputs import Appearance
from tokenserver.process.process_limits import end_with, harden_process
from tokenserver.runtime.cpu_affinity import WorkerCores
from tokenserver.server.reload.configuration import Orders
from tokenserver.server.shared_state import SharedState

if TYPE_CHECKING:
    from tokenserver.process.supervisor import Heartbeats

logger = logging.getLogger("tokenserver")

GC_ALLOCATIONS = 20_000
"""Allocations between two collections of the youngest generation; Python's default of 700 costs a sixth of the time of
a request."""

_REFUSED = 2
"""The exit code of a worker that cannot load its files, as of the command; the master does not look at it."""


class WorkerSetup(NamedTuple):
    """What the master hands to each worker. `audit` and `board` are None where there is nothing to share;
    `ports` are where the worker listens.

    A forked worker is given the settings in force by `orders`, so that a replacement has them too, whatever `config`
    contains by then. A spawned one reads them from there: secrets are not pickled.
    """

    config: Path | None
    orders: Callable[[], Orders] | None
    cores: WorkerCores
    shared: SharedState
    audit: SinkState | None
    board: Board | None
    ports: tuple[int, ...]
    appearance: Appearance = Appearance()


def load_worker(setup: WorkerSetup, heartbeats: Heartbeats, worker: int) -> Any:
    """The application of a new worker process, in which everything is ready to serve.

    Raises:
        SystemExit: the files no longer load; the log says why.
    """
    end_with(heartbeats.master)
    from tokenserver.web.application import load_application  # noqa: PLC0415 - in the worker, after the fork

    harden_process()  # on Python 3.14 a worker may be a new program, which does not inherit all of it
    try:
        number, settings = Orders(0, load_settings(setup.config)) if setup.orders is None else setup.orders()
        application = load_application(
            settings,
            order=number,
            board=setup.board,
            shared=setup.shared,
            sink=_sink(setup, settings),
            is_stopping=lambda: heartbeats.is_stopping,
        )
    except LoadError as error:  # the files have changed since the start checked them
        for fault in error.faults:
            logger.error("a worker cannot start: %s", fault)  # noqa: TRY400 - the fault says it all
        raise SystemExit(_REFUSED) from error
    # What is loaded now stays, so the garbage collector need not visit it again, and requests leave little behind.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 50)
    setup.cores.claim()  # before the server starts its threads, which inherit the affinity of this one
    heartbeats.start_beating(worker, setup.ports)
    return application


def _sink(setup: WorkerSetup, settings: Settings) -> DescriptorSink:
    """The sink of audit events. What is written in words for a person has no chain."""
    output, look, state = sys.stdout.fileno(), setup.appearance, setup.audit
    if look.audit:
        return ConsoleSink(output, state, color=look.audit_color)
    if settings.audit.chain:
        return ChainedSink(output, state if isinstance(state, ChainState) else None)
    return DescriptorSink(output, state)
