"""`tokenserver ldap`: tries the connection to a directory, and tells each step."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from tokenserver.authn.ldap.diagnose import LEFT_OUT, DiagnosisStep, Judged, diagnose, unjudged
from tokenserver.authn.usernames import MAX_USERNAME
from tokenserver.cli.options import config_option, tell_faults
from tokenserver.cli.terminal import echo, echo_text
from tokenserver.config.ldap import Ldap
from tokenserver.config.load import config_path, load_settings
from tokenserver.config.settings import Settings
from tokenserver.credentials import Secret
from tokenserver.errors import Fault, LoadError
from tokenserver.identity import Identity
from tokenserver.policy.loading.loader import load_policies
from tokenserver.policy.losses import restricting_rule
from tokenserver.policy.model import Principal
from tokenserver.server.compose import ldap_directory

NO = 1

_MAX_LINE = 4096
"""Bytes of standard input that are read for a password; far more than any password may have."""


@click.group()
def ldap() -> None:
    """Try the connection to an LDAP directory."""


@ldap.command("test")
@click.argument("user", required=False)
@click.option("--source", metavar="NAME", help="Which directory, where the configuration has several.")
@click.option("--json", "as_json", is_flag=True, help="Print the steps as JSON.")
@config_option
@tell_faults
def test(user: str | None, source: str | None, as_json: bool, config: Path | None) -> None:
    """Connect as configured and tell each step; with USER, log in as that user.

    The password of USER is asked for, or is the first line of standard input; without one, the login itself is left
    out. Exit code 0: all went well. 1: a step failed, and what to change is told.
    """
    settings = load_settings(config)
    directories = {entry.name: entry.ldap for entry in settings.authentication if entry.ldap is not None}
    directory = ldap_directory(_chosen(directories, source, config))
    password = None
    if user is not None:
        user = unicodedata.normalize("NFC", user)
        text = _read_password()
        password = Secret(text) if text else None
        # What the server refuses before it asks anybody.
        if not user.strip() or not user.isprintable() or len(user) > MAX_USERNAME:
            raise click.UsageError(f"a user name is 1 to {MAX_USERNAME} printable characters")
    steps = []
    for step in diagnose(directory, user, password, _judge(settings)):
        steps.append(step)
        if not as_json:
            _tell(step)
    failures = [step for step in steps if step.advice is not None]
    if as_json:
        facts = [{"step": step.name, "told": step.told, "advice": step.advice} for step in steps]
        echo_text(json.dumps({"ok": not failures, "steps": facts}))
    elif not failures and any(step.name == LEFT_OUT for step in steps):
        echo("The login works; not all groups are brought (left out).", fg="yellow")
    elif not failures:
        echo("All is well.", fg="green")
    if failures:
        raise SystemExit(NO)


def _judge(settings: Settings) -> Callable[[Identity], Judged]:
    """Which groups the policies take somebody to be in, and whether they refuse the login; without, those brought."""
    services = frozenset(registry.service for registry in settings.registries)
    try:
        policies = load_policies(settings.policies, services=services, now=datetime.now(UTC))
    except LoadError:
        echo("warning: the policies are refused, so their groups are unknown: tokenserver check", err=True)
        return unjudged

    def judge(identity: Identity) -> Judged:
        names = sorted(str(Principal("group", name)) for name in policies.groups.holding(identity))
        if not identity.lost:
            return Judged(names)
        rules = (restricting_rule(policies, service) for service in sorted(services))
        rule = next((rule for rule in rules if rule is not None), None)
        problem = None if rule is None else f"the login is refused: {rule.id} ({rule.file}:{rule.line}) is about groups"
        return Judged(names, problem)

    return judge


def _chosen(directories: dict[str, Ldap], source: str | None, config: Path | None) -> Ldap:
    known = ", ".join(directories)
    if source is not None and source in directories:
        return directories[source]
    if source is not None:
        problem = f"no directory has the name {source!r}; there are: {known or 'none'}"
    elif len(directories) == 1:
        return next(iter(directories.values()))
    elif directories:
        problem = f"names several directories; say --source with one of: {known}"
    else:
        problem = "names no directory; add one, such as ldap: {preset: openldap, url: ldaps://ldap.example.com, …}"
    raise LoadError([Fault(str(config_path(config)), 0, "authentication", problem)])


def _tell(step: DiagnosisStep) -> None:
    told = "".join(character if character.isprintable() else "?" for character in step.told)
    failed = step.advice is not None
    echo(f"{step.name:<9} {told}", fg="red" if failed else None, bold=step.name == "server")
    if failed:
        echo(f"{'':<9} to do: {step.advice}")


def _read_password() -> str:
    if sys.stdin.isatty():
        typed: str = click.prompt(
            "Password (empty: no login)", default="", show_default=False, hide_input=True, err=True
        )
        return typed
    line = sys.stdin.buffer.readline(_MAX_LINE)
    try:
        return line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError:
        raise click.UsageError("a password must be UTF-8 text") from None
