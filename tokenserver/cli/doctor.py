"""`tokenserver doctor`: explains why a registry rejects tokens, with a fix for each fault."""

from __future__ import annotations

import json
import ssl
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

import click

from tokenserver.cli.options import WRONG_USE, TokenFile, config_option, tell_faults
from tokenserver.cli.prompts import read_password
from tokenserver.cli.terminal import echo, echo_text, style
from tokenserver.config.load import load_settings
from tokenserver.credentials import Secret
from tokenserver.doctor.checks.setup import check_setup, find_registry, kinds_for
from tokenserver.doctor.checks.trust import RegistryTrust
from tokenserver.doctor.examination.installation import examine_installation
from tokenserver.doctor.examination.our_side import our_sides
from tokenserver.doctor.examination.registry_files import read_registry_files
from tokenserver.doctor.examination.token import Baseline, examine_token
from tokenserver.doctor.examination.visit import Visit, visit_registry, visit_server
from tokenserver.doctor.facts import OurRegistry, Ours, RegistryKind
from tokenserver.doctor.findings import Finding, by_urgency, exit_code
from tokenserver.doctor.identification import identify
from tokenserver.doctor.token import MAX_TOKEN, UnreadableToken, open_unverified, token_text
from tokenserver.documents.files import read_text
from tokenserver.errors import Fault, LoadError
from tokenserver.scopes import Scope, ScopeSyntaxError, parse_scope

KINDS = {
    "distribution2": RegistryKind.DISTRIBUTION2,
    "distribution3.0": RegistryKind.DISTRIBUTION30,
    "distribution3": RegistryKind.DISTRIBUTION3,
    "zot": RegistryKind.ZOT,
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
@click.option("--service", help="Which of our registries it is; a live one is else known by its configured url alone.")
@click.option(
    "--registry", "url", metavar="URL", help="A live registry to visit, such as https://registry.example.com."
)
@click.option("--user", help="Whom to log in as; the password is asked for, or the first line of standard input.")
@click.option(
    "--ca-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The CA that signed the certificates of registry and server, where it is one of your own.",
)
@click.option("--token", type=TokenFile("r"), help="A token to examine, or a file with it (- is standard input).")
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
    url: str | None,
    user: str | None,
    ca_file: Path | None,
    token: TextIO | None,
    scopes: Sequence[str],
    show_token: bool,
    as_json: bool,
    config: Path | None,
) -> None:
    """Find out why tokens are refused. Exit code 0: all is well; 1: there are findings; 2: wrong use.

    \b
    tokenserver doctor                                      this installation, and each registry with a url
    tokenserver doctor --registry-config config.yml         a registry's configuration
    tokenserver doctor --registry URL --user ann            a live registry, as a client
    tokenserver doctor --token -                            a token from standard input
    """
    _see_that_they_fit(url, user, trust, has_files=bool(registry_config or registry_env), has_token=token is not None)
    settings = load_settings(config)
    now = datetime.now(UTC)
    sides = our_sides(settings, config, now)
    ours = sides.general.ours
    wanted = _wanted(scopes)
    baseline = Baseline(sides, _chosen(ours, service), None, None if generation is None else KINDS[generation], now)
    context = _context(ca_file)
    found: list[Finding] = []
    shown = None
    if registry_config is not None or registry_env is not None:
        baseline = replace(baseline, files=read_registry_files(registry_config, registry_env, trust))
        found += _examine_files(baseline)
    brought = None if token is None else _read_token(token)
    if url is not None:
        address = _address(url)
        # Where nobody could be logged in anyway, no password is asked for.
        is_known = identify(ours, baseline.registry, address, "").registry is not None
        login = (user, read_password()) if user is not None and is_known else None
        # With several registries a visit says best which one it is.
        told, skew = visit_server(baseline, context)
        faulty = any(finding.is_actionable for finding in found)
        told += (visited := visit_registry(Visit(address, baseline, context, login, wanted, brought, faulty), skew))[0]
        found, shown = found + told, visited[1]
    elif brought is not None:
        shown = brought
        opened = open_unverified(brought.reveal())
        audience = opened.claims.get("aud")
        registry = baseline.registry or find_registry(ours, audience if isinstance(audience, str) else None)
        found += examine_token(opened, replace(baseline, registry=registry), wanted)
    elif baseline.files is None:
        found += examine_installation(settings, baseline, context)
    tell(by_urgency(found), as_json=as_json, token=shown if show_token else None)


def _see_that_they_fit(
    url: str | None, user: str | None, trust: Path | None, *, has_files: bool, has_token: bool
) -> None:
    """Refuse options that would be passed over."""
    if trust is not None and not has_files:
        raise click.UsageError("--trust belongs to --registry-config or --registry-env")
    if user is not None and (url is None or has_token):
        raise click.UsageError("--user belongs to --registry URL, where a token is fetched")
    if user is not None and (not user or ":" in user):
        raise click.UsageError("--user: a user name is not empty and holds no colon")


def _context(ca_file: Path | None) -> ssl.SSLContext:
    """TLS that believes the system's authorities, as clients do, and those in the file."""
    context = ssl.create_default_context()
    if ca_file is None:
        return context
    pem = read_text(ca_file)
    try:
        context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        raise LoadError([Fault(str(ca_file), 0, "", "holds no certificates in PEM form")]) from error
    return context


def _read_token(file: TextIO) -> Secret:
    try:
        text = token_text(file.read(MAX_TOKEN + 1))
        open_unverified(text)
    except UnreadableToken as error:
        raise click.UsageError(f"--token: {error}") from None
    except UnicodeDecodeError:
        raise click.UsageError("--token: is no text") from None
    return Secret(text)


def _address(url: str) -> str:
    """The registry's URL without `/v2/` and without a closing slash."""
    address = url.rstrip("/").removesuffix("/v2").rstrip("/")
    try:
        parts = urlsplit(address)
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right or not address.isascii() or not address.isprintable() or " " in address or "@" in address:
        raise click.UsageError("--registry must be a URL such as https://registry.example.com")
    if "?" in address or "#" in address:
        raise click.UsageError("--registry: a registry's URL has no query and no fragment")
    return address


def tell(found: Sequence[Finding], *, as_json: bool, token: Secret | None) -> None:
    """Print the findings and end with their exit code."""
    if as_json:
        echo_text(json.dumps([finding.as_json() for finding in found], indent=2))
    else:
        for finding in found:
            _print(finding)
        count = sum(finding.is_actionable for finding in found)
        echo()
        if count:
            echo(f"{count} finding{'s' if count != 1 else ''}. Fix the first one, then run the doctor again.", fg="red")
        else:
            echo("All is well.", fg="green")
    if token is not None:
        echo(token.reveal(), err=as_json)
    raise SystemExit(exit_code(found))


def _print(finding: Finding) -> None:
    marks = {True: ("ok     ", "green"), False: ("FAULT  ", "red"), None: ("info   ", None)}
    mark, colour = ("warning", "yellow") if finding.ok is None and finding.is_actionable else marks[finding.ok]
    echo(f"{style(mark, fg=colour)}  {finding.check}: {finding.message}")
    if finding.ok is True:
        return
    if finding.theirs is not None and finding.is_actionable:
        echo(f"           there: {finding.theirs}")
    if finding.ours is not None and finding.is_actionable:
        echo(f"           here:  {finding.ours}")
    if finding.fix is not None:
        echo(f"           fix:   {finding.fix}")


def _examine_files(baseline: Baseline) -> list[Finding]:
    files, ours, kind = baseline.files, baseline.ours, baseline.kind
    assert files is not None  # noqa: S101 - called where there are some
    setup = files.setup
    registry = baseline.registry or find_registry(ours, setup.service)
    if registry is None:
        return check_setup(setup, ours, (), None)
    ours = replace(baseline, registry=registry).ours
    kinds = kinds_for(setup, registry, kind)
    found = check_setup(setup, ours, kinds, registry)
    if setup.auth == "token" or (setup.empty and "cert" not in setup.empty):
        trust = RegistryTrust(
            setup=setup, ours=ours, registry=registry, kinds=kinds, bundle=files.bundle, jwks=files.jwks, at=baseline.at
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
        listed = ", ".join(ours.services)
        echo(f"no registry is called {service!r}; configured: {listed}", fg="red", err=True)
        raise SystemExit(WRONG_USE)
    return registry
