"""`tokenserver registry-config`: the registry's side of the trust, ready to paste."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from tokenserver.cli.options import WRONG_USE, config_option, tell_faults
from tokenserver.config.load import load_settings
from tokenserver.config.settings import Registry, Settings
from tokenserver.files import write_file
from tokenserver.keys.jwk import jwk_set
from tokenserver.keys.ring import Algorithm, KeyRing
from tokenserver.keys.store import load_keys

PUBLIC_MODE = 0o644

_FITS = {
    "distribution2": ("universal", "distribution2"),
    "distribution3": ("universal", "distribution3", "jwks"),
}


@click.command("registry-config")
@click.argument("service")
@click.option("--for", "generation", type=click.Choice(sorted(_FITS)), required=True, help="What the registry runs.")
@click.option(
    "--trust",
    type=click.Path(path_type=Path),
    help="Where the registry will find the file of trusted keys; printed as it is.",
)
@click.option(
    "--write",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Write the file of trusted keys into this folder, to be copied to the registry.",
)
@config_option
@tell_faults
def registry_config(service: str, generation: str, trust: Path | None, write: Path | None, config: Path | None) -> None:
    """Print the `auth` section for the configuration of the registry SERVICE."""
    settings = load_settings(config)
    registry = settings.registry(service)
    if registry is None:
        known = ", ".join(entry.service for entry in settings.registries)
        raise _wrong_use(f"no registry is called {service!r}; configured: {known}")
    if registry.compat not in _FITS[generation]:
        raise _wrong_use(
            f"{service} has compat: {registry.compat}, whose tokens {generation} refuses;"
            f" set compat to {' or '.join(_FITS[generation])}"
        )
    ring = load_keys(settings.keys.folder, now=datetime.now(UTC))
    if generation == "distribution2" and ring.active.algorithm is Algorithm.EdDSA:
        raise _wrong_use("Distribution 2 cannot verify EdDSA; make keys with --algorithm ES256")
    name, content = _trusted(registry, ring)
    if write is not None:
        path = (write / name).absolute()
        write_file(path, content.encode("ascii"), mode=PUBLIC_MODE)
        trust = trust or path
    click.echo(_section(settings, registry, trust or Path("/etc/distribution") / name))
    if write is None:
        source = "/.well-known/jwks.json" if registry.compat == "jwks" else "/ca.pem"
        if registry.compat in ("universal", "jwks"):
            how = f"curl -fsS {settings.server.url}{source}"
        else:
            how = "tokenserver registry-config with --write DIR"
        click.echo(f"Put the trusted key where `{_option(registry)}` points. It comes from: {how}", err=True)
    click.echo("Restart the registry afterwards: it reads both only at its start.", err=True)


def _section(settings: Settings, registry: Registry, trust: Path) -> str:
    values = {
        "realm": settings.server.realm,
        "service": registry.service,
        "issuer": settings.issuer,
        _option(registry): str(trust),
    }
    # JSON strings are YAML strings, whatever they hold.
    lines = [f"    {name}: {json.dumps(value)}" for name, value in values.items()]
    return "\n".join(["auth:", "  token:", *lines])


def _option(registry: Registry) -> str:
    return "jwks" if registry.compat == "jwks" else "rootcertbundle"


def _trusted(registry: Registry, ring: KeyRing) -> tuple[str, str]:
    """The name and the content of the file that the registry trusts."""
    if registry.compat == "universal":
        return "token-ca.pem", ring.ca_certificate_pem
    if registry.compat == "jwks":
        return "jwks.json", jwk_set(ring)
    return "token-signing.pem", "".join(key.certificate_pem for key in ring.published())


def _wrong_use(message: str) -> SystemExit:
    click.secho(message, fg="red", err=True)
    return SystemExit(WRONG_USE)
