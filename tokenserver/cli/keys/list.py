"""`tokenserver keys list`: the key ring, and what happens to each key next."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from tokenserver.cli.console.table import table
from tokenserver.cli.keys.options import chosen_keys, service_option
from tokenserver.cli.keys.plan import moment
from tokenserver.cli.options import config_option, report_faults
from tokenserver.cli.terminal import echo, echo_json, echo_text
from tokenserver.config.load import load_settings
from tokenserver.keys.expiry import key_warnings
from tokenserver.keys.layout import KeyFolder
from tokenserver.keys.ring import KeyRing, SigningKey
from tokenserver.keys.rotator import rotation_warnings
from tokenserver.keys.schedule import Schedule
from tokenserver.keys.store import load_keys
from tokenserver.printable import shell_word
from tokenserver.server.registry_keys import key_changes


@click.command("list")
@config_option
@service_option
@click.option("--json", "as_json", is_flag=True, help="Print the ring as JSON.")
@report_faults
def keys_list(config: Path | None, service: str | None, as_json: bool) -> None:
    """List the signing keys: state, since when, end of the certificate, and what happens next."""
    settings = load_settings(config)
    keys = chosen_keys(settings, service)
    now = datetime.now(UTC)
    ring = load_keys(keys.folder, now=now, dates=False)
    changes = key_changes(keys)
    warnings = [*key_warnings(ring, now), *rotation_warnings(ring, changes, now)]
    unnamed = KeyFolder(keys.folder).unreferenced([key.id for key in ring.published()])
    warnings.extend(f"{path} belongs to no key of the ring; fix: {_set_aside(path)}" for path in unnamed)
    if as_json:
        rows = [_facts(ring, key, keys.schedule) for key in ring.published()]
        ca = {"not_after": ring.ca_not_after.isoformat(), "key_here": changes.can_issue()}
        echo_json({"keys": rows, "ca": ca, "warnings": warnings})
        return
    heads = ("KEY", "STATE", "ALG", "SINCE", "CERTIFICATE UNTIL", "THEN")
    echo_text(table(heads, [_row(ring, key, keys.schedule) for key in ring.published()]))
    where = "its key is here" if changes.can_issue() else "its key is not here"
    echo(f"token CA until {ring.ca_not_after:%Y-%m-%d}; {where}")
    for other in settings.key_sets():
        if service is None and other.folder != keys.folder:
            name = shell_word(other.registries[0].service)
            echo(f"separate keys in {other.folder}: tokenserver keys list --service {name}")
    for warning in warnings:
        echo(f"warning: {warning}", fg="yellow", err=True)


def _row(ring: KeyRing, key: SigningKey, schedule: Schedule) -> tuple[str, ...]:
    return (
        key.id,
        str(ring.state_of(key.id)),
        key.algorithm,
        f"{key.since:%Y-%m-%d %H:%M}",
        f"{key.not_after:%Y-%m-%d}",
        _then(ring, key, schedule),
    )


def _then(ring: KeyRing, key: SigningKey, schedule: Schedule) -> str:
    """What happens to the key next, and when."""
    match ring.state_of(key.id):
        case "next":
            verb = "may sign" if schedule.pinned else "signs"
            return f"{verb} from {moment(schedule.switch_at(key))}"
        case "retired":
            return f"removed at {moment(schedule.gone_at(key))}"
        case _:
            at = schedule.rotate_at(ring)
            return "signs until: tokenserver keys rotate" if at is None else f"replaced at {moment(at)}"


def _set_aside(path: Path) -> str:
    """The command that moves a file out of the folder of signing keys, and keeps it: it may be needed."""
    return f"mv {shell_word(path)} {shell_word(path.parent.parent / f'{path.name}.unused')}"


def _facts(ring: KeyRing, key: SigningKey, schedule: Schedule) -> dict[str, Any]:
    state = ring.state_of(key.id)
    times = {
        "next": ("switch_at", schedule.switch_at(key)),
        "retired": ("gone_at", schedule.gone_at(key)),
        "active": ("rotate_at", schedule.rotate_at(ring)),
    }
    name, at = times[str(state)]
    return {
        "id": key.id,
        "state": state,
        "algorithm": key.algorithm.value,
        "since": key.since.isoformat(),
        "not_after": key.not_after.isoformat(),
        "thumbprint": key.thumbprint,
        "libtrust_id": key.libtrust_id,
        name: None if at is None else at.isoformat(),
    }
