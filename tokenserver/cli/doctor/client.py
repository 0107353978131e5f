"""`tokenserver doctor client`: explains why a client on this machine cannot log in."""

from __future__ import annotations

from pathlib import Path

import click

from tokenserver.cli.doctor.command import trusting
from tokenserver.cli.doctor.report import report
from tokenserver.cli.options import config_option, report_faults
from tokenserver.config.load import config_path, environment_without, load_settings, variables
from tokenserver.config.settings import Settings
from tokenserver.doctor.client.checks import ClientTarget
from tokenserver.doctor.client.stored_logins import without_scheme
from tokenserver.doctor.examination.client import ClientSide, examine_client
from tokenserver.doctor.findings import by_urgency
from tokenserver.documents.urls import checked_url, port_of, split_url
from tokenserver.policy.image_names import RegistryNames, is_host, registries_at


@click.command()
@click.option(
    "--registry",
    "host",
    metavar="HOST",
    help="The registry, as in the names of images: registry.example.com:5000.  [default: all of the configuration]",
)
@click.option("--login", is_flag=True, help="Log in at the token server once with each stored login.")
@click.option(
    "--ca-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A private CA that signed the TLS certificate of the server.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@config_option
@report_faults
def doctor_client(host: str | None, login: bool, ca_file: Path | None, as_json: bool, config: Path | None) -> None:
    """Find out why a client on this machine cannot log in, from what it has stored.

    Reads docker's config.json and podman's auth.json, asks their credential helpers, and looks at the proxy variables.
    Without --login, nothing is sent to a server. Secrets are never printed. Exit code 0: no findings; 1: findings; 2:
    wrong use or faulty files.
    """
    settings = _settings(config)
    if settings is None and (host is None or login):
        option = "--login" if login else "without --registry HOST, it"
        raise click.UsageError(f"{option} needs tokenserver.yaml, and there is none here; name it with --config FILE")
    targets = _targets(settings) if host is None else [_named(host, settings)]
    if not targets:
        raise click.UsageError("no registry of the configuration has a url; pass --registry HOST")
    if login and all(target.service is None for target in targets):
        raise click.UsageError(f"--login: no registry of the configuration has the host {targets[0].host!r}")
    side = ClientSide(
        environment_without("TOKENSERVER_"),
        targets,
        None if settings is None else settings.server.realm,
        trusting(ca_file) if login else None,
        is_asked=host is not None,
    )
    report(by_urgency(examine_client(side)), as_json=as_json, token=None)


def _settings(config: Path | None) -> Settings | None:
    """The configuration; None if there is none, as on a machine that has only clients."""
    is_there = config is not None or bool(variables()) or config_path(None).exists()
    return load_settings(config) if is_there else None


def _targets(settings: Settings | None) -> list[ClientTarget]:
    """The configured registries whose host is known: by their `url`, or by a service that is a host."""
    found = []
    for entry in () if settings is None else settings.registries:
        url = entry.url or (f"https://{entry.service}" if is_host(entry.service) else None)
        target = None if url is None else _target(url, entry.service)
        found += [] if target is None else [target]
    return found


def _target(url: str, service: str | None) -> ClientTarget | None:
    parts = split_url(url)
    if parts is None or not parts.hostname:
        return None
    is_default = port_of(parts) == (443 if parts.scheme == "https" else 80)
    host = parts.netloc.rpartition(":")[0] if parts.port is not None and is_default else parts.netloc
    return ClientTarget(host, f"{parts.scheme}://{parts.netloc}/v2/", service)


def _named(host: str, settings: Settings | None) -> ClientTarget:
    """The registry at a host, as the user spells it."""
    plain = without_scheme(host).partition("/")[0]
    try:
        checked_url(f"https://{plain}")
    except ValueError as error:
        raise click.UsageError(f"--registry: {host!r} is no host such as registry.example.com:5000: {error}") from None
    known = () if settings is None else settings.registries
    names = [RegistryNames(one.service, tuple(one.names), one.url) for one in known]
    matched = registries_at(plain, "", names)
    service = matched[0].service if matched else None
    url = matched[0].url if matched and matched[0].url is not None else f"https://{plain}"
    return ClientTarget(plain, f"{url.removesuffix('/')}/v2/", service)
