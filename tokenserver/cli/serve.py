"""`tokenserver serve`: the production server."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import click

from tokenserver.cli.options import config_option, tell_faults
from tokenserver.cli.start import load_all
from tokenserver.compose import harden_process, login_plan, warnings, worker_count
from tokenserver.config.load import config_path
from tokenserver.config.settings import Settings
from tokenserver.errors import Fault, LoadError
from tokenserver.web.token import BODY_READERS

GRACE_SECONDS = 20
"""How long a request that is under way may take after SIGTERM before its worker is killed."""

DRAIN_SECONDS = 0.5
"""How long after SIGTERM requests are taken as ever, so that none is lost that was on its way."""

HEADER_SECONDS = 10

GC_ALLOCATIONS = 20_000
"""How many objects may come into being before the young ones are looked through; Python's own 700 costs a sixth
of the time of a request."""

# Audit events alone go to standard output, so that it can be piped; everything else goes to standard error.
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"advice": {"()": "tokenserver.cli.log.WithoutThreadAdvice"}},
    "formatters": {"line": {"()": "tokenserver.cli.log.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": "line"}},
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
    settings, snapshot = load_all(config)
    _check_address(settings, config)
    for warning in warnings(settings, snapshot):
        click.secho(f"warning: {warning}", fg="yellow", err=True)
    services = ", ".join(registry.service for registry in settings.registries)
    click.echo(f"realm {settings.server.realm} for {services}; {snapshot.policies.rule_count} rules", err=True)
    del snapshot
    harden_process()
    run(settings, config)


def _check_address(settings: Settings, config: Path | None) -> None:
    """Listen for a moment, so that an address that cannot be had is told as any other fault.

    Raises:
        LoadError: with what the system says.
    """
    family = socket.AF_INET6 if ":" in settings.server.address[0] else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(settings.server.address)
            listener.listen()
        except OSError as error:
            message = f"cannot listen on {settings.server.listen}: {os.strerror(error.errno or 0)}"
            raise LoadError([Fault(str(config_path(config)), 0, "server.listen", message)]) from error


def run(settings: Settings, config: Path | None) -> None:
    """Run granian until it is told to stop; returns after the last request under way was answered."""
    # Imported here, because loading a server is not free and the faults above should come first.
    from granian.constants import Interfaces, Loops, SSLProtocols  # noqa: PLC0415
    from granian.http import HTTP1Settings  # noqa: PLC0415
    from granian.log import LogLevels  # noqa: PLC0415
    from granian.server.mp import MPServer  # noqa: PLC0415

    class Server(MPServer):
        def signal_handler_interrupt(self, *arguments: object) -> None:
            """SIGTERM, SIGINT: answer what was sent until now, and stop then. The second signal stops at once.

            Stopping closes connections that were accepted but not yet read; what waits there came before the signal.
            """
            # A terminal signals the workers as well; that they end now is expected, and no error in the log.
            for worker in self.wrks:
                worker.interrupt_by_parent = True
            stop = partial(super().signal_handler_interrupt, *arguments)
            if self.is_stopping:
                stop()
            self.is_stopping = True
            timer = threading.Timer(DRAIN_SECONDS, stop)
            timer.daemon = True
            timer.start()

        is_stopping = False

        def _stop_workers(self) -> None:
            """Wait here for the workers to end. A thread of granian's waits for each of them as well, and where that
            one hears of the end first, granian takes the worker for alive and says that it had to kill it.
            """
            workers: list[Any] = self.wrks
            for worker in workers:
                worker.terminate()
            end = time.monotonic() + GRACE_SECONDS
            while any(worker.is_alive() for worker in workers) and time.monotonic() < end:
                time.sleep(0.01)
            super()._stop_workers()  # type: ignore[no-untyped-call]  # granian's own has no annotations

        def signal_handler_reload(self, *_: object) -> None:
            """SIGHUP: the workers follow the files by themselves; restarting them would drop connections."""
            logging.getLogger("tokenserver").info("SIGHUP: changed files are taken within two seconds")

    address, port = settings.server.address
    tls = settings.server.tls
    server = Server(
        "tokenserver",
        address=address,
        port=port,
        interface=Interfaces.WSGI,
        workers=worker_count(settings),
        blocking_threads=login_plan(settings).threads + BODY_READERS,
        loop=Loops.asyncio,
        websockets=False,
        backlog=2048,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000),
        log_dictconfig=LOGGING,
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
    sys.stdout.flush()
    server.serve(target_loader=partial(_load, config), wrap_loader=False)


def _default_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def _load(config: Path | None) -> Any:
    from tokenserver.web.wsgi import load_application  # noqa: PLC0415 - in the worker, after the fork

    harden_process()  # a worker that is a new program (Python 3.14 starts them so) does not inherit all of it
    application = load_application(config)
    # What is loaded stays: the garbage collector need not look at it again and again, and requests leave little behind.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 50)
    return application
