"""`tokenserver keys init`: make the token CA and the first signing key."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from tokenserver.cli.options import config_option, tell_faults
from tokenserver.cli.terminal import echo
from tokenserver.config.load import load_settings
from tokenserver.keys.ring import Algorithm
from tokenserver.keys.store import init_keys


@click.command("init")
@config_option
@click.option(
    "--algorithm",
    type=click.Choice([algorithm.value for algorithm in Algorithm]),
    help="ES256 and ES384 suit every registry; RS256 is slower to sign; EdDSA only suits Distribution 3 and zot."
    "  [default: what the registries' algorithm: says, else ES256]",
)
@tell_faults
def init(config: Path | None, algorithm: str | None) -> None:
    """Make the token CA and the first signing key where `keys:` points; do nothing where they exist.

    Registries with `keys:` of their own get theirs as well.
    """
    settings = load_settings(config)
    made = False
    for key_set in settings.key_sets():
        chosen = Algorithm(key_set.algorithm or algorithm or Algorithm.ES256)
        is_new = init_keys(
            key_set.folder,
            issuer=key_set.issuer,
            algorithm=chosen,
            now=datetime.now(UTC),
            lifetime=key_set.schedule.certificate_lifetime,
        )
        if not is_new:
            echo(f"{key_set.folder} has keys already, nothing was changed.")
            continue
        made = True
        echo(f"Made the token CA and a signing key ({chosen}) in {key_set.folder}.")
    if made:
        echo("Next: tokenserver registry-config SERVICE --for distribution2|distribution3|zot")
