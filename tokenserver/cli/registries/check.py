"""`tokenserver registries check`: checks that each registry has suitable keys, and policies that cover it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import click

from tokenserver.cli.console.progress import progress
from tokenserver.cli.exits import NO, WRONG_USE
from tokenserver.cli.options import config_option, exit_with_faults, faults_as_json
from tokenserver.cli.terminal import echo, echo_json
from tokenserver.config.load import load_settings
from tokenserver.errors import LoadError
from tokenserver.server.compose import load_snapshot
from tokenserver.server.registry_keys import registry_warnings, unmentioned_registries


@click.command("check")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@config_option
def registries_check(config: Path | None, as_json: bool) -> None:
    """Check every registry against its keys and the policies.

    Exit code 2: faults that would stop the server from starting (a policy names an unknown registry, a registry cannot
    verify its algorithm); 1: findings that work but are hardly intended (no policy covers a registry); 0: neither.
    """
    try:
        settings = load_settings(config)
        with progress("reading users, policies and keys"):
            snapshot = load_snapshot(settings)
    except LoadError as error:
        if not as_json:
            exit_with_faults(error)
        echo_json({"ok": False, **faults_as_json(error), "registries": []})
        raise SystemExit(WRONG_USE) from error
    found: defaultdict[str, list[str]] = defaultdict(list)
    with progress("checking registries"):
        for service, sentence in (*unmentioned_registries(settings, snapshot), *registry_warnings(settings, snapshot)):
            found[service].append(sentence)
    if as_json:
        facts = [{"service": entry.service, "findings": found[entry.service]} for entry in settings.registries]
        echo_json({"ok": not any(found.values()), "faults": [], "registries": facts}, indent=2)
    else:
        for entry in settings.registries:
            findings = found[entry.service]
            echo(f"{entry.service}: {'ok' if not findings else ''}".rstrip(), fg="yellow" if findings else None)
            for sentence in findings:
                echo(f"  {sentence}")
    if any(found.values()):
        raise SystemExit(NO)
