"""`tokenserver serve`: runs the production server."""

from __future__ import annotations

import errno
import logging
import logging.config
from pathlib import Path

import click

from tokenserver.cli.exits import ADDRESS_IN_USE
from tokenserver.cli.options import config_option, exit_with_faults, report_faults
from tokenserver.config.load import config_path
from tokenserver.config.settings import Settings
from tokenserver.errors import Fault, LoadError
from tokenserver.process.json_log import logging_config
from tokenserver.process.outputs import appearance, check_output
from tokenserver.process.process_limits import harden_process
from tokenserver.server.compose import warnings
from tokenserver.server.start_checks import listening_refused, reason
from tokenserver.server.startup import load_all

logger = logging.getLogger("tokenserver")


@click.command()
@config_option
@report_faults
def serve(config: Path | None) -> None:
    """Check everything, then serve until SIGTERM or Ctrl-C.

    Audit events go to standard output, one line of JSON each; the log goes to standard error. Exit code 1: another
    process listens on the address, or no worker starts, so trying again may help; 2: faulty files.
    """
    check_output()
    settings, snapshot = load_all(config)
    _check_address(settings, config)
    look = appearance(settings.log.format)
    logging.config.dictConfig(logging_config(None, console=look.log, color=look.log_color))
    for warning in warnings(settings, snapshot):
        logger.warning("%s", warning)
    services = ", ".join(registry.service for registry in settings.registries)
    logger.info("realm %s for %s; %d rules", settings.server.realm, services, snapshot.policies.rule_count)
    del snapshot
    harden_process()
    # Here and not above, because granian takes a while to import and faults should be reported first.
    from tokenserver.process.listener import run, start_metrics  # noqa: PLC0415

    board = start_metrics(settings)
    if board is not None:
        logger.info("metrics at %s", settings.server.metrics_url)
    run(settings, config, board, look)


def _check_address(settings: Settings, config: Path | None) -> None:
    """Listen for a moment, so that an unavailable address is reported like any other fault.

    If another process listens there, the exit code is `ADDRESS_IN_USE`: a supervisor may find it free later.

    Raises:
        LoadError: with the system's reason.
    """
    error = listening_refused(settings.server.address)
    if error is None:
        return
    message = f"cannot listen on {settings.server.listen}: {reason(error)}"
    refused = LoadError([Fault(str(config_path(config)), 0, "server.listen", message)])
    if error.errno == errno.EADDRINUSE:
        exit_with_faults(refused, code=ADDRESS_IN_USE)
    raise refused from error
