"""`tokenserver serve`: runs the production server."""

from __future__ import annotations

import errno
import logging
import logging.config
from pathlib import Path
from typing import NoReturn

import click

from tokenserver.cli.exits import ADDRESS_IN_USE, WRONG_USE
from tokenserver.cli.options import config_option, exit_with_faults, fault_lines, spell_faults
from tokenserver.cli.terminal import echo_text
from tokenserver.config.load import config_path, log_format
from tokenserver.config.settings import Settings
from tokenserver.errors import BackendUnavailable, LoadError
from tokenserver.process.json_log import JsonFormatter, logging_config
from tokenserver.process.outputs import appearance, check_output
from tokenserver.process.process_limits import harden_process
from tokenserver.server.compose import warnings
from tokenserver.server.start_checks import address_fault, listening_refused
from tokenserver.server.startup import load_all
from tokenserver.server.stored.opening import prepare_storage

logger = logging.getLogger("tokenserver")


@click.command()
@config_option
@click.option("--migrate", is_flag=True, help="Make or migrate the tables of a PostgreSQL storage first.")
def serve(config: Path | None, *, migrate: bool) -> None:
    """Check everything, then serve until SIGTERM or Ctrl-C.

    Audit events go to standard output, one line of JSON each; the log goes to standard error. Exit code 1: another
    process listens on the address, or no worker starts, so trying again may help; 2: faulty files.
    """
    try:
        _serve(config, migrate=migrate)
    except _AddressInUse as error:
        _not_started(error, config, code=ADDRESS_IN_USE)
    except LoadError as error:
        _not_started(error, config, code=WRONG_USE)


class _AddressInUse(LoadError):
    """Another process listens on the address; a supervisor may find it free later."""


def _serve(config: Path | None, *, migrate: bool) -> None:
    """As `serve`. Raises `LoadError` with everything that prevents the start."""
    check_output()
    settings, snapshot = load_all(config, migrate=migrate)
    _check_address(settings, config)
    look = appearance(settings.log.format)
    logging.config.dictConfig(logging_config(None, console=look.log, color=look.log_color))
    for warning in warnings(settings, snapshot):
        logger.warning("%s", warning)
    _prepare_storage(settings, migrate=migrate)
    services = ", ".join(registry.service for registry in settings.registries)
    logger.info("realm %s for %s; %d rules", settings.server.realm, services, snapshot.policies.rule_count)
    del snapshot
    harden_process()
    # Here and not above, because granian takes a while to import and faults should be reported first.
    from tokenserver.process.listener import run, start_metrics  # noqa: PLC0415

    if settings.server.management is not None:
        logger.info("management and pages at %s, not at the realm's address", settings.server.pages_url)
    board = start_metrics(settings)
    if board is not None:
        logger.info("metrics at %s", settings.server.metrics_url)
    run(settings, config, board, look)


def _prepare_storage(settings: Settings, *, migrate: bool) -> None:
    """Make or migrate the tables of the storage, if there is one. The server starts even if it does not answer."""
    if settings.storage is None:
        return
    try:
        done = prepare_storage(settings, migrate=migrate)
    except BackendUnavailable as error:
        logger.error("storage: does not answer, so stored credentials are rejected until it does: %s", error.reason)  # noqa: TRY400 - the reason says it all
    else:
        if done is not None:
            logger.info("%s", done)


def _check_address(settings: Settings, config: Path | None) -> None:
    """Listen at each address for a moment, so that an unavailable one is reported like any other fault.

    Raises:
        LoadError: with the system's reason; an `_AddressInUse` if another process listens there.
    """
    for key, address in settings.server.addresses.items():
        error = listening_refused(address)
        if error is not None:
            kind = _AddressInUse if error.errno == errno.EADDRINUSE else LoadError
            raise kind([address_fault(settings, str(config_path(config)), key, error)]) from error


def _not_started(error: LoadError, config: Path | None, *, code: int) -> NoReturn:
    """Report the faults as the log would look: JSON lines for programs, else the lines of every other command."""
    if appearance(log_format(config)).log:
        exit_with_faults(error, code=code)
    form = JsonFormatter()
    for line in (*fault_lines(error), f"not started: {spell_faults(error)} found"):
        record = logging.LogRecord(logger.name, logging.ERROR, "", 0, line, None, None)
        echo_text(form.format(record), err=True)
    raise SystemExit(code)
