"""`tokenserver storage check`: looks at everything in the storage, and changes nothing."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import click

from tokenserver.cli.console.progress import progress
from tokenserver.cli.console.table import aligned
from tokenserver.cli.exits import NO
from tokenserver.cli.options import config_option
from tokenserver.cli.storage.site import reporting
from tokenserver.cli.terminal import echo, echo_text
from tokenserver.config.load import load_settings
from tokenserver.config.settings import Settings
from tokenserver.errors import LoadError
from tokenserver.server.stored.opening import check_storage, open_store, storage_warnings


@click.command("check")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@config_option
@reporting
def storage_check(config: Path | None, *, as_json: bool) -> None:
    """Look for damage of the file, older tables, rows that were changed by others, and missing state keys.

    Exit code 0: all is well; 1: there are findings, or the storage does not answer; 2: it cannot be used as configured.
    """
    settings = load_settings(config)
    faults = check_storage(settings)
    if faults:
        raise LoadError(faults)
    from tokenserver.storage.upkeep.inspection import inspect  # noqa: PLC0415 - takes long to import

    with progress("looking at the storage"):
        damage = list(_damage(settings))
        found = None if damage else inspect(open_store(settings), now=time.time())
    findings = [*damage, *storage_warnings(settings), *([] if found is None else found.findings)]
    live = {} if found is None else found.live
    rows = None if found is None else found.rows
    if as_json:
        keys = {str(number): count for number, count in live.items()}
        echo_text(json.dumps({"ok": not findings, "credentials": rows, "live_by_key": keys, "findings": findings}))
    else:
        for finding in findings:
            echo(f"finding: {finding}", fg="red", err=True)
        if rows is not None:
            keyed = [(f"state key {number}", f"{count:,} live") for number, count in live.items()]
            echo_text(aligned([("credentials", f"{rows:,}"), *keyed]))
        if not findings:
            echo("The storage is sound.", fg="green")
    if findings:
        raise SystemExit(NO)


def _damage(settings: Settings) -> Iterator[str]:
    from tokenserver.storage.upkeep.backup import damage_of  # noqa: PLC0415 - takes long to import

    file = None if settings.storage is None else settings.storage.file
    if file is None or not file.exists() or file.stat().st_size == 0:
        return
    try:
        problem = damage_of(file)
    except sqlite3.Error as error:
        problem = str(error)
    if problem is not None:
        yield f"{file} is damaged: {problem}; fix: restore a backup: tokenserver storage restore FILE"
