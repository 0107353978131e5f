"""`tokenserver registry-config`: the registry's side of the trust, ready to paste."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import click

from tokenserver.cli.options import WRONG_USE, config_option, tell_faults
from tokenserver.cli.output_files import write_into
from tokenserver.cli.registries.section import FITS, default_trust, facts, option_of, section, trusted
from tokenserver.cli.terminal import echo, echo_text
from tokenserver.config.load import load_settings
from tokenserver.keys.ring import Algorithm
from tokenserver.keys.store import load_keys
from tokenserver.printable import shell_word


@click.command("registry-config")
@click.argument("service")
@click.option("--for", "generation", type=click.Choice(sorted(FITS)), required=True, help="What the registry runs.")
@click.option(
    "--trust",
    type=click.Path(path_type=Path),
    help="Where the registry will find the file of trusted keys; printed as it is.",
)
@click.option(
    "--write",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the file of trusted keys into this folder, to be copied to the registry.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the section and the trusted keys as JSON.")
@config_option
@tell_faults
def registry_config(  # noqa: PLR0917 - click hands the options over by name
    service: str, generation: str, trust: Path | None, write: Path | None, as_json: bool, config: Path | None
) -> None:
    """Print the section about authentication for the configuration of the registry SERVICE."""
    settings = load_settings(config)
    registry = settings.registry(service)
    if registry is None:
        known = ", ".join(name for entry in settings.registries for name in entry.names)
        raise _wrong_use(f"no registry is called {service!r}; configured: {known}")
    if registry.compat not in FITS[generation]:
        raise _wrong_use(
            f"{service} has compat: {registry.compat}, whose tokens {generation} refuses;"
            f" set compat to {' or '.join(FITS[generation])}"
        )
    folder = settings.key_set(registry).folder
    ring = load_keys(folder, now=datetime.now(UTC))
    if generation == "distribution2" and ring.active.algorithm is Algorithm.EdDSA:
        raise _wrong_use("Distribution 2 cannot verify EdDSA; make keys with --algorithm ES256")
    file = trusted(registry, ring)
    if write is not None:
        write_into(write, file.name, file.content)
        trust = trust or (write / file.name).absolute()
    text = section(settings, registry, trust or default_trust(registry, file), service)
    echo_text(json.dumps(facts(registry, service, text, file)) if as_json else text)
    if write is None:
        source = "/.well-known/jwks.json" if registry.compat == "jwks" else "/ca.pem"
        if registry.compat in ("universal", "jwks"):
            which = f"?service={quote(service)}" if folder != settings.keys.folder else ""
            origin = f"{settings.server.url}{source}{which}"
            how = f"Fetch it: curl -fsS {shell_word(origin)}"
        else:
            origin, how = "this command", "Write it: add --write DIR"
        echo(f"Put the trusted key where `{option_of(registry)}` points. It comes from: {origin}", err=True)
        echo(how, err=True)
    echo("Restart the registry afterwards: it reads both only at its start.", err=True)


def _wrong_use(message: str) -> SystemExit:
    echo(message, fg="red", err=True)
    return SystemExit(WRONG_USE)
