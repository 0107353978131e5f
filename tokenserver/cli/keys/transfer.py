"""`tokenserver keys export` and `keys import`: public trust files, and signing keys moved between servers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from tokenserver.cli.exits import NO
from tokenserver.cli.keys.options import chosen_keys, service_option
from tokenserver.cli.keys.plan import moment
from tokenserver.cli.options import config_option, exit_with, report_faults
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


@click.command("export")
@click.argument("what", type=click.Choice(["ca", "certificates", "jwks", "key"]))
@click.option(
    "--key", "key_id", metavar="ID", help="With `key`: the key.  [default: the next key, else the active one]"
)
@click.option("--to", "target", type=click.Path(path_type=Path, dir_okay=False), help="The file to write.")
@config_option
@service_option
@report_faults
def keys_export(what: str, key_id: str | None, target: Path | None, config: Path | None, service: str | None) -> None:
    """Export what registries trust (ca, certificates or jwks; public), or a signing key with its private half (key).

    Public files go to standard output unless --to is given. A private key is only ever written to a file, readable by
    its owner alone, for `keys import` on another server.
    """
    keys = chosen_keys(load_settings(config), service)
    ring = load_keys(keys.folder, now=datetime.now(UTC), dates=False)
    if what == "key":
        _export_key(ring, key_id, target)
        return
    if key_id is not None:
        exit_with("--key goes with `export key` only")
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
        exit_with(f"the ring has no key {wanted}; keys: {', '.join(key.id for key in ring.published())}")
    if target is None:
        exit_with("a private key is not printed; fix: add --to FILE")
    content = private_pem(key.private_key) + key.certificate_pem.encode("ascii")
    write_secret(target, content)
    echo(f"Wrote the key {key.id} to {target}. The file is secret: transfer it securely, then delete it.")


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@service_option
@report_faults
def keys_import(file: Path, config: Path | None, service: str | None) -> None:
    """Import a signing key, written by `keys rotate --to` or `keys export key`, as the next key.

    If the folder has token-ca.pem and no key yet, the key signs immediately. Exit code 1: the ring has the key
    already, or another next key.
    """
    keys = chosen_keys(load_settings(config), service)
    now = datetime.now(UTC)
    changes = key_changes(keys)
    try:
        change = changes.import_pair(read_pair(file, KeyFolder(keys.folder), now), now)
    except RingOperationRefused as error:
        exit_with(str(error), NO)
    if change.step is RotationStep.SWITCH:
        echo(f"The key {change.key_id} signs from now on. Delete {file}.")
        return
    switch_at = moment(keys.schedule.switch_at(change.ring.next[0]))
    echo(f"The key {change.key_id} is published as next. Delete {file}.")
    echo(f"It may sign from {switch_at}; remaining steps: tokenserver keys rotate --plan")
