"""`tokenserver keys init`: creates the token CA and the first signing key."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from tokenserver.cli.options import config_option, report_faults
from tokenserver.cli.terminal import echo
from tokenserver.config.load import load_settings
from tokenserver.keys.ring import Algorithm
from tokenserver.keys.store import init_keys
from tokenserver.storage.state_keys import STATE_KEY, init_state_keys


@click.command("init")
@config_option
@click.option(
    "--algorithm",
    type=click.Choice([algorithm.value for algorithm in Algorithm]),
    help="ES256 and ES384 work with every registry; RS256 is slower to sign; EdDSA needs Distribution 3 or zot."
    "  [default: the registry's algorithm: setting, else ES256]",
)
@report_faults
def keys_init(config: Path | None, algorithm: str | None) -> None:
    """Create the token CA and the first signing key in the folder that `keys:` names; existing keys stay.

    Each registry with its own `keys:` folder gets its own CA and key. With `storage:`, the key of the storage is made
    as well.
    """
    settings = load_settings(config)
    is_any_new = False
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
            echo(f"{key_set.folder} already has keys; nothing was changed.")
            continue
        is_any_new = True
        echo(f"Created the token CA and a signing key ({chosen}) in {key_set.folder}.")
    if settings.storage is not None and init_state_keys(settings.keys.folder):
        echo(f"Created the key of the storage, {settings.keys.folder / STATE_KEY}; copy it to all replicas.")
    if is_any_new:
        echo("Next: tokenserver registry-config SERVICE --for distribution2|distribution3|zot")
