"""What the commands of `tokenserver import` share: the new folder with its report, and what they print."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from tokenserver.cli.console.table import aligned
from tokenserver.cli.terminal import echo, echo_json, echo_text
from tokenserver.config.load import DEFAULT_FILE, load_settings
from tokenserver.config.settings import Settings
from tokenserver.importers.new_folder import NewFile, text_file, write_new_folder
from tokenserver.importers.report import Construct, ImportReport
from tokenserver.keys.ring import Algorithm
from tokenserver.keys.store import init_keys
from tokenserver.printable import shell_word
from tokenserver.server.compose import load_snapshot

REPORT_NAME = "REPORT.md"

_MAX_PRINTED = 20
"""Constructs that are printed; the report has all."""


def write_import(
    folder: Path,
    files: Mapping[str, NewFile],
    report: ImportReport,
    add: Callable[[Path, Settings], None] = lambda *_: None,
) -> None:
    """Write the files of an import and its report into a new folder, if a server would start with them.

    Unless the files have keys, new ones are made. `add` is called with the folder and its settings, to add files.

    Raises:
        LoadError: the folder exists or cannot be written, or a file in it is wrong.
    """
    write_new_folder(
        folder,
        {**files, REPORT_NAME: text_file(report.as_markdown())},
        lambda draft: add(draft, _examined(draft)),
    )


def _examined(draft: Path) -> Settings:
    """The settings of a new folder, with which a server would start."""
    settings = load_settings(draft / DEFAULT_FILE, {})
    for keys in settings.key_sets():  # a set that is complete stays
        init_keys(
            keys.folder,
            issuer=keys.issuer,
            algorithm=Algorithm(keys.algorithm or Algorithm.ES256),
            now=datetime.now(UTC),
            lifetime=keys.schedule.certificate_lifetime,
        )
    load_snapshot(settings)
    return settings


def print_import(folder: Path, report: ImportReport, *, as_json: bool) -> None:
    """Print what became of the source: the counts, what needs a look, and the next steps; or the whole as JSON."""
    if as_json:
        echo_json({"folder": str(folder), **report.as_json()})
        return
    echo_text(aligned([(f"{count:,}", str(verdict)) for verdict, count in report.counts().items()] or [("0", "exact")]))
    noteworthy = report.noteworthy()
    for construct in noteworthy[:_MAX_PRINTED]:
        echo()
        echo_text(_shown(construct))
    if len(noteworthy) > _MAX_PRINTED:
        echo()
        echo(f"… and {len(noteworthy) - _MAX_PRINTED:,} more, in {folder / REPORT_NAME}.")
    echo()
    echo(f"Created {folder}; the report is {folder / REPORT_NAME}.", fg="green")
    for number, step in enumerate(report.next_steps, 1):
        echo(f"{number}. {step}")
    echo(f"Next: tokenserver check --config {shell_word(folder / DEFAULT_FILE)}")


def _shown(construct: Construct) -> str:
    said = construct.as_json()
    lines = [f"{said['place']}: {construct.verdict}: {said['text']}"]
    lines += [f"  {said['note']}"] if "note" in said else []
    lines += [f"  answered differently: {said['witness']}"] if "witness" in said else []
    lines += [f"  instead: {said['instead']}"] if "instead" in said else []
    return "\n".join(lines)
