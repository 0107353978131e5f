"""`tokenserver robots secret new`: makes a robot's secret, and the line that declares it in a policy file."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import click

from tokenserver.access_keys import RANDOM_BYTES, DeclaredSecret, compose_key, declare, hash_line, spell_declaration
from tokenserver.cli.lazy import LazyCommand, LazyGroup
from tokenserver.cli.options import config_option, report_faults
from tokenserver.cli.terminal import echo, echo_text
from tokenserver.config.load import config_path, load_settings
from tokenserver.config.protection import MAX_SECRET_LIFETIME, MIN_SECRET_LIFETIME
from tokenserver.credentials import AccessKeyForm
from tokenserver.policy.lint.robot_secrets import spelled_lifetime
from tokenserver.policy.machines.robots import MachineNameError, parse_machine_name
from tokenserver.policy.syntax.machines import MAX_NOTE
from tokenserver.policy.terms import TermError, parse_moment, parse_network
from tokenserver.runtime.durations import parse_duration

MIN_LIFETIME, MAX_LIFETIME = timedelta(seconds=MIN_SECRET_LIFETIME), timedelta(seconds=MAX_SECRET_LIFETIME)
"""How long a new secret can be valid."""

DEFAULT_LIFETIME = timedelta(days=90)
"""How long it is valid unless something else is asked for, or the configuration allows less."""

_MINUTE = timedelta(minutes=1)

_COMMANDS = {
    "new": LazyCommand("tokenserver.cli.robots.secret", "secret_new", "Make a secret, and the line that declares it."),
}


@click.group(cls=LazyGroup, commands_at=_COMMANDS)
def secret() -> None:
    """Make secrets of robots.

    To end a secret, remove its line from the policy file.
    """


def _name(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        return parse_machine_name(value)
    except MachineNameError as error:
        raise click.BadParameter(str(error)) from None


def _end(_context: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    """The end from a duration, which counts from now, or as a moment; it falls on a whole minute."""
    if value is None:
        return None
    now = datetime.now(UTC)
    seconds = parse_duration(value)
    try:
        end = parse_moment(value) if seconds is None else (now + timedelta(seconds=seconds))
    except (TermError, OverflowError):
        expected = "must be a duration such as 90d, a date (2027-01-31) or a time with its zone"
        raise click.BadParameter(f"{value!r}: {expected}") from None
    if seconds is not None:
        end = _whole_minute(end)
    if not MIN_LIFETIME <= end - now <= MAX_LIFETIME + _MINUTE:
        raise click.BadParameter(f"{value!r}: a secret is valid for at least an hour and at most {MAX_LIFETIME.days}d")
    return end


def _whole_minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0) + _MINUTE


def _allowed(asked: datetime | None, config: Path | None) -> datetime:
    """The end of a new secret, as asked or the default, within `robots.max_lifetime` of a configuration that is there.

    Raises:
        click.UsageError: the configuration does not allow a secret that is valid so long.
        LoadError: the configuration is there, and cannot be loaded.
    """
    is_configured = config is not None or config_path(config).exists()
    longest = timedelta(seconds=load_settings(config).robots.max_lifetime) if is_configured else MAX_LIFETIME
    now = datetime.now(UTC)
    if asked is None:
        return _whole_minute(now + min(DEFAULT_LIFETIME, longest))
    if asked - now > longest + _MINUTE:
        text = f"{config_path(config)} allows secrets that are valid for {spelled_lifetime(longest)} at most"
        raise click.UsageError(f"--expires: {text} (robots.max_lifetime)")
    return asked


def _networks(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(dict.fromkeys(map(parse_network, values)))
    except TermError as error:
        raise click.BadParameter(str(error)) from None


def _note(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if len(value) > MAX_NOTE or not value.isprintable():
        raise click.BadParameter(f"must be at most {MAX_NOTE} printable characters")
    return value


@click.command("new")
@click.argument("name", callback=_name)
@click.option("--for-file", is_flag=True, help="Print the line that declares the secret in a policy file. Required.")
@click.option(
    "--expires",
    metavar="WHEN",
    callback=_end,
    help="How long it is valid (12h), or its end as a date or time; robots.max_lifetime at most.  [default: 90d]",
)
@click.option(
    "--network",
    "networks",
    multiple=True,
    metavar="CIDR",
    callback=_networks,
    help="Accept it from this network only; can be repeated.  [default: from everywhere]",
)
@click.option("--note", default="", metavar="TEXT", callback=_note, help="What it is for, for readers of the file.")
@click.option("--json", "as_json", is_flag=True, help="Print the secret and its declaration as JSON.")
@config_option
@report_faults
def secret_new(  # noqa: PLR0917 - click passes options by name
    name: str,
    for_file: bool,
    expires: datetime | None,
    networks: tuple[IPv4Network | IPv6Network, ...],
    note: str,
    as_json: bool,
    config: Path | None,
) -> None:
    """Make a secret of the robot NAME.

    The secret goes to standard output and nothing else does, so that it can be piped to where the robot finds it. The
    line for the policy file goes to standard error. It holds a hash of 256 random bits, so it may be read by anybody.

    \b
    tokenserver robots secret new ci-web --for-file | gh secret set REGISTRY_PASSWORD
    """
    if not for_file:
        raise click.UsageError("secrets of robots are declared in policy files; fix: add --for-file")
    end = _allowed(expires, config)
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
        echo_text(json.dumps(facts))
        return
    echo(key.text.reveal())
    echo(f"This is shown once. Declare it under secrets of the robot {name} in its policy file:", err=True)
    echo(f"      {line}", err=True)
    echo(f"It logs in with the user name {name}, or token.", err=True)
