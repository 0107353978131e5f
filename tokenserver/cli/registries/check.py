"""`tokenserver registries check`: whether keys suit every registry, and policies speak for it."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import click

from tokenserver.cli.options import WRONG_USE, config_option, fault_facts, refuse
from tokenserver.cli.terminal import echo, echo_text
from tokenserver.config.load import load_settings
from tokenserver.errors import LoadError
from tokenserver.server.compose import load_snapshot
from tokenserver.server.registry_keys import registry_warnings, unmentioned_registries

FINDINGS = 1


@click.command("check")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@config_option
def registries_check(config: Path | None, as_json: bool) -> None:
    """Check every registry against its keys and the policies.

    What would refuse the start (a name in a policy that no registry has, an algorithm that a registry cannot verify) is
    exit code 2. What works but is hardly meant (a registry that no policy speaks for) is exit code 1.
    """
    try:
        settings = load_settings(config)
        snapshot = load_snapshot(settings)
    except LoadError as error:
        if not as_json:
            refuse(error)
        echo_text(json.dumps({"ok": False, **fault_facts(error), "registries": []}))
        raise SystemExit(WRONG_USE) from error
    found: defaultdict[str, list[str]] = defaultdict(list)
    for service, sentence in (*unmentioned_registries(settings, snapshot), *registry_warnings(settings, snapshot)):
        found[service].append(sentence)
    if as_json:
        facts = [{"service": entry.service, "findings": found[entry.service]} for entry in settings.registries]
        echo_text(json.dumps({"ok": not any(found.values()), "faults": [], "registries": facts}, indent=2))
    else:
        for entry in settings.registries:
            findings = found[entry.service]
            echo(f"{entry.service}: {'ok' if not findings else ''}".rstrip(), fg="yellow" if findings else None)
            for sentence in findings:
                echo(f"  {sentence}")
    if any(found.values()):
        raise SystemExit(FINDINGS)
