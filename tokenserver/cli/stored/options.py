"""Options of commands that make secrets: when it ends, from where it can be used, and what it can do at most."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Any, TypeVar

import click

from tokenserver.access_keys import MalformedAccessKey, key_parts
from tokenserver.ceilings import Ceiling
from tokenserver.cli.terminal import echo
from tokenserver.config.protection import MAX_SECRET_LIFETIME, MIN_SECRET_LIFETIME
from tokenserver.config.settings import Settings
from tokenserver.management import wishes
from tokenserver.management.wishes import (
    InvalidTerm,
    end_after,
    parse_action,
    parse_note,
    parse_repository,
    parse_service,
    spell_duration,
)
from tokenserver.patterns import Pattern
from tokenserver.policy.terms import TermError, parse_moment, parse_network
from tokenserver.runtime.durations import parse_duration
from tokenserver.scopes import in_order

MIN_LIFETIME, MAX_LIFETIME = timedelta(seconds=MIN_SECRET_LIFETIME), timedelta(seconds=MAX_SECRET_LIFETIME)
"""How long a secret can be valid at least, and at most if the configuration says nothing."""

_Term = TypeVar("_Term")

Networks = tuple[IPv4Network | IPv6Network, ...]

_PULL, _PUSH = frozenset({"pull"}), frozenset({"pull", "push"})


def network_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--network`, as `networks`."""
    option = click.option(
        "--network",
        "networks",
        multiple=True,
        metavar="CIDR",
        callback=_networks,
        help="Accept it from this network only; can be repeated.  [default: from everywhere]",
    )
    return option(command)


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--pull`, `--push`, `--actions`, `--repositories`, `--registry` and `--network`; see `ceiling_of`."""
    options = (
        click.option("--pull", is_flag=True, help="Let it pull, and nothing else."),
        click.option("--push", is_flag=True, help="Let it pull and push, and not delete."),
        click.option(
            "--actions", metavar="ACTIONS", callback=_actions, help="The actions that it can do: pull,push,delete."
        ),
        click.option(
            "--repositories",
            multiple=True,
            metavar="PATTERN",
            callback=_patterns,
            help="Where it can be used, such as 'web/**'; can be repeated.  [default: everywhere]",
        ),
        click.option(
            "--registry",
            "registries",
            multiple=True,
            metavar="SERVICE",
            help="The registry where it can be used; can be repeated.  [default: all]",
        ),
        network_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def ceiling_of(
    settings: Settings,
    *,
    pull: bool,
    push: bool,
    actions: frozenset[str] | None,
    repositories: tuple[Pattern, ...],
    registries: tuple[str, ...],
) -> Ceiling | None:
    """The ceiling that the options of `limit_options` describe; None if they limit nothing but networks.

    Raises:
        click.UsageError: options that exclude each other, or a registry that is not configured.
    """
    if pull + push + (actions is not None) > 1:
        raise click.UsageError("--pull, --push and --actions exclude each other")
    chosen = _PULL if pull else _PUSH if push else actions
    try:
        services = tuple(parse_service(settings, name) for name in registries)
    except InvalidTerm as error:
        raise click.UsageError(f"--registry: {error}") from None
    return wishes.ceiling_of(chosen, repositories, services)


def parse_end(value: str, now: datetime, most: timedelta) -> datetime:
    """The end from a duration, which counts from `now`, or as a moment; see `end_after`.

    Raises:
        click.BadParameter: it is neither, or more than `most` or less than `MIN_LIFETIME` away.
    """
    seconds = parse_duration(value)
    try:
        end = parse_moment(value) if seconds is None else end_after(timedelta(seconds=seconds), now)
    except (TermError, OverflowError):
        expected = "must be a duration such as 90d, a date (2027-01-31) or a time with its zone"
        raise click.BadParameter(f"{value!r}: {expected}", param_hint="--expires") from None
    if not MIN_LIFETIME <= end - now <= most + timedelta(minutes=1):
        message = f"{value!r}: a secret is valid for at least an hour and at most {spell_duration(most)}"
        raise click.BadParameter(message, param_hint="--expires")
    return end


def parse_duration_option(
    most: timedelta,
) -> Callable[[click.Context, click.Parameter, str | None], timedelta | None]:
    """A callback: a duration of at most `most`; None if the option is not given."""

    def callback(_context: click.Context, _parameter: click.Parameter, value: str | None) -> timedelta | None:
        if value is None:
            return None
        seconds = parse_duration(value)
        if seconds is None or timedelta(seconds=seconds) > most:
            raise click.BadParameter(f"{value!r}: must be a duration such as 24h, at most {spell_duration(most)}")
        return timedelta(seconds=seconds)

    return callback


def key_id(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """A callback: the id of a credential, also from its whole text, which is not repeated in any message."""
    try:
        parts = key_parts(value)
    except MalformedAccessKey:
        raise click.BadParameter("must be an id, and looks like a mistyped key") from None
    identifier = value if parts is None else parts[1]
    if parts is not None:
        echo(f"The argument is a key, whose id is {identifier}; name keys by their ids.", err=True)
    return identifier


def optional_key_id(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A callback: as `key_id`; None if the option is not given."""
    return None if value is None else key_id(context, parameter, value)


def key_ids(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """A callback: as `key_id`, for several."""
    return tuple(dict.fromkeys(key_id(context, parameter, value) for value in values))


def note_text(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """A callback: a short text for people."""
    return _parameter_by(parse_note, value)


def now_utc() -> datetime:
    """The current moment."""
    return datetime.now(UTC)


def _networks(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> Networks:
    try:
        return tuple(dict.fromkeys(map(parse_network, values)))
    except TermError as error:
        raise click.BadParameter(str(error)) from None


def _actions(_context: click.Context, _parameter: click.Parameter, value: str | None) -> frozenset[str] | None:
    if value is None:
        return None
    return frozenset(in_order(_parameter_by(parse_action, word.strip()) for word in value.split(",")))


def _patterns(_context: click.Context, _parameter: click.Parameter, values: Iterable[str]) -> tuple[Pattern, ...]:
    return tuple(dict.fromkeys(_parameter_by(parse_repository, value) for value in values))


def _parameter_by(parse: Callable[[str], _Term], value: str) -> _Term:
    """The value of a parameter by a rule of the management."""
    try:
        return parse(value)
    except InvalidTerm as error:
        raise click.BadParameter(str(error)) from None
