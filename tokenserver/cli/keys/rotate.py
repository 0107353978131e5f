"""`tokenserver keys rotate` and `keys retire`: replace the key that signs, and drop keys."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import click

from tokenserver.cli.keys.options import chosen_keys, service_option
from tokenserver.cli.keys.plan import moment, rotation_plan
from tokenserver.cli.options import WRONG_USE, config_option, tell_faults
from tokenserver.cli.output_files import write_secret
from tokenserver.cli.terminal import echo, echo_text
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

EXIT_NO = 1

_DONE = {
    RotationStep.PREPARE: "Made the key {} and published it as next.",
    RotationStep.SWITCH: "The key {} signs from now on.",
    RotationStep.FORGET: "Dropped the key {}.",
}


@click.command()
@config_option
@service_option
@click.option("--plan", is_flag=True, help="Only print what is to be done and when; change nothing.")
@click.option("--now", "at_once", is_flag=True, help="Let the next key sign at once, whoever does not know it yet.")
@click.option("--emergency", is_flag=True, help="A key leaked: drop it at once and sign with another.")
@click.option("--key", "key_id", metavar="ID", help="With --emergency: the key that leaked, if not the active one.")
@click.option(
    "--algorithm", type=click.Choice([algorithm.value for algorithm in Algorithm]), help="For the new key; else as now."
)
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Make a key for a server elsewhere, in this file; only the token CA is needed here.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@tell_faults
def rotate(  # noqa: PLR0917 - click hands in one argument for each option
    config: Path | None,
    service: str | None,
    plan: bool,
    at_once: bool,
    emergency: bool,
    key_id: str | None,
    algorithm: str | None,
    target: Path | None,
    as_json: bool,
) -> None:
    """Replace the key that signs.

    The first call makes the next key, publishes it and prints the plan. When the time of the plan has come, the
    running server lets it sign, or where registries pin keys, the second call does. Earlier it is refused (exit 1).
    """
    keys = chosen_keys(load_settings(config), service)
    if [plan, at_once, emergency, target is not None].count(True) > 1:
        _refuse("--plan, --now, --emergency and --to exclude each other", WRONG_USE)
    if key_id is not None and not emergency:
        _refuse("--key goes with --emergency alone", WRONG_USE)
    chosen = None if algorithm is None else Algorithm(algorithm)
    if chosen is not None:
        _check_algorithm(keys, chosen)
    now = datetime.now(UTC)
    changes = key_changes(keys)
    if target is not None:
        _make_for_elsewhere(keys, target, chosen or changes.algorithm or Algorithm.ES256, now)
        return
    if plan:
        _tell_plan(keys, load_keys(keys.folder, now=now, dates=False), now, as_json=as_json, change=None)
        return
    try:
        change = changes.emergency(now, key_id) if emergency else _rotate(changes, chosen, now, at_once=at_once)
    except RingOperationRefused as error:
        _refuse(str(error), EXIT_NO)
    if emergency:
        _tell_emergency(keys, change, as_json=as_json)
        return
    _tell_plan(keys, change.ring, now, as_json=as_json, change=change)


@click.command()
@click.argument("key_id", metavar="ID")
@config_option
@service_option
@click.option("--now", "at_once", is_flag=True, help="Also while tokens of this key live.")
@tell_faults
def retire(key_id: str, config: Path | None, service: str | None, at_once: bool) -> None:
    """Drop a key that does not sign: withdraw a next one, or stop publishing a retired one (exit 1: too early)."""
    keys = chosen_keys(load_settings(config), service)
    try:
        change = key_changes(keys).retire(key_id, datetime.now(UTC), early=at_once)
    except RingOperationRefused as error:
        _refuse(str(error), EXIT_NO)
    echo(_DONE[change.step].format(change.key_id))


def _rotate(changes: RingOperations, algorithm: Algorithm | None, now: datetime, *, at_once: bool) -> RingChange:
    """One step further: make the next key, or let it sign. Both at once, where there is nothing to wait for."""
    ring = load_keys(changes.folder, now=now, dates=False)
    made = None if ring.next else changes.prepare(now, algorithm)
    if made is not None and not at_once and now < ring.active.not_after:
        return made
    return changes.switch(now, early=at_once)


def _make_for_elsewhere(keys: KeySet, target: Path, algorithm: Algorithm, now: datetime) -> None:
    lifetime = keys.schedule.certificate_lifetime
    place = KeyFolder(keys.folder)
    pair = issue_pair(place, issuer=keys.issuer, algorithm=algorithm, lifetime=lifetime, now=now)
    write_secret(target, pair.key_pem + pair.certificate_pem)
    echo(f"Made the key {pair.id} ({algorithm}) in {target}. It is secret: carry it over a safe way.")
    echo(f"Next, at the server: tokenserver keys import {shell_word(target.name)}, and remove the file everywhere")


def _tell_plan(keys: KeySet, ring: KeyRing, now: datetime, *, as_json: bool, change: RingChange | None) -> None:
    schedule = keys.schedule
    is_over = change is not None and change.step is RotationStep.SWITCH
    steps = [] if is_over else rotation_plan(ring, schedule, keys.registries, now)
    if as_json:
        switch_at = schedule.switch_at(ring.next[0]).isoformat() if ring.next else None
        done = None if change is None else {"step": change.step.value, "key": change.key_id}
        echo_text(json.dumps({"done": done, "active": ring.active.id, "switch_at": switch_at, "plan": steps}))
        return
    if change is not None:
        echo(_DONE[change.step].format(change.key_id), fg="green")
    if is_over:
        for key in ring.retired:
            echo(f"The key {key.id} stays published until {moment(schedule.gone_at(key))}.")
    for number, step in enumerate(steps, start=1):
        echo(f"{number}. {step}")


def _tell_emergency(keys: KeySet, change: RingChange, *, as_json: bool) -> None:
    pinned = [registry.service for registry in keys.registries if registry.compat != "universal"]
    ca = [registry.service for registry in keys.registries if registry.compat == "universal"]
    steps = []
    if pinned:
        steps.append(
            f"Bring the new file of keys to {', '.join(pinned)} and restart them (tokenserver registry-config … --write"
            " DIR): until then they refuse new tokens and still take those of the dropped key"
        )
    if ca:
        steps.append(
            f"{', '.join(ca)}: registries that trust the token CA ask nobody about a key, so whoever has the dropped"
            " one can go on until its certificate ends. If that must not be, replace the CA as well: docs/keys.md,"
            ' "A key has leaked"'
        )
    if as_json:
        facts = {"done": {"step": "emergency", "key": change.key_id}, "active": change.ring.active.id, "plan": steps}
        echo_text(json.dumps(facts))
        return
    echo(f"Dropped the key {change.key_id}; the key {change.ring.active.id} signs from now on.", fg="green")
    for number, step in enumerate(steps, start=1):
        echo(f"{number}. {step}")


def _check_algorithm(keys: KeySet, algorithm: Algorithm) -> None:
    if keys.wanted is not None and keys.algorithm != algorithm.value:
        _refuse(f"registry {keys.wanted.service}: has algorithm: {keys.algorithm}; change that setting too", WRONG_USE)
    for registry in keys.registries:
        problem = compat_problem(algorithm, Compat(registry.compat))
        if problem is not None:
            _refuse(f"registry {registry.service}: {problem}", WRONG_USE)


def _refuse(message: str, code: int) -> NoReturn:
    echo(message, fg="red", err=True)
    raise SystemExit(code)
