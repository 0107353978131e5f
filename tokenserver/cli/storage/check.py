"""`tokenserver storage check`: looks at everything in the storage, and changes nothing."""

from __future__ import annotations

import time
from pathlib import Path

import click

from tokenserver.cli.console.progress import progress
from tokenserver.cli.console.table import aligned
from tokenserver.cli.exits import NO
from tokenserver.cli.options import config_option
from tokenserver.cli.storage.site import reporting
from tokenserver.cli.terminal import echo, echo_json, echo_text
from tokenserver.config.load import load_settings
from tokenserver.errors import LoadError
from tokenserver.server.stored.examination import examine_storage
from tokenserver.server.stored.opening import check_storage


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
    with progress("looking at the storage"):
        rows, live, findings, notes = examine_storage(settings, now=time.time())
    if as_json:
        keys = {str(number): count for number, count in live.items()}
        facts = {"ok": not findings, "credentials": rows, "live_by_key": keys, "findings": findings, "notes": notes}
        echo_json(facts)
    else:
        for finding in findings:
            echo(f"finding: {finding}", fg="red", err=True)
        for note in notes:
            echo(f"note: {note}", fg="yellow", err=True)
        if rows is not None:
            keyed = [(f"state key {number}", f"{count:,} live") for number, count in live.items()]
            echo_text(aligned([("credentials", f"{rows:,}"), *keyed]))
        if not findings:
            echo("The storage is sound.", fg="green")
    if findings:
        raise SystemExit(NO)
