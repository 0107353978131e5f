"""`tokenserver robots list` and `show`: the declared robots, their owners, and when their secrets end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from tokenserver.access_keys import DeclaredSecret
from tokenserver.cli.console.table import aligned, table
from tokenserver.cli.exits import NO
from tokenserver.cli.options import exit_with
from tokenserver.cli.policy.options import policy_command, read_source, revision_option
from tokenserver.cli.terminal import echo, echo_text
from tokenserver.documents.document import nearest
from tokenserver.policy.analysis.conditions import spell_moment
from tokenserver.policy.machines.robots import Robot

SOON = timedelta(days=14)
"""A secret that ends within this time is marked."""

ACTIVE, EXPIRES_SOON, EXPIRED = "active", "expires soon", "expired"
"""The states of a secret."""


@click.command("list")
@revision_option
@policy_command
def robots_list(revision: str | None, config: Path | None, folder: Path | None, as_json: bool) -> None:
    """List the declared robots with their owners and secrets; of a secret the id, the end and the networks."""
    source = read_source(config, folder, revision)
    robots = [robot for _, robot in sorted(source.policies.robots.items())]
    now = datetime.now(UTC)
    if as_json:
        echo_text(json.dumps({**source.revision_facts(), "robots": [_facts(robot, now) for robot in robots]}))
        return
    source.print_revision()
    if not robots:
        echo("The policies declare no robots.", err=True)
        return
    heads = ("ROBOT", "SECRET", "STATE", "ENDS", "NETWORKS", "OWNERS", "DESCRIPTION")
    echo_text(table(heads, [row for robot in robots for row in _rows(robot, now)]))


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
    if as_json:
        echo_text(json.dumps({**source.revision_facts(), **_facts(robot, now)}))
        return
    source.print_revision()
    facts = [("name", robot.name), ("subject", robot.subject), ("description", robot.description)]
    facts += [("owners", ", ".join(robot.owners)), ("declared in", f"{robot.file}:{robot.line}")]
    echo_text(aligned([(head, value or "-") for head, value in facts]))
    echo()
    if robot.secrets:
        heads = ("SECRET", "STATE", "ENDS", "NETWORKS", "NOTE")
        echo_text(table(heads, [(*_cells(one, now), one.note or "-") for one in robot.secrets]))
    else:
        echo(f"No secrets. Make one: tokenserver robots secret new {robot.name} --for-file")


def state_of(secret: DeclaredSecret, now: datetime) -> str:
    """The state at `now`."""
    if secret.is_expired(now):
        return EXPIRED
    return EXPIRES_SOON if secret.is_expired(now + SOON) else ACTIVE


def _rows(robot: Robot, now: datetime) -> list[Sequence[str]]:
    """A row for each secret, or one without; the robot's own cells are in the first."""
    secrets: list[Sequence[str]] = [_cells(one, now) for one in robot.secrets] or [("-", "-", "-", "-")]
    own = (robot.name, ", ".join(robot.owners) or "-", robot.description or "-")
    return [(own[0], *cells, *own[1:]) if number == 0 else ("", *cells, "", "") for number, cells in enumerate(secrets)]


def _cells(secret: DeclaredSecret, now: datetime) -> tuple[str, str, str, str]:
    networks = ", ".join(map(str, secret.networks)) or "any"
    return secret.id, state_of(secret, now), spell_moment(secret.expires), networks


def _facts(robot: Robot, now: datetime) -> dict[str, Any]:
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
                "state": state_of(one, now),
                "expires": spell_moment(one.expires),
                "networks": [str(network) for network in one.networks],
                "note": one.note,
            }
            for one in robot.secrets
        ],
    }
