"""`tokenserver ldap`: tests the connection to a directory, and reports each step."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from tokenserver.authn.ldap.diagnosis.diagnose import Judged, diagnose, unjudged
from tokenserver.authn.ldap.diagnosis.steps import OMITTED, DiagnosisStep
from tokenserver.authn.usernames import MAX_USERNAME
from tokenserver.cli.console.prompts import read_password
from tokenserver.cli.exits import NO
from tokenserver.cli.lazy import HintingGroup
from tokenserver.cli.options import config_option, report_faults
from tokenserver.cli.terminal import echo, echo_json
from tokenserver.config.load import config_path, load_settings
from tokenserver.config.settings import Settings
from tokenserver.config.sources.ldap import Ldap
from tokenserver.errors import Fault, LoadError
from tokenserver.identity import Identity
from tokenserver.policy.losses import restricting_rule
from tokenserver.policy.model import Principal
from tokenserver.printable import one_line
from tokenserver.server.sources.password_sources import ldap_directory
from tokenserver.server.startup import configured_policies


@click.group(cls=HintingGroup)
def ldap() -> None:
    """Test the connection to an LDAP directory."""


@ldap.command("test")
@click.argument("user", required=False)
@click.option("--source", metavar="NAME", help="The directory, if the configuration has several.")
@click.option("--verbose", is_flag=True, help="Print the DN of each group as well.")
@click.option("--json", "as_json", is_flag=True, help="Print the steps as JSON.")
@config_option
@report_faults
def ldap_test(user: str | None, source: str | None, verbose: bool, as_json: bool, config: Path | None) -> None:
    """Connect as configured and report each step.

    With USER, it also looks up and logs in that user. The password is prompted for; without a terminal it is the first
    line of standard input. If it is empty, the login itself is skipped. Exit code 0: every step worked; 1: one failed,
    with what to change.
    """
    settings = load_settings(config)
    directories = {entry.name: entry.ldap for entry in settings.authentication if entry.ldap is not None}
    directory = ldap_directory(_chosen(directories, source, config))
    password = None
    if user is not None:
        user = unicodedata.normalize("NFC", user)
        typed = read_password("Password (empty: no login)", may_be_empty=True)
        password = typed if typed.reveal() else None
        # The server rejects such names before it contacts any directory.
        if not user.strip() or not user.isprintable() or len(user) > MAX_USERNAME:
            raise click.UsageError(f"a user name is 1 to {MAX_USERNAME} printable characters")
    steps = []
    for step in diagnose(directory, user, password, _judge(settings)):
        steps.append(step)
        if not as_json:
            _print(step, verbose=verbose)
    failures = [step for step in steps if step.advice is not None]
    if as_json:
        echo_json({"ok": not failures, "steps": [_facts(step) for step in steps]})
    elif not failures and any(step.name == OMITTED for step in steps):
        echo("The login works, but some groups are left out.", fg="yellow")
    elif not failures:
        echo("All steps passed.", fg="green")
    if failures:
        raise SystemExit(NO)


def _judge(settings: Settings) -> Callable[[Identity], Judged]:
    """A judge of identities: the policy groups that hold them, and whether the policies reject the login."""
    try:
        policies = configured_policies(settings, datetime.now(UTC))
    except LoadError:
        echo("warning: the policies do not load, so their groups are unknown; fix: tokenserver check", err=True)
        return unjudged

    def judge(identity: Identity) -> Judged:
        names = sorted(str(Principal("group", name)) for name in policies.groups.holding(identity))
        if not identity.lost:
            return Judged(names)
        services = sorted({registry.service for registry in settings.registries})
        rules = (restricting_rule(policies, service) for service in services)
        rule = next((rule for rule in rules if rule is not None), None)
        problem = None if rule is None else f"{rule.id} ({rule.file}:{rule.line}) is about groups"
        return Judged(names, problem)

    return judge


def _chosen(directories: dict[str, Ldap], source: str | None, config: Path | None) -> Ldap:
    known = ", ".join(directories)
    if source is not None and source in directories:
        return directories[source]
    if source is not None:
        problem = f"no directory is named {source!r}; configured: {known or 'none'}"
    elif len(directories) == 1:
        return next(iter(directories.values()))
    elif directories:
        problem = f"has several directories; fix: add --source with one of: {known}"
    else:
        problem = "has no directory; fix: add one, such as ldap: {preset: openldap, url: ldaps://ldap.example.com, …}"
    raise LoadError([Fault(str(config_path(config)), 0, "authentication", problem)])


def _facts(step: DiagnosisStep) -> dict[str, object]:
    return {
        "step": step.name,
        "told": step.result,
        "names": [{"name": one.name, "dn": one.dn} for one in step.names],
        "cause": None if step.failure is None else step.failure.cause.value,
        "advice": step.advice,
    }


def _print(step: DiagnosisStep, *, verbose: bool) -> None:
    failed = step.failure is not None
    echo(f"{step.name:<9} {step.result}", fg="red" if failed else None, bold=step.name == "server")
    width = max((len(one_line(one.name)) for one in step.names), default=0)
    for one in step.names:
        dn = f"  {one.dn}" if verbose and one.dn else ""
        echo(f"{'':<9}   {one_line(one.name):<{width if dn else 0}}{dn}")
    if failed:
        echo(f"{'':<9} to do: {step.advice}")
