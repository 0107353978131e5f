"""`tokenserver keys rotate` and `keys retire`: replace the key that signs, and drop keys."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from tokenserver.cli.exits import NO
from tokenserver.cli.keys.options import chosen_keys, service_option
from tokenserver.cli.keys.plan import moment, rotation_plan
from tokenserver.cli.options import config_option, exit_with, report_faults
from tokenserver.cli.output_files import write_secret
from tokenserver.cli.terminal import echo, echo_json
from tokenserver.config.load import load_settings
from tokenserver.config.settings import KeySet
from tokenserver.keys.key_pair import issue_pair
from tokenserver.keys.layout import KeyFolder
from tokenserver.keys.ring import Algorithm, KeyRing
from tokenserver.keys.ring_operations import RingChange, RingOperationRefused, RingOperations
from tokenserver.keys.schedule import RotationStep
from tokenserver.keys.store import load_keys
from tokenserver.printable import shell_word
from tokenserver.server.registry_keys import key_changes
from tokenserver.tokens.claims import Compat
from tokenserver.tokens.jose_header import compat_problem

_DONE = {
    RotationStep.PREPARE: "Created the key {} and published it as next.",
    RotationStep.SWITCH: "The key {} signs from now on.",
    RotationStep.FORGET: "Dropped the key {}.",
}


@click.command("rotate")
@config_option
@service_option
@click.option("--plan", is_flag=True, help="Only print the steps that are left and when they are due.")
@click.option("--now", "early", is_flag=True, help="Sign with the next key now, even if registries do not know it yet.")
@click.option("--emergency", is_flag=True, help="A key leaked: drop it now and sign with another.")
@click.option("--key", "key_id", metavar="ID", help="With --emergency: the leaked key.  [default: the active key]")
@click.option(
    "--algorithm",
    type=click.Choice([algorithm.value for algorithm in Algorithm]),
    help="For the new key.  [default: as the current key]",
)
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Create a key for another server in this file; needs only the token CA here.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@report_faults
def keys_rotate(  # noqa: PLR0917 - click passes options by name
    config: Path | None,
    service: str | None,
    plan: bool,
    early: bool,
    emergency: bool,
    key_id: str | None,
    algorithm: str | None,
    target: Path | None,
    as_json: bool,
) -> None:
    """Replace the key that signs.

    The first call creates the next key, publishes it and prints the plan. When the planned time has come, the running
    server switches to it by itself; if registries pin keys, a second call switches. Before that time, the second call
    is rejected (exit code 1).
    """
    keys = chosen_keys(load_settings(config), service)
    if [plan, early, emergency, target is not None].count(True) > 1:
        exit_with("--plan, --now, --emergency and --to exclude each other")
    if key_id is not None and not emergency:
        exit_with("--key needs --emergency")
    chosen = None if algorithm is None else Algorithm(algorithm)
    if chosen is not None:
        _check_algorithm(keys, chosen)
    now = datetime.now(UTC)
    changes = key_changes(keys)
    if target is not None:
        _create_for_another_server(keys, target, chosen or changes.algorithm or Algorithm.ES256, now)
        return
    if plan:
        _print_plan(keys, load_keys(keys.folder, now=now, dates=False), now, as_json=as_json, change=None)
        return
    try:
        change = changes.emergency(now, key_id) if emergency else _rotate(changes, chosen, now, early=early)
    except RingOperationRefused as error:
        exit_with(str(error), NO)
    if emergency:
        _print_emergency(keys, change, as_json=as_json)
        return
    _print_plan(keys, change.ring, now, as_json=as_json, change=change)


@click.command("retire")
@click.argument("key_id", metavar="ID")
@config_option
@service_option
@click.option("--now", "early", is_flag=True, help="Even if tokens of this key are still valid.")
@report_faults
def keys_retire(key_id: str, config: Path | None, service: str | None, early: bool) -> None:
    """Drop a key that does not sign: withdraw a next key, or stop publishing a retired one.

    Exit code 1: too early, because tokens of the key are still valid.
    """
    keys = chosen_keys(load_settings(config), service)
    try:
        change = key_changes(keys).retire(key_id, datetime.now(UTC), early=early)
    except RingOperationRefused as error:
        exit_with(str(error), NO)
    echo(_DONE[change.step].format(change.key_id))


def _rotate(changes: RingOperations, algorithm: Algorithm | None, now: datetime, *, early: bool) -> RingChange:
    """Take the next step: create a key, or switch to it. Both in one go where there is nothing to wait for."""
    ring = load_keys(changes.folder, now=now, dates=False)
    created = None if ring.next else changes.prepare(now, algorithm)
    if created is not None and not early and now < ring.active.not_after:
        return created
    return changes.switch(now, early=early)


def _create_for_another_server(keys: KeySet, target: Path, algorithm: Algorithm, now: datetime) -> None:
    lifetime = keys.schedule.certificate_lifetime
    folder = KeyFolder(keys.folder)
    pair = issue_pair(folder, issuer=keys.issuer, algorithm=algorithm, lifetime=lifetime, now=now)
    write_secret(target, pair.key_pem + pair.certificate_pem)
    echo(f"Created the key {pair.id} ({algorithm}) in {target}. The file is secret: transfer it securely.")
    echo(f"Next, on the server: tokenserver keys import {shell_word(target.name)}; then delete every copy of the file")


def _print_plan(keys: KeySet, ring: KeyRing, now: datetime, *, as_json: bool, change: RingChange | None) -> None:
    schedule = keys.schedule
    is_finished = change is not None and change.step is RotationStep.SWITCH
    steps = [] if is_finished else rotation_plan(ring, schedule, keys.registries, now)
    if as_json:
        switch_at = schedule.switch_at(ring.next[0]).isoformat() if ring.next else None
        done = None if change is None else {"step": change.step.value, "key": change.key_id}
        echo_json({"done": done, "active": ring.active.id, "switch_at": switch_at, "plan": steps})
        return
    if change is not None:
        echo(_DONE[change.step].format(change.key_id), fg="green")
    if is_finished:
        for key in ring.retired:
            echo(f"The key {key.id} stays published until {moment(schedule.gone_at(key))}.")
    _print_steps(steps)


def _print_emergency(keys: KeySet, change: RingChange, *, as_json: bool) -> None:
    pinned = [registry.service for registry in keys.registries if registry.compat != "universal"]
    ca = [registry.service for registry in keys.registries if registry.compat == "universal"]
    steps = []
    if pinned:
        steps.append(
            f"Install the new file of keys at {', '.join(pinned)} and restart them (tokenserver registry-config …"
            " --write DIR): until then they reject new tokens and still accept those of the dropped key"
        )
    if ca:
        steps.append(
            f"{', '.join(ca)}: registries that trust the token CA cannot learn that a key was dropped, so an attacker"
            " can use it until its certificate expires. To prevent that, replace the CA as well:"
            ' tokenserver help keys, "A key has leaked"'
        )
    if as_json:
        facts = {"done": {"step": "emergency", "key": change.key_id}, "active": change.ring.active.id, "plan": steps}
        echo_json(facts)
        return
    echo(f"Dropped the key {change.key_id}; the key {change.ring.active.id} signs from now on.", fg="green")
    _print_steps(steps)


def _print_steps(steps: list[str]) -> None:
    for number, step in enumerate(steps, start=1):
        echo(f"{number}. {step}")


def _check_algorithm(keys: KeySet, algorithm: Algorithm) -> None:
    """Reject an algorithm with which the server would not load the keys."""
    if keys.wanted is not None and keys.algorithm != algorithm.value:
        exit_with(f"registry {keys.wanted.service}: has algorithm: {keys.algorithm}; fix: change that setting too")
    for registry in keys.registries:
        problem = compat_problem(algorithm, Compat(registry.compat))
        if problem is not None:
            exit_with(f"registry {registry.service}: {problem}")
