"""`tokenserver robots secret new`: makes a robot's secret, and the line that declares it in a policy file."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network

import click

from tokenserver.access_keys import RANDOM_BYTES, DeclaredSecret, compose_key, declare, hash_line, spell_declaration
from tokenserver.cli.lazy import LazyCommand, LazyGroup
from tokenserver.cli.terminal import echo, echo_text
from tokenserver.credentials import AccessKeyForm
from tokenserver.policy.machines.robots import MachineNameError, parse_machine_name
from tokenserver.policy.syntax.machines import MAX_NOTE
from tokenserver.policy.terms import TermError, parse_moment, parse_network
from tokenserver.runtime.durations import parse_duration

MIN_LIFETIME, MAX_LIFETIME = timedelta(hours=1), timedelta(days=365)
"""How long a new secret can be valid."""

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


def _end(_context: click.Context, _parameter: click.Parameter, value: str) -> datetime:
    """The end from a duration, which counts from now, or as a moment; it falls on a whole minute."""
    now = datetime.now(UTC)
    seconds = parse_duration(value)
    try:
        end = parse_moment(value) if seconds is None else (now + timedelta(seconds=seconds))
    except (TermError, OverflowError):
        expected = "must be a duration such as 90d, a date (2027-01-31) or a time with its zone"
        raise click.BadParameter(f"{value!r}: {expected}") from None
    if seconds is not None:
        end = end.replace(second=0, microsecond=0) + timedelta(minutes=1)
    if not MIN_LIFETIME <= end - now <= MAX_LIFETIME + timedelta(minutes=1):
        raise click.BadParameter(f"{value!r}: a secret is valid for at least an hour and at most {MAX_LIFETIME.days}d")
    return end


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
    default="90d",
    show_default=True,
    callback=_end,
    help="How long it is valid (90d, 12h), or its end as a date or time; 365d at most.",
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
def secret_new(  # noqa: PLR0917 - click passes options by name
    name: str,
    for_file: bool,
    expires: datetime,
    networks: tuple[IPv4Network | IPv6Network, ...],
    note: str,
    as_json: bool,
) -> None:
    """Make a secret of the robot NAME.

    The secret goes to standard output and nothing else does, so that it can be piped to where the robot finds it. The
    line for the policy file goes to standard error. It holds a hash of 256 random bits, so it may be read by anybody.

    \b
    tokenserver robots secret new ci-web --for-file | gh secret set REGISTRY_PASSWORD
    """
    if not for_file:
        raise click.UsageError("secrets of robots are declared in policy files; fix: add --for-file")
    key = compose_key(AccessKeyForm.ROBOT, secrets.token_bytes(RANDOM_BYTES))
    declared: DeclaredSecret = declare(key, expires, networks, note)
    line = spell_declaration(declared)
    if as_json:
        facts = {
            "robot": name,
            "id": key.id,
            "secret": key.text.reveal(),
            "hash": hash_line(key),
            "expires": expires.isoformat().replace("+00:00", "Z"),
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
