"""`tokenserver serve`: the production server."""

from __future__ import annotations

import errno
import gc
import logging
import multiprocessing
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tokenserver.cli.options import WRONG_USE, config_option, refuse, tell_faults
from tokenserver.cli.terminal import echo
from tokenserver.config.load import config_path
from tokenserver.config.settings import Settings, address_of
from tokenserver.errors import Fault, LoadError
from tokenserver.exchange.admission import threads_for
from tokenserver.exchange.audit_sink import DescriptorSink
from tokenserver.exchange.sink_state import SinkState
from tokenserver.metrics.setup import metrics_board
from tokenserver.metrics.shared_rows import Board
from tokenserver.process.outputs import Outputs, check_output, shared_outputs
from tokenserver.process.process_limits import (
    MAX_FILES,
    MAX_FILES_TLS,
    connections_for,
    end_with,
    harden_process,
    take_files,
)
from tokenserver.runtime.cpu_affinity import WorkerCores
from tokenserver.server.compose import login_plan, warnings
from tokenserver.server.login_plan import worker_count
from tokenserver.server.shared_state import NOTHING_SHARED, SharedState, workers_share
from tokenserver.server.start_checks import is_forking, listening_refused, reason
from tokenserver.server.startup import load_all

if TYPE_CHECKING:
    from tokenserver.process.supervisor import Signs

logger = logging.getLogger("tokenserver")

HEADER_SECONDS = 5
"""How long a client may take for its request line and headers, and how long an idle connection is kept. Those that wait
to be accepted while all places are taken are at most as many again, so each is closed within twice this time."""

BACKLOG = 2048

ADDRESS_IN_USE = 1
"""The exit code where another process listens on the address. Supervisors try again; 2 says that files are at fault."""

GC_ALLOCATIONS = 20_000
"""How many objects may come into being before the young ones are looked through; Python's own 700 costs a sixth
of the time of a request."""

# Audit events alone go to standard output, so that it can be piped; everything else goes to standard error.
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"advice": {"()": "tokenserver.process.json_log.WithoutThreadAdvice"}},
    "formatters": {"line": {"()": "tokenserver.process.json_log.JsonFormatter"}},
    "handlers": {"stderr": {"class": "tokenserver.process.outputs.LogHandler", "formatter": "line"}},
    "loggers": {
        "_granian": {"handlers": ["stderr"], "level": "INFO", "propagate": False, "filters": ["advice"]},
        "granian.access": {"handlers": [], "propagate": False},
    },
    "root": {"handlers": ["stderr"], "level": "INFO"},
}


@click.command()
@config_option
@tell_faults
def serve(config: Path | None) -> None:
    """Check everything, then answer requests until SIGTERM or Ctrl-C.

    Audit events go to standard output, one JSON line each; the log goes to standard error.
    """
    check_output()
    settings, snapshot = load_all(config)
    _check_address(settings, config)
    for warning in warnings(settings, snapshot):
        echo(f"warning: {warning}", fg="yellow", err=True)
    services = ", ".join(registry.service for registry in settings.registries)
    echo(f"realm {settings.server.realm} for {services}; {snapshot.policies.rule_count} rules", err=True)
    del snapshot
    harden_process()
    run(settings, config)


def _check_address(settings: Settings, config: Path | None) -> None:
    """Listen for a moment, so that an address that cannot be had is told as any other fault.

    One that is in use ends the process with `ADDRESS_IN_USE`: it may be free when a supervisor tries again.

    Raises:
        LoadError: with what the system says.
    """
    error = listening_refused(settings.server.address)
    if error is None:
        return
    message = f"cannot listen on {settings.server.listen}: {reason(error)}"
    refused = LoadError([Fault(str(config_path(config)), 0, "server.listen", message)])
    if error.errno == errno.EADDRINUSE:
        refuse(refused, code=ADDRESS_IN_USE)
    raise refused from error


def run(settings: Settings, config: Path | None) -> None:
    """Run granian until it is told to stop; returns after the last request under way was answered."""
    # Imported here, because loading a server is not free and the faults above should come first.
    from granian.constants import HTTPModes, Interfaces, Loops, SSLProtocols  # noqa: PLC0415
    from granian.http import HTTP1Settings  # noqa: PLC0415
    from granian.log import LogLevels  # noqa: PLC0415

    from tokenserver.process.gateway import run_worker  # noqa: PLC0415
    from tokenserver.process.supervisor import Supervisor  # noqa: PLC0415

    board = _serve_metrics(settings)
    address, port = settings.server.address
    tls = settings.server.tls
    workers = worker_count(settings)
    if sys.platform == "linux":  # where Python 3.14 would start workers anew, without the memory that they are to share
        multiprocessing.set_start_method("fork", force=True)
    outputs = shared_outputs() if is_forking() else Outputs()
    connections = connections_for(take_files(MAX_FILES_TLS if tls else MAX_FILES))
    server = Supervisor(
        "tokenserver",
        address=address,
        port=port,
        interface=Interfaces.WSGI,  # as far as granian's own checks go; see process/gateway.py
        workers=workers,
        blocking_threads=threads_for(login_plan(settings).threads),
        loop=Loops.asyncio,
        http=HTTPModes.http1,  # HTTP/2 has none of the limits below
        websockets=False,
        backlog=min(BACKLOG, connections),
        backpressure=connections,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000),
        log_dictconfig=_logging(outputs),
        log_level=LogLevels.warning,
        ssl_cert=tls.certificate if tls else None,
        ssl_key=tls.key if tls else None,
        ssl_protocol_min=SSLProtocols.tls12,
        workers_kill_timeout=1,  # what is left for after `_stop_workers`
        respawn_failed_workers=True,
    )
    # A worker is born with the master's handlers, which stop nobody but the master. Until granian has set the
    # worker's own, a signal must end it at once; otherwise stopping right after the start would take all of the grace.
    os.register_at_fork(after_in_child=_default_signals)
    shared = workers_share(settings, workers=workers) if is_forking() else NOTHING_SHARED
    sys.stdout.flush()
    server.serve(
        spawn_target=run_worker,
        target_loader=partial(_load, config, WorkerCores(workers), shared, outputs.audit, board),
        wrap_loader=False,
    )


def _logging(outputs: Outputs) -> dict[str, Any]:
    handler = {**LOGGING["handlers"]["stderr"], "state": outputs.log}
    return {**LOGGING, "handlers": {"stderr": handler}}


def _default_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def _serve_metrics(settings: Settings) -> Board | None:
    """Answer Prometheus from now on, where that is configured; what workers are to count on."""
    if settings.server.metrics is None:
        return None
    # Here and not in the workers, where nothing of it is needed; and only where it is wanted.
    from tokenserver.metrics.exposition import CONTENT_TYPE, Page  # noqa: PLC0415
    from tokenserver.metrics.http import Listener  # noqa: PLC0415

    board = metrics_board(settings, workers=worker_count(settings))
    page = Page(board, now=time.time, monotonic=time.monotonic)
    Listener(address_of(settings.server.metrics), page.text, CONTENT_TYPE).start()
    echo(f"metrics at {settings.server.metrics_url}", err=True)
    return board


def _load(  # noqa: PLR0917 - the last two are the master's
    config: Path | None,
    cores: WorkerCores,
    shared: SharedState,
    output: SinkState | None,
    board: Board | None,
    signs: Signs,
    worker: int,
) -> Any:
    end_with(signs.master)
    from tokenserver.web.application import load_application  # noqa: PLC0415 - in the worker, after the fork

    harden_process()  # a worker that is a new program (Python 3.14 starts them so) does not inherit all of it
    sink = DescriptorSink(sys.stdout.fileno(), output)
    try:
        application = load_application(
            config, board=board, shared=shared, sink=sink, is_stopping=lambda: signs.is_stopping
        )
    except LoadError as error:  # the files are not any more what the start has checked
        for fault in error.faults:
            logger.error("a worker cannot start: %s", fault)  # noqa: TRY400 - the fault says it all
        raise SystemExit(WRONG_USE) from error
    # What is loaded stays: the garbage collector need not look at it again and again, and requests leave little behind.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 50)
    cores.claim()  # before the server starts its threads, which inherit the affinity
    signs.keep_living(worker)
    return application
