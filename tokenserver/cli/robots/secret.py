"""`tokenserver robots secret`: makes secrets, for policy files or stored; rotates and revokes those that are stored."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from pathlib import Path

import click

from tokenserver.access_keys import RANDOM_BYTES, DeclaredSecret, compose_key, declare, hash_line, spell_declaration
from tokenserver.cli.lazy import LazyCommand, LazyGroup
from tokenserver.cli.options import config_option, report_faults
from tokenserver.cli.stored.options import (
    MAX_LIFETIME,
    Networks,
    limit_options,
    note_text,
    now_utc,
    parse_end,
)
from tokenserver.cli.terminal import echo, echo_json
from tokenserver.config.load import config_path, load_settings
from tokenserver.credentials import AccessKeyForm
from tokenserver.management.robot_rules import secret_lifetimes
from tokenserver.management.wishes import end_after
from tokenserver.patterns import Pattern
from tokenserver.policy.lint.robot_secrets import spelled_lifetime
from tokenserver.policy.machines.robots import MachineNameError, parse_machine_name

_COMMANDS = {
    "new": LazyCommand("tokenserver.cli.robots.secret", "secret_new", "Make a secret, stored or for a file."),
    "revoke": LazyCommand("tokenserver.cli.robots.stored_secrets", "secret_revoke", "End stored secrets now."),
    "rotate": LazyCommand("tokenserver.cli.robots.stored_secrets", "secret_rotate", "Replace a stored secret."),
}


@click.group(cls=LazyGroup, commands_at=_COMMANDS)
def secret() -> None:
    """Make, rotate and end secrets of robots.

    With `storage` in the configuration, they are stored. A secret that a policy file declares ends when its line is
    removed.
    """


def robot_name(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """A callback: the name of a robot."""
    try:
        return parse_machine_name(value)
    except MachineNameError as error:
        raise click.BadParameter(str(error)) from None


def secret_end(expires: str | None, config: Path | None) -> datetime:
    """The end of a new secret, as asked or the default, within `robots.max_lifetime` of a configuration that is there.

    Raises:
        click.UsageError: it is no moment, or the configuration does not allow a secret that is valid so long.
        LoadError: the configuration is there, and cannot be loaded.
    """
    now = now_utc()
    end = None if expires is None else parse_end(expires, now, MAX_LIFETIME)
    is_configured = config is not None or config_path(config).exists()
    lifetimes = secret_lifetimes(load_settings(config) if is_configured else None)
    if end is None:
        return end_after(lifetimes.usual, now)
    if end - now > lifetimes.most + timedelta(minutes=1):
        text = f"{config_path(config)} allows secrets that are valid for {spelled_lifetime(lifetimes.most)} at most"
        raise click.UsageError(f"--expires: {text} (robots.max_lifetime)")
    return end


@click.command("new")
@click.argument("name", callback=robot_name)
@click.option("--for-file", is_flag=True, help="Store nothing; print the line that declares it in a policy file.")
@click.option(
    "--expires",
    metavar="WHEN",
    help="How long it is valid (12h), or its end as a date or time; robots.max_lifetime at most.  [default: 90d]",
)
@limit_options
@click.option("--note", default="", metavar="TEXT", callback=note_text, help="What it is for, for readers.")
@click.option("--json", "as_json", is_flag=True, help="Print the secret and its facts as JSON.")
@config_option
@report_faults
def secret_new(  # noqa: PLR0917 - click passes options by name
    name: str,
    for_file: bool,
    expires: str | None,
    pull: bool,
    push: bool,
    actions: frozenset[str] | None,
    repositories: tuple[Pattern, ...],
    registries: tuple[str, ...],
    networks: Networks,
    note: str,
    as_json: bool,
    config: Path | None,
) -> None:
    """Make a secret of the robot NAME, which policy files declare.

    The secret goes to standard output and nothing else does, so that it can be piped to where the robot finds it. It is
    kept nowhere. Two can be valid at a time, so that they can be replaced without an outage.

    With --for-file, the line for the policy file goes to standard error, and nothing is stored. It holds a hash of 256
    random bits, so it may be read by anybody.

    \b
    tokenserver robots secret new ci-web --expires 90d | gh secret set REGISTRY_PASSWORD
    """
    end = secret_end(expires, config)
    if not for_file:
        # Needed only with a storage, whose engines take a while to import.
        from tokenserver.cli.robots.stored_secrets import StoredLimits, store_secret  # noqa: PLC0415 - see above

        limits = StoredLimits(pull, push, actions, repositories, registries, networks)
        store_secret(name, end, limits, note, as_json=as_json, config=config)
        return
    if pull or push or actions is not None or repositories or registries:
        raise click.UsageError("a secret in a policy file has no limits but networks; fix: give the robot fewer rules")
    key = compose_key(AccessKeyForm.ROBOT, secrets.token_bytes(RANDOM_BYTES))
    declared: DeclaredSecret = declare(key, end, networks, note)
    line = spell_declaration(declared)
    if as_json:
        facts = {
            "robot": name,
            "id": key.id,
            "secret": key.text.reveal(),
            "hash": hash_line(key),
            "expires": end.isoformat().replace("+00:00", "Z"),
            "networks": [str(network) for network in networks],
            "note": note,
            "line": line,
        }
        echo_json(facts)
        return
    echo(key.text.reveal())
    echo(f"This is shown once. Declare it under secrets of the robot {name} in its policy file:", err=True)
    echo(f"      {line}", err=True)
    echo(f"It logs in with the user name {name}, or token.", err=True)
