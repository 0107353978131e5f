"""The output of `policy diff`: rows as a table, and as Markdown for a comment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tokenserver.cli.console.table import table
from tokenserver.cli.terminal import style
from tokenserver.policy.diff.changed_names import Who
from tokenserver.policy.diff.diff import Difference
from tokenserver.policy.diff.report import (
    DIFF_HEADS,
    administrator_changes,
    diff_lines,
    owner_changes,
    spell_limit,
    summary_of,
)
from tokenserver.policy.diff.rows import DiffRow, spell_one


def spell_table(found: Difference) -> str:
    """The difference for a terminal."""
    parts = []
    for title, colour, rows in (("gains", "green", found.gains), ("losses", "red", found.losses)):
        if rows:
            parts += [style(title, fg=colour, bold=True), _table(rows, found.parts), ""]
    if any(administrator_changes(found)):
        parts += [style("administrators", bold=True), table(_ADMINISTRATOR_HEADS, _administrator_cells(found)), ""]
    if any(owner_changes(found)):
        parts += [style("owners of robots", bold=True), table(_OWNER_HEADS, _owner_cells(found)), ""]
    if found.lifetimes:
        parts += [style("lifetimes", bold=True), table(_LIFETIME_HEADS, _lifetime_cells(found)), ""]
    return "\n".join([*parts, summary_of(found)])


def _table(rows: Iterable[DiffRow], parts: Who) -> str:
    cells = [line.cells() for line in diff_lines(rows, parts)]
    shown = [place for place in range(len(DIFF_HEADS)) if any(line[place] for line in cells)]
    return table([DIFF_HEADS[place] for place in shown], ([line[place] for place in shown] for line in cells))


def spell_markdown(found: Difference) -> str:
    """The difference as Markdown. Text from policies is in code spans, where markup and mentions have no effect."""
    parts = [f"### Policies: {summary_of(found)}", ""]
    for title, rows in (("Gains", found.gains), ("Losses", found.losses)):
        if rows:
            parts += [f"**{title}**", "", f"| {' | '.join(DIFF_HEADS)} |", f"|{'---|' * len(DIFF_HEADS)}"]
            parts += [f"| {' | '.join(map(_code, line.cells()))} |" for line in diff_lines(rows, found.parts)]
            parts.append("")
    if any(administrator_changes(found)):
        parts += ["**Administrators**", "", f"| {' | '.join(_ADMINISTRATOR_HEADS)} |", "|---|---|---|"]
        parts += [f"| {' | '.join(map(_code, cells))} |" for cells in _administrator_cells(found)]
        parts.append("")
    if any(owner_changes(found)):
        parts += ["**Owners of robots**", "", f"| {' | '.join(_OWNER_HEADS)} |", f"|{'---|' * len(_OWNER_HEADS)}"]
        parts += [f"| {' | '.join(map(_code, cells))} |" for cells in _owner_cells(found)]
        parts.append("")
    if found.lifetimes:
        parts += ["**Lifetimes**", "", f"| {' | '.join(_LIFETIME_HEADS)} |", f"|{'---|' * len(_LIFETIME_HEADS)}"]
        parts += [f"| {' | '.join(map(_code, cells))} |" for cells in _lifetime_cells(found)]
    return "\n".join(parts).rstrip()


_ADMINISTRATOR_HEADS = ("change", "who", "by")


def _administrator_cells(found: Difference) -> Iterator[list[str]]:
    for change, one in administrator_changes(found):
        yield [change, spell_one(one.who), ", ".join(map(str, one.entries))]


_OWNER_HEADS = ("change", "robot", "who", "by")


def _owner_cells(found: Difference) -> Iterator[list[str]]:
    for change, one in owner_changes(found):
        yield [change, one.robot, spell_one(one.who), ", ".join(map(str, one.entries))]


_LIFETIME_HEADS = ("tokens by the rules of", "lived at most", "live at most")


def _lifetime_cells(found: Difference) -> Iterator[list[str]]:
    for one in found.lifetimes:
        yield [one.file, spell_limit(one.old), spell_limit(one.new)]


def _code(text: str) -> str:
    harmless = text.replace("`", "'").replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
    return f"`{harmless}`" if text else ""
