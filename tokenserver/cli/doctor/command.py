"""`tokenserver doctor`: explains why a registry rejects tokens, with a fix for each fault."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import click
from click.core import ParameterSource

from tokenserver.cli.console.progress import progress
from tokenserver.cli.console.prompts import read_password
from tokenserver.cli.doctor.report import report
from tokenserver.cli.lazy import LazyCommand, LazyGroup
from tokenserver.cli.options import TokenFile, config_option, exit_with, report_faults
from tokenserver.cli.terminal import echo
from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.credentials import Secret
from tokenserver.doctor.checks.acceptance import outvoted_files
from tokenserver.doctor.checks.setup import find_registry
from tokenserver.doctor.checks.trial import Trial
from tokenserver.doctor.examination.files import examine_files
from tokenserver.doctor.examination.installation import examine_installation
from tokenserver.doctor.examination.our_side import our_sides
from tokenserver.doctor.examination.registry_files import read_registry_files
from tokenserver.doctor.examination.token import Baseline, examine_token
from tokenserver.doctor.examination.visiting.requests import TIMEOUT, GivenToken, Requests, TimeLimit, Visit
from tokenserver.doctor.examination.visiting.visit import visit_registry, visit_server
from tokenserver.doctor.facts import OurRegistry, Ours, RegistryKind
from tokenserver.doctor.findings import Finding, by_urgency, without_echoes
from tokenserver.doctor.identification import identify
from tokenserver.doctor.token import MAX_TOKEN, UnreadableToken, token_text
from tokenserver.documents.files import read_text
from tokenserver.documents.urls import checked_url
from tokenserver.errors import Fault, LoadError
from tokenserver.policy.image_names import RegistryNames, registries_at, split_host
from tokenserver.scopes import Resource, Scope, ScopeSyntaxError, parse_scope

KINDS = {
    "distribution2": RegistryKind.DISTRIBUTION2,
    "distribution3.0": RegistryKind.DISTRIBUTION30,
    "distribution3": RegistryKind.DISTRIBUTION3,
    "zot": RegistryKind.ZOT,
}


_COMMANDS = {
    "client": LazyCommand("tokenserver.cli.doctor.client", "doctor_client", "Find out why a client cannot log in."),
}


@click.group(
    cls=LazyGroup, commands_at=_COMMANDS, invoke_without_command=True, subcommand_metavar="[COMMAND [ARGS]...]"
)
@click.option(
    "--registry-config",
    "registry_config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A registry's configuration file: Distribution's config.yml, or zot's JSON.",
)
@click.option(
    "--registry-env",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file of the registry's environment (REGISTRY_AUTH_TOKEN_REALM=…), which overrides its configuration.",
)
@click.option(
    "--trust",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A copy of the registry's trusted keys, if the path in its configuration does not exist here.",
)
@click.option("--for", "generation", type=click.Choice(sorted(KINDS)), help="The software of the registry, if known.")
@click.option("--service", help="The registry's name in our configuration.  [default: matched by service or url]")
@click.option(
    "--registry", "url", metavar="URL", help="A live registry to probe, such as https://registry.example.com."
)
@click.option(
    "--user", help="Log in to the live registry as this user; the password is prompted for or read from stdin."
)
@click.option(
    "--ca-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A private CA that signed the TLS certificates of the registry and the server.",
)
@click.option("--token", type=TokenFile("r"), help="A token to examine, or a file with it (- for standard input).")
@click.option("--scope", "scopes", multiple=True, help="What the token should grant: repository:web/site:pull.")
@click.option(
    "--try",
    "trials",
    type=(click.Choice(["push", "delete"]), str),
    multiple=True,
    metavar="ACTION REPOSITORY",
    help="Try a push or a delete there: an upload that is cancelled, the deletion of nothing.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(1, 600),
    default=TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="For all requests together; each one of --try has it again.",
)
@click.option("--show-token", is_flag=True, help="Print the whole token. Anybody who sees it can use it.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@config_option
@click.pass_context
@report_faults
def doctor(  # noqa: PLR0917 - click passes options by name
    context: click.Context,
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
    trials: Sequence[tuple[str, str]],
    timeout: float,
    show_token: bool,
    as_json: bool,
    config: Path | None,
) -> None:
    """Find out why tokens are rejected. Exit code 0: no findings; 1: findings; 2: wrong use or faulty files.

    \b
    tokenserver doctor                                this installation, and each registry with a url
    tokenserver doctor --registry-config config.yml   a registry's configuration
    tokenserver doctor --registry URL --user ann      a live registry, as a client
    tokenserver doctor --token -                      a token from standard input
    tokenserver doctor client                         the logins that clients have stored on this machine
    """
    if context.invoked_subcommand is not None:
        _check_no_options(context)
        return
    _check_combination(url, user, trust, has_files=bool(registry_config or registry_env), has_token=token is not None)
    if trials and (url is None or (user is None and token is None)):
        raise click.UsageError("--try needs --registry URL, and --user or --token with the right to do it")
    settings = load_settings(config)
    now = datetime.now(UTC)
    with progress("reading users, policies and keys"):
        sides = our_sides(settings, config, now)
    tried = tuple(_trial(action, name, settings) for action, name in trials)
    wanted = (*_wanted(scopes, settings), *(trial.scope for trial in tried))
    kind = None if generation is None else KINDS[generation]
    baseline = Baseline(sides, _chosen(sides.general.ours, service), None, kind, now)
    trusted = trusting(ca_file)
    found: list[Finding] = []
    if registry_config is not None or registry_env is not None:
        baseline = replace(baseline, files=read_registry_files(registry_config, registry_env, trust))
        found += examine_files(baseline, wanted)
    brought = None if token is None else _read_token(token)
    shown = None if brought is None else brought.text
    if url is not None:
        requests = Requests(trusted, TimeLimit.in_(timeout))
        visit = Visit(_address(url), baseline, requests, wanted=wanted, token=brought, trials=tried)
        visited, shown = _visit(visit, user, before=found)
        absent = set() if baseline.files is None else baseline.files.absent()
        found = [*outvoted_files(found, visited, absent), *visited]
    elif brought is not None:
        found += _examine_token(brought, baseline, wanted)
    elif baseline.files is None:
        with progress("asking registries and servers"):
            found += examine_installation(settings, baseline, Requests(trusted, TimeLimit.in_(timeout)))
    if url is not None or brought is not None or baseline.files is not None:  # one registry, and not all of them
        found = without_echoes(found)
    report(by_urgency(found), as_json=as_json, token=shown if show_token else None)


def _check_no_options(context: click.Context) -> None:
    """Reject options in front of the name of a command, which would ignore them."""
    given = [name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if given:
        command = context.invoked_subcommand
        raise click.UsageError(f"options of `doctor {command}` come behind its name: tokenserver doctor {command} …")


def _check_combination(
    url: str | None, user: str | None, trust: Path | None, *, has_files: bool, has_token: bool
) -> None:
    """Reject options that would be ignored."""
    if trust is not None and not has_files:
        raise click.UsageError("--trust needs --registry-config or --registry-env")
    if user is not None and (url is None or has_token):
        raise click.UsageError("--user needs --registry URL, and excludes --token: it fetches a token from there")
    if user is not None and (not user or ":" in user):
        raise click.UsageError("--user: a user name is not empty and has no colon")


def _visit(visit: Visit, user: str | None, *, before: Sequence[Finding]) -> tuple[list[Finding], Secret | None]:
    """The findings of a visit to a live registry, after those of `before`; and the token that it used."""
    baseline = visit.baseline
    # No password is asked for if the login could not happen anyway.
    is_known = identify(baseline.sides.general.ours, baseline.registry, visit.url, "").registry is not None
    login = (user, read_password()) if user is not None and is_known else None
    deadline = TimeLimit.in_(visit.requests.deadline.seconds)  # typing a password is not part of it
    context = visit.requests.context
    # The server first: with several registries, the visit finds out best which one this is.
    with progress("asking the server"):
        found, skew = visit_server(baseline, Requests(context, deadline.half()))
    is_faulty = any(finding.is_actionable for finding in before)
    asked = replace(visit, requests=Requests(context, deadline), login=login, files_at_fault=is_faulty)
    with progress("visiting the registry"):
        visited, token = visit_registry(asked, skew)
    return found + visited, token


def _examine_token(token: GivenToken, baseline: Baseline, wanted: Sequence[Scope]) -> list[Finding]:
    audience = token.opened.claims.get("aud")
    ours = baseline.sides.general.ours
    named = None if baseline.files is None else ours.registry(baseline.files.setup.service)
    registry = baseline.registry or named or find_registry(ours, audience if isinstance(audience, str) else None)
    return examine_token(token.opened, replace(baseline, registry=registry), wanted)


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """A TLS context that trusts the CAs of the system, as clients do, and those in the file."""
    context = ssl.create_default_context()
    if ca_file is None:
        return context
    pem = read_text(ca_file)
    try:
        context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        raise LoadError([Fault(str(ca_file), 0, "", "holds no PEM certificates")]) from error
    return context


def _read_token(file: TextIO) -> GivenToken:
    try:
        return GivenToken.of(token_text(file.read(MAX_TOKEN + 1)))
    except UnreadableToken as error:
        raise click.UsageError(f"--token: {error}") from None
    except UnicodeDecodeError:
        raise click.UsageError("--token: is not text") from None


def _address(url: str) -> str:
    """The registry's URL without `/v2/` and without a trailing slash."""
    address = url.rstrip("/").removesuffix("/v2").rstrip("/")
    try:
        return checked_url(address, "https://registry.example.com")
    except ValueError as error:
        raise click.UsageError(f"--registry {error}") from None


def _wanted(scopes: Sequence[str], settings: Settings) -> tuple[Scope, ...]:
    try:
        return tuple(_without_host(parse_scope(scope), settings) for scope in scopes)
    except ScopeSyntaxError as error:
        raise click.UsageError(f"--scope: {error}") from None


def _trial(action: str, name: str, settings: Settings) -> Trial:
    try:
        scope = parse_scope(f"repository:{name}:pull,{action}")
    except ScopeSyntaxError as error:
        raise click.UsageError(f"--try: {error}") from None
    return Trial(action, _without_host(scope, settings).resource.name)


def _without_host(scope: Scope, settings: Settings) -> Scope:
    """The scope as clients request it: without the host of a configured registry, which image names begin with."""
    host, rest = split_host(scope.resource.name)
    known = (RegistryNames(one.service, one.names, one.url) for one in settings.registries)
    if not host or not registries_at(host, "", known):
        return scope
    found = Scope(Resource(scope.resource.type, rest), scope.actions)
    echo(f"{scope} is read as {found}; clients leave the host out of scopes", err=True)
    return found


def _chosen(ours: Ours, service: str | None) -> OurRegistry | None:
    if service is None:
        return None
    registry = ours.registry(service)
    if registry is None:
        exit_with(f"no registry is named {service!r}; configured: {', '.join(ours.services)}")
    return registry
