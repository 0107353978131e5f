"""`tokenserver doctor`: finds out why tokens are refused, and says for each fault what mends it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import click

from tokenserver.cli.doctor_files import RegistryFiles, read_registry_files
from tokenserver.cli.doctor_ours import our_side
from tokenserver.cli.doctor_token import Bench, examine_token
from tokenserver.cli.options import WRONG_USE, config_option, tell_faults
from tokenserver.config.load import load_settings
from tokenserver.doctor.facts import Kind, OurRegistry, Ours
from tokenserver.doctor.findings import Finding, exit_code
from tokenserver.doctor.opened import MAX_TOKEN, UnreadableToken, open_unverified, token_text
from tokenserver.doctor.setup_checks import check_setup, find_registry, kinds_for
from tokenserver.doctor.trust_checks import RegistryTrust
from tokenserver.keys.store import load_keys
from tokenserver.scopes import Scope, ScopeSyntaxError, parse_scope

KINDS = {
    "distribution2": Kind.DISTRIBUTION2,
    "distribution3.0": Kind.DISTRIBUTION30,
    "distribution3": Kind.DISTRIBUTION3,
    "zot": Kind.ZOT,
}


@click.command()
@click.option(
    "--registry-config",
    "registry_config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A registry's configuration file: Distribution's config.yml, or zot's JSON.",
)
@click.option(
    "--registry-env",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file of the registry's variables (REGISTRY_AUTH_TOKEN_REALM=…), which win over its configuration.",
)
@click.option(
    "--trust",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A copy of the registry's file of trusted keys, where its path is not one of this machine.",
)
@click.option("--for", "generation", type=click.Choice(sorted(KINDS)), help="What the registry runs, if you know.")
@click.option("--service", help="Which of our registries it is; else found by its service or its URL.")
@click.option("--token", type=click.File("r"), help="A file with a token to examine (- is standard input).")
@click.option("--scope", "scopes", multiple=True, help="What a token should allow: repository:web/site:pull.")
@click.option("--show-token", is_flag=True, help="Print the whole token. Who reads it can use it.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@config_option
@tell_faults
def doctor(  # noqa: PLR0917 - click hands every option over by its name
    registry_config: Path | None,
    registry_env: Path | None,
    trust: Path | None,
    generation: str | None,
    service: str | None,
    token: TextIO | None,
    scopes: Sequence[str],
    show_token: bool,
    as_json: bool,
    config: Path | None,
) -> None:
    """Find out why tokens are refused. Exit code 0: all is well; 1: there are findings; 2: wrong use.

    `tokenserver doctor --registry-config /etc/docker/registry/config.yml`
    """
    settings = load_settings(config)
    now = datetime.now(UTC)
    ring = load_keys(settings.keys, now=now)
    ours = our_side(settings, ring, config)
    wanted = _wanted(scopes)
    chosen = _chosen(ours, service)
    kind = None if generation is None else KINDS[generation]
    if trust is not None and registry_config is None and registry_env is None:
        raise click.UsageError("--trust belongs to --registry-config or --registry-env")
    files = None
    found: list[Finding] = []
    if registry_config is not None or registry_env is not None:
        files = read_registry_files(registry_config, registry_env, trust)
        found += _examine_files(files, ours, chosen, kind, now)
    shown = None
    if token is not None:
        try:
            shown = token_text(token.read(MAX_TOKEN + 1))
            opened = open_unverified(shown)
        except (UnreadableToken, UnicodeDecodeError) as error:
            raise click.UsageError(
                f"--token: {error if isinstance(error, UnreadableToken) else 'is no text'}"
            ) from None
        audience = opened.claims.get("aud")
        registry = chosen or find_registry(ours, audience if isinstance(audience, str) else None)
        found += examine_token(opened, Bench(ours, ring, registry, files, kind, now), wanted)
    tell(found, as_json=as_json, token=shown if show_token else None)


def tell(found: Sequence[Finding], *, as_json: bool, token: str | None) -> None:
    """Print the findings and end with their exit code."""
    if as_json:
        click.echo(json.dumps([finding.as_json() for finding in found], indent=2))
    else:
        for finding in found:
            _print(finding)
        count = sum(finding.counts for finding in found)
        click.echo()
        if count:
            click.secho(f"{count} finding{'s' if count != 1 else ''}. Mend the first one, and ask again.", fg="red")
        else:
            click.secho("All is well.", fg="green")
    if token is not None:
        click.echo(token, err=as_json)
    raise SystemExit(exit_code(found))


def _print(finding: Finding) -> None:
    marks = {True: ("ok     ", "green"), False: ("FAULT  ", "red"), None: ("info   ", None)}
    mark, colour = ("warning", "yellow") if finding.ok is None and finding.counts else marks[finding.ok]
    click.echo(f"{click.style(mark, fg=colour)}  {finding.check}: {finding.says}")
    if finding.ok is True:
        return
    if finding.theirs is not None and finding.counts:
        click.echo(f"           there: {finding.theirs}")
    if finding.ours is not None and finding.counts:
        click.echo(f"           here:  {finding.ours}")
    if finding.mend is not None:
        click.echo(f"           mend:  {finding.mend}")


def _examine_files(
    files: RegistryFiles, ours: Ours, chosen: OurRegistry | None, kind: Kind | None, now: datetime
) -> list[Finding]:
    setup = files.setup
    registry = chosen or find_registry(ours, setup.service)
    kinds = (kind,) if registry is None and kind else () if registry is None else kinds_for(setup, registry, kind)
    found = check_setup(setup, ours, kinds, registry)
    if registry is not None and setup.auth == "token":
        trust = RegistryTrust(
            setup=setup, ours=ours, registry=registry, kinds=kinds, bundle=files.bundle, jwks=files.jwks, at=now
        )
        found += trust.check()
    return found


def _wanted(scopes: Sequence[str]) -> tuple[Scope, ...]:
    try:
        return tuple(parse_scope(scope) for scope in scopes)
    except ScopeSyntaxError as error:
        raise click.UsageError(f"--scope: {error}") from None


def _chosen(ours: Ours, service: str | None) -> OurRegistry | None:
    if service is None:
        return None
    registry = ours.registry(service)
    if registry is None:
        listed = ", ".join(one.service for one in ours.registries)
        click.secho(f"no registry is called {service!r}; configured: {listed}", fg="red", err=True)
        raise SystemExit(WRONG_USE)
    return registry
