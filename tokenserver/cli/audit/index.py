"""`tokenserver audit index`: events of files into an indexed store, each once."""

from __future__ import annotations

from pathlib import Path

import click

from tokenserver.audit.store.indexer import indexer_of
from tokenserver.cli.audit.options import files_or_input
from tokenserver.cli.console.progress import progress
from tokenserver.cli.options import report_errors
from tokenserver.cli.terminal import echo, echo_json


@click.command("index")
@click.argument("files", nargs=-1, metavar="[FILES]...")
@click.option(
    "--into", "store", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The file of the store."
)
@click.option("--json", "as_json", is_flag=True, help="Print what was added as JSON.")
@report_errors(is_usage=True)
def audit_index(files: tuple[str, ...], store: Path, as_json: bool) -> None:
    """Add the events of files to an indexed store, for `--store` of the other commands.

    `tokenserver audit index audit*.jsonl* --into audit.db`. Run it again whenever there is more: what the store has is
    skipped, also in files that were renamed or compressed since. The store holds whole events; only its owner can read
    it.
    """
    named = files_or_input(files)
    with indexer_of(store) as indexer, progress("indexing", indexer.spell):
        indexer.add_files(named)
    if as_json:
        facts = {"added": indexer.added, "known": indexer.known, "other_lines": indexer.other_lines}
        echo_json({**facts, "read_bytes": indexer.read_bytes, "skipped_bytes": indexer.skipped_bytes})
        return
    echo(f"{indexer.added:,} new events, {indexer.known:,} were there; {store} has {store.stat().st_size:,} bytes")
    if indexer.other_lines:
        echo(f"{indexer.other_lines:,} lines are no audit events", err=True)
