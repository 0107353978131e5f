"""`tokenserver keys export` and `keys import`: keys on their way out of a folder and into one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from tokenserver.cli.keys.options import chosen_keys, service_option
from tokenserver.cli.keys.plan import moment
from tokenserver.cli.options import WRONG_USE, config_option, tell_faults
from tokenserver.cli.output_files import write_public, write_secret
from tokenserver.cli.terminal import echo, echo_text
from tokenserver.config.load import load_settings
from tokenserver.keys.certificates import private_pem
from tokenserver.keys.jwk import jwk_set
from tokenserver.keys.key_pair import read_pair
from tokenserver.keys.layout import KeyFolder
from tokenserver.keys.ring import KeyRing
from tokenserver.keys.ring_operations import RingOperationRefused
from tokenserver.keys.schedule import RotationStep
from tokenserver.keys.store import load_keys
from tokenserver.server.registry_keys import key_changes

EXIT_NO = 1


@click.command("export")
@click.argument("what", type=click.Choice(["ca", "certificates", "jwks", "key"]))
@click.option("--key", "key_id", metavar="ID", help="With `key`: which one; else the next, else the active one.")
@click.option("--to", "target", type=click.Path(path_type=Path, dir_okay=False), help="The file to write.")
@config_option
@service_option
@tell_faults
def export(what: str, key_id: str | None, target: Path | None, config: Path | None, service: str | None) -> None:
    """Write what registries trust (ca, certificates, jwks; public), or a signing key with its private half (key).

    Public files go to standard output without --to. A private key is written only to a file, which only its owner
    can read, for `keys import` elsewhere.
    """
    keys = chosen_keys(load_settings(config), service)
    ring = load_keys(keys.folder, now=datetime.now(UTC), dates=False)
    if what == "key":
        _export_key(ring, key_id, target)
        return
    if key_id is not None:
        raise _refused("--key goes with `export key` alone")
    content = {
        "ca": lambda: ring.ca_certificate_pem,
        "certificates": lambda: "".join(key.certificate_pem for key in ring.published()),
        "jwks": lambda: jwk_set(ring),
    }[what]()
    if target is None:
        echo_text(content, nl=False)
        return
    write_public(target, content.encode("ascii"))
    echo(f"Wrote {target}; it holds nothing secret.", err=True)


def _export_key(ring: KeyRing, key_id: str | None, target: Path | None) -> None:
    wanted = key_id or (ring.next[0] if ring.next else ring.active).id
    key = next((key for key in ring.published() if key.id == wanted), None)
    if key is None:
        raise _refused(f"no key here is called {wanted}; there are: {', '.join(key.id for key in ring.published())}")
    if target is None:
        raise _refused("a private key is not printed; name a file with --to FILE")
    content = private_pem(key.private_key) + key.certificate_pem.encode("ascii")
    write_secret(target, content)
    echo(f"Wrote the key {key.id} to {target}. It is secret: carry it over a safe way, and remove the file then.")


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@service_option
@tell_faults
def bring(file: Path, config: Path | None, service: str | None) -> None:
    """Take a signing key that `keys rotate --to` or `keys export key` wrote, as the next one.

    Where there is only token-ca.pem and no key yet, it signs at once.
    """
    keys = chosen_keys(load_settings(config), service)
    now = datetime.now(UTC)
    changes = key_changes(keys)
    try:
        change = changes.bring(read_pair(file, KeyFolder(keys.folder), now), now)
    except RingOperationRefused as error:
        echo(str(error), fg="red", err=True)
        raise SystemExit(EXIT_NO) from error
    if change.step is RotationStep.SWITCH:
        echo(f"The key {change.key_id} signs. Remove {file}.")
        return
    switch_at = moment(keys.schedule.switch_at(change.ring.next[0]))
    echo(f"The key {change.key_id} is published as next. Remove {file}.")
    echo(f"It may sign from {switch_at} on; what is left to do: tokenserver keys rotate --plan")


def _refused(message: str) -> SystemExit:
    echo(message, fg="red", err=True)
    return SystemExit(WRONG_USE)
