"""`tokenserver registry-config`: prints the auth section of one registry's configuration, ready to paste."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import click

from tokenserver.cli.options import config_option, exit_with, report_faults
from tokenserver.cli.output_files import write_into
from tokenserver.cli.registries.notifications import notifications_section
from tokenserver.cli.registries.section import FITS, default_trust, facts, option_of, section, trusted
from tokenserver.cli.terminal import echo, echo_text
from tokenserver.config.load import load_settings
from tokenserver.config.settings import RegistrySettings, Settings
from tokenserver.documents.json_output import json_text
from tokenserver.keys.ring import Algorithm
from tokenserver.keys.store import load_keys
from tokenserver.printable import shell_word
from tokenserver.server.notifications.secret_files import secrets_in


@click.command("registry-config")
@click.argument("service")
@click.option(
    "--for", "generation", type=click.Choice(sorted(FITS)), required=True, help="The software of the registry."
)
@click.option(
    "--trust",
    type=click.Path(path_type=Path),
    help="Path of the trusted keys on the registry; printed as given.",
)
@click.option(
    "--write",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the trusted keys into this folder, to copy to the registry.",
)
@click.option(
    "--notifications",
    is_flag=True,
    help="Print what makes it report pushes, pulls and deletes to this server, instead. It contains the secret.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the section and the trusted keys as JSON.")
@config_option
@report_faults
def registry_config(  # noqa: PLR0917 - click passes options by name
    service: str,
    generation: str,
    trust: Path | None,
    write: Path | None,
    notifications: bool,
    as_json: bool,
    config: Path | None,
) -> None:
    """Print the auth section for the configuration of the registry SERVICE, and how to install its trusted keys.

    With --notifications, print the section by which it reports to this server what happens there.
    """
    if notifications and (trust is not None or write is not None):
        raise click.UsageError("--notifications goes with neither --trust nor --write")
    settings = load_settings(config)
    registry = settings.registry(service)
    if registry is None:
        known = ", ".join(name for entry in settings.registries for name in entry.names)
        exit_with(f"no registry is named {service!r}; configured: {known}")
    if registry.compat not in FITS[generation]:
        exit_with(
            f"{service} has compat: {registry.compat}, whose tokens {generation} rejects;"
            f" fix: set compat to {' or '.join(FITS[generation])}"
        )
    if notifications:
        _print_notifications(settings, registry, service, as_json=as_json)
        return
    ring = load_keys(settings.key_set(registry).folder, now=datetime.now(UTC))
    if generation == "distribution2" and ring.active.algorithm is Algorithm.EdDSA:
        exit_with("Distribution 2 cannot verify EdDSA; fix: create keys with --algorithm ES256")
    file = trusted(registry, ring)
    if write is not None:
        write_into(write, file.name, file.content)
        trust = trust or (write / file.name).absolute()
    text = section(settings, registry, trust or default_trust(registry, file), service)
    echo_text(json_text(facts(registry, service, text, file)) if as_json else text)
    if write is None:
        _print_source(settings, registry, service)
    echo("Then restart the registry: it reads both only at start-up.", err=True)
    echo(
        "If nginx is in front of the registry, let it take tokens for many repositories:"
        " large_client_header_buffers 4 128k;",
        err=True,
    )


def _print_notifications(settings: Settings, registry: RegistrySettings, service: str, *, as_json: bool) -> None:
    wanted = registry.notifications
    if wanted is None:
        exit_with(f"{service} reports nothing; fix: add notifications: {{secret_file: FILE}} to its entry")
    secret = secrets_in(wanted.secret_file)[0]
    text = notifications_section(settings, registry, service, secret)
    echo_text(json_text({"service": service, "section": text}) if as_json else text)
    if registry.compat == "zot":
        echo("zot sends each report once: what happens while this server is down is missing.", err=True)
    if settings.server.notifications_url.startswith("http://") and settings.server.require_https:
        echo(
            "This URL is plain http, by which reports from other machines are rejected; fix: server.tls, or a proxy"
            " with TLS that is in trusted_proxies, and its address in the URL.",
            err=True,
        )
    echo("Merge it into the registry's configuration, which holds the secret now, and restart the registry.", err=True)


def _print_source(settings: Settings, registry: RegistrySettings, service: str) -> None:
    """Print where the trusted keys come from, and the command that fetches or writes them."""
    option = option_of(registry)
    if registry.compat not in ("universal", "jwks"):
        echo(f"Install the trusted key where `{option}` points. It comes from: this command", err=True)
        echo("Write it: add --write DIR", err=True)
        return
    path = "/.well-known/jwks.json" if registry.compat == "jwks" else "/ca.pem"
    query = "" if settings.key_set(registry).folder == settings.keys.folder else f"?service={quote(service)}"
    origin = f"{settings.server.url}{path}{query}"
    echo(f"Install the trusted key where `{option}` points. It comes from: {origin}", err=True)
    echo(f"Fetch it: curl -fsS {shell_word(origin)}", err=True)
