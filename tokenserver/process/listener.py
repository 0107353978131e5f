"""The production server: granian's listener and workers, with the limits that docs/run-in-production.md promises."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

from granian.constants import HTTPModes, Interfaces, Loops, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels

from tokenserver.config.server import address_of
from tokenserver.config.settings import Settings
from tokenserver.exchange.admission import REPORT_THREADS, page_threads_for, threads_for
from tokenserver.metrics.setup import metrics_board
from tokenserver.metrics.shared_rows import Board
from tokenserver.process.json_log import logging_config
from tokenserver.process.outputs import Appearance, Outputs, shared_outputs
from tokenserver.process.process_limits import connections_for, take_files
from tokenserver.process.serving import BACKLOG, FurtherListener, run_worker
from tokenserver.process.supervisor import Supervisor
from tokenserver.process.worker import WorkerSetup, load_worker
from tokenserver.runtime.cpu_affinity import WorkerCores
from tokenserver.server.compose import login_plan
from tokenserver.server.login_plan import provisioned, worker_count
from tokenserver.server.reconfigure import watch_configuration
from tokenserver.server.shared_state import NOTHING_SHARED, workers_share
from tokenserver.server.start_checks import is_forking

logger = logging.getLogger("tokenserver")

HEADER_SECONDS = 5
"""How long a client may take for its request line and headers, and how long an idle connection is kept. At most as many
connections again wait to be accepted while all slots are taken, so each is closed within twice this time. With TLS
there are always slots, and a handshake may take granian's ten seconds."""


def start_metrics(settings: Settings) -> Board | None:
    """Start the metrics listener in this process; gives the memory that workers count in. None: not configured.

    Raises:
        LoadError: the address cannot be had, or there is no memory.
    """
    if settings.server.metrics is None:
        return None
    # Only where metrics are wanted, and never in the workers, which need nothing of it.
    from tokenserver.metrics.exposition import CONTENT_TYPE, Page  # noqa: PLC0415
    from tokenserver.metrics.http import Listener  # noqa: PLC0415

    board = metrics_board(settings, workers=worker_count(settings))
    page = Page(board, now=time.time, monotonic=time.monotonic)
    Listener(address_of(settings.server.metrics), page.text, CONTENT_TYPE).start()
    return board


def run(settings: Settings, config: Path | None, board: Board | None, look: Appearance) -> None:
    """Serve until the process is told to stop; returns after the last request in progress is answered.

    `look` is how the log and audit events look.

    Raises:
        LoadError: there is no memory for what the processes share.
    """
    address, port = settings.server.address
    tls, addresses = settings.server.tls, settings.server.addresses
    workers = worker_count(settings)
    if sys.platform == "linux":  # Python 3.14 would start workers as new programs, without the memory that they share
        multiprocessing.set_start_method("fork", force=True)
    chained = settings.audit.chain and not look.audit
    outputs = shared_outputs(chained=chained) if is_forking() else Outputs()
    connections = connections_for(take_files(), is_tls=tls is not None, listeners=len(addresses))
    logins = provisioned(login_plan(settings)).threads
    server = Supervisor(
        "tokenserver",
        address=address,
        port=port,
        interface=Interfaces.WSGI,  # for granian's own checks; process/gateway.py takes requests by RSGI
        workers=workers,
        blocking_threads=threads_for(logins),
        loop=Loops.asyncio,
        http=HTTPModes.http1,  # HTTP/2 has none of the limits below
        websockets=False,
        backlog=BACKLOG if tls else min(BACKLOG, connections),
        backpressure=connections,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000),
        log_dictconfig=logging_config(outputs.log, console=look.log, color=look.log_color),
        log_level=LogLevels.warning,
        ssl_cert=tls.certificate if tls else None,
        ssl_key=tls.key if tls else None,
        ssl_protocol_min=SSLProtocols.tls12,
        workers_kill_timeout=1,  # for what is left after `Supervisor._stop_workers`
        respawn_failed_workers=True,
    )
    if tls is not None:
        server.read_certificate_from(tls.certificate, tls.key)
    # A worker inherits the master's handlers, which stop only the master. Until granian has set the worker's own, a
    # signal must end it immediately; otherwise a stop right after the start would take the whole grace period.
    os.register_at_fork(after_in_child=_default_signals)
    server.listens_at = " and ".join(_url(each, is_tls=tls is not None) for each in addresses.values())
    shared = workers_share(settings, workers=workers) if is_forking() else NOTHING_SHARED
    sys.stdout.flush()
    configuration = watch_configuration(config, settings, shared, board)
    server.on_hangup = configuration.hangup
    threading.Thread(target=configuration.watch, args=(threading.Event(),), name="configuration", daemon=True).start()
    orders = (lambda: configuration.orders) if is_forking() else None
    ports = tuple(port for _, port in addresses.values())
    setup = WorkerSetup(config, orders, WorkerCores(workers), shared, outputs.audit, board, ports, look)
    threads = {"management": page_threads_for(logins), "notifications": REPORT_THREADS}
    further = [FurtherListener(addresses[key], connections, threads[key]) for key in addresses if key in threads]
    worker = partial(run_worker, further=further)
    server.serve(spawn_target=worker, target_loader=partial(load_worker, setup), wrap_loader=False)
    logger.info("stopped")


def _url(address: tuple[str, int], *, is_tls: bool) -> str:
    host, port = address
    return f"{'https' if is_tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def _default_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
