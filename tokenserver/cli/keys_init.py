"""`tokenserver keys init`: make the token CA and the first signing key."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from tokenserver.cli.options import config_option, tell_faults
from tokenserver.config.load import load_settings
from tokenserver.keys.ring import Algorithm
from tokenserver.keys.store import init_keys


@click.command("init")
@config_option
@click.option(
    "--algorithm",
    type=click.Choice([algorithm.value for algorithm in Algorithm]),
    default=Algorithm.ES256.value,
    show_default=True,
    help="ES256 suits every registry; RS256 is slower to sign; EdDSA only suits Distribution 3.",
)
@tell_faults
def init(config: Path | None, algorithm: str) -> None:
    """Make the token CA and the first signing key where `keys:` points; do nothing where they exist."""
    settings = load_settings(config)
    folder = settings.keys.folder
    made = init_keys(
        folder,
        issuer=settings.issuer,
        algorithm=Algorithm(algorithm),
        now=datetime.now(UTC),
        lifetime=settings.key_schedule.certificate_lifetime,
    )
    if not made:
        click.echo(f"{folder} has keys already, nothing was changed.")
        return
    click.echo(f"Made the token CA and a signing key ({algorithm}) in {folder}.")
    click.echo("Next: tokenserver registry-config SERVICE --for distribution2|distribution3")
