"""`tokenserver robots list` and `show`: the declared robots, their owners, and when their secrets end.

Secrets are those that policy files declare, and those that are stored where the configuration has a `storage`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, NamedTuple

import click

from tokenserver.cli.console.table import aligned, table
from tokenserver.cli.exits import NO
from tokenserver.cli.options import exit_with
from tokenserver.cli.policy.options import Source, policy_command, read_source, revision_option
from tokenserver.cli.terminal import echo, echo_json, echo_text
from tokenserver.documents.hints import nearest
from tokenserver.errors import BackendUnavailable
from tokenserver.management.facts import spell_limits, spelled, state_at, state_of
from tokenserver.policy.analysis.conditions import spell_moment
from tokenserver.policy.machines.robots import Robot


class ShownSecret(NamedTuple):
    """A declared or stored secret as it is shown."""

    id: str
    state: str
    expires: datetime
    networks: tuple[IPv4Network | IPv6Network, ...]
    note: str
    is_stored: bool = False
    limits: str = ""
    last_used: str | None = None


_DECLARED_HEADS = ("SECRET", "STATE", "ENDS", "NETWORKS", "NOTE")
_STORED_HEADS = ("SECRET", "KEPT", "STATE", "ENDS", "LAST USED", "NETWORKS", "LIMITS", "NOTE")

StoredSecrets = Mapping[str, Sequence[ShownSecret]]
"""The stored secrets that have not ended, by robot."""


@click.command("list")
@revision_option
@policy_command
def robots_list(revision: str | None, config: Path | None, folder: Path | None, as_json: bool) -> None:
    """List the declared robots with their owners and secrets; of a secret the id, the end and the networks."""
    source = read_source(config, folder, revision)
    robots = [robot for _, robot in sorted(source.policies.robots.items())]
    now = datetime.now(UTC)
    stored = _stored(source, now)
    if as_json:
        echo_json({**source.revision_facts(), "robots": [_facts(robot, stored, now) for robot in robots]})
        return
    source.print_revision()
    if not robots:
        echo("The policies declare no robots.", err=True)
        return
    heads = ("ROBOT", "SECRET", "STATE", "ENDS", "NETWORKS", "OWNERS", "DESCRIPTION")
    echo_text(table(heads, [row for robot in robots for row in _rows(robot, stored, now)]))


@click.command("show")
@click.argument("name")
@revision_option
@policy_command
def robots_show(name: str, revision: str | None, config: Path | None, folder: Path | None, as_json: bool) -> None:
    """Show the declared robot NAME: where it is declared, its owners, and its secrets without their hashes.

    Exit code 1: no file declares it.
    """
    source = read_source(config, folder, revision)
    robot = source.policies.robots.get(name)
    if robot is None:
        exit_with(f"no robot {name!r} is declared; {nearest(name, source.policies.robots)}", NO)
    now = datetime.now(UTC)
    stored = _stored(source, now)
    if as_json:
        echo_json({**source.revision_facts(), **_facts(robot, stored, now)})
        return
    source.print_revision()
    facts = [("name", robot.name), ("subject", robot.subject), ("description", robot.description)]
    facts += [("owners", ", ".join(robot.owners)), ("declared in", f"{robot.file}:{robot.line}")]
    echo_text(aligned([(head, value or "-") for head, value in facts]))
    echo()
    secrets = _secrets(robot, stored, now)
    if stored.get(robot.name):
        echo_text(table(_STORED_HEADS, [_details(one) for one in secrets]))
    elif secrets:
        echo_text(table(_DECLARED_HEADS, [(*_cells(one), one.note or "-") for one in secrets]))
    else:
        echo(f"No secrets. Make one: tokenserver robots secret new {robot.name}{_for_file(source)}")


def _secrets(robot: Robot, stored: StoredSecrets, now: datetime) -> list[ShownSecret]:
    """All secrets of a robot, the declared ones first."""
    declared = [
        ShownSecret(one.id, state_at(one.expires, now), one.expires, one.networks, one.note) for one in robot.secrets
    ]
    return [*declared, *stored.get(robot.name, ())]


def _stored(source: Source, now: datetime) -> StoredSecrets:
    """The stored secrets of the configuration; none for another folder or revision. Warns if they cannot be read."""
    if source.settings is None or source.settings.storage is None or source.revision is not None:
        return {}
    # Needed only with a storage, whose engines take a while to import.
    from tokenserver.cli.robots.stored_secrets import all_stored  # noqa: PLC0415 - see above

    found: dict[str, list[ShownSecret]] = {}
    try:
        for name, listed in all_stored(source.settings):
            one = listed.credential
            secret = ShownSecret(
                one.id,
                state_of(listed, now),
                datetime.fromtimestamp(one.ends, UTC),
                one.networks,
                one.name,
                is_stored=True,
                limits=spell_limits(listed, networks=False),
                last_used="never" if listed.use is None else spelled(listed.use.last),
            )
            found.setdefault(name, []).append(secret)
    except BackendUnavailable as error:
        echo(f"warning: stored secrets are not shown: {error}", fg="yellow", err=True)
    return found


def _for_file(source: Source) -> str:
    """The option that a new secret needs without a storage."""
    return "" if source.settings is not None and source.settings.storage is not None else " --for-file"


def _rows(robot: Robot, stored: StoredSecrets, now: datetime) -> list[Sequence[str]]:
    """A row for each secret, or one without; the robot's own cells are in the first."""
    secrets: list[Sequence[str]] = [_cells(one) for one in _secrets(robot, stored, now)] or [("-", "-", "-", "-")]
    own = (robot.name, ", ".join(robot.owners) or "-", robot.description or "-")
    return [(own[0], *cells, *own[1:]) if number == 0 else ("", *cells, "", "") for number, cells in enumerate(secrets)]


def _cells(secret: ShownSecret) -> tuple[str, str, str, str]:
    networks = ", ".join(map(str, secret.networks)) or "any"
    return secret.id, secret.state, spell_moment(secret.expires), networks


def _details(secret: ShownSecret) -> Sequence[str]:
    identifier, state, ends, networks = _cells(secret)
    kept = "stored" if secret.is_stored else "in a file"
    return identifier, kept, state, ends, secret.last_used or "-", networks, secret.limits or "-", secret.note or "-"


def _facts(robot: Robot, stored: StoredSecrets, now: datetime) -> dict[str, Any]:
    return {
        "name": robot.name,
        "subject": robot.subject,
        "description": robot.description,
        "owners": list(robot.owners),
        "file": robot.file,
        "line": robot.line,
        "secrets": [
            {
                "id": one.id,
                "stored": one.is_stored,
                "state": one.state,
                "expires": spell_moment(one.expires),
                "networks": [str(network) for network in one.networks],
                "note": one.note,
                **({"limits": one.limits, "last_used": one.last_used} if one.is_stored else {}),
            }
            for one in _secrets(robot, stored, now)
        ],
    }
