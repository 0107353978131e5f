"""`tokenserver health`: whether the server on this machine answers, for container engines and orchestrators."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import click

from tokenserver.cli.exits import NO
from tokenserver.cli.options import config_option, report_faults
from tokenserver.cli.terminal import echo
from tokenserver.config.load import load_settings
from tokenserver.config.referenced_files import SettingsRefused
from tokenserver.config.server import address_of
from tokenserver.doctor.examination.health import ask_server
from tokenserver.doctor.http import FetchFailure, HttpAnswer, ready_parts


@click.command()
@click.option("--ready", is_flag=True, help="Ask /readyz, which also checks keys, policies and user sources.")
@config_option
@report_faults
def health(ready: bool, config: Path | None) -> None:
    """Ask the running server for its health at `server.listen`, over https if it has `server.tls`.

    Exit code 0: healthy; 1: not, or no answer within four seconds; 2: the configuration cannot be read. Faults that a
    running server has not loaded do not make it unhealthy.
    """
    path = "/readyz" if ready else "/healthz"
    address, certificate = _listener(config)
    outcome = ask_server(address, certificate, path)
    where = f"{'http' if certificate is None else 'https'}://{_spell(address)}{path}"
    if isinstance(outcome, HttpAnswer) and outcome.status == 200:
        echo(f"{where}: healthy", fg="green")
        return
    echo(f"{where}: {_problem(outcome)}", fg="red", err=True)
    raise SystemExit(NO)


def _listener(config: Path | None) -> tuple[tuple[str, int], Path | None]:
    """Where the server listens, and the certificate that it presents; None over http."""
    try:
        server = load_settings(config).server
    except SettingsRefused as error:
        # The server may run with what it loaded before.
        try:
            address = address_of(error.named.listen or "")
            ip_address(address[0])
        except ValueError:
            raise error from None
        return address, error.named.certificate
    return server.address, None if server.tls is None else server.tls.certificate


def _spell(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _problem(outcome: HttpAnswer | FetchFailure) -> str:
    """Why the server is not healthy, with the parts that `/readyz` names."""
    if isinstance(outcome, FetchFailure):
        return outcome.detail
    parts = ready_parts(outcome.body).items()
    return "; ".join([f"status {outcome.status}", *(f"{name}: {text}" for name, text in parts if text != "ok")])
