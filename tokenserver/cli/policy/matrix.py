"""`tokenserver policy matrix`: principals by repositories, as a table, CSV or an HTML page."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from html import escape
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import click

from tokenserver.cli.console.progress import progress, steps_of
from tokenserver.cli.console.table import folded
from tokenserver.cli.policy.asked_names import asked_pattern, chosen_service
from tokenserver.cli.policy.client.machines import require_declared
from tokenserver.cli.policy.client.name_notes import notes_on_principal
from tokenserver.cli.policy.options import asked_principal, circumstances, policy_command, read_source, revision_option
from tokenserver.cli.terminal import echo, echo_json, echo_text, width
from tokenserver.patterns import parse_pattern
from tokenserver.policy.analysis.conditions import Given
from tokenserver.policy.analysis.containment import overlaps
from tokenserver.policy.budget import command_budget
from tokenserver.policy.queries.matrix import LEGEND, Matrix, columns_named, matrix, people_named
from tokenserver.policy.terms import parse_who
from tokenserver.scopes import in_order

MAX_CELLS = 50_000

COLUMNS = 100
"""Of a table that is not printed to a terminal."""

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Who can do what</title>
<style>
body {{ font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #1b1b1b; background: #fff; }}
table {{ border-collapse: collapse; }}
th, td {{ border: 1px solid #b8b8b8; padding: .3em .6em; text-align: left; white-space: nowrap; }}
thead th {{ position: sticky; top: 0; background: #eef2f7; }}
tbody th {{ position: sticky; left: 0; background: #eef2f7; font-weight: 600; }}
td {{ font-family: ui-monospace, monospace; }}
</style>
</head>
<body>
<h1>Who can do what</h1>
<p>{legend}</p>
<table>
<thead><tr><th scope="col">who</th>{heads}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</body>
</html>"""


@click.command("matrix")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "html"]),
    default="table",
    show_default=True,
    help="Output format.",
)
@click.option("--who", "people", multiple=True, help="Only this principal, such as group:web; repeatable.")
@click.option("--repositories", "patterns", multiple=True, help="Only patterns that overlap this one; repeatable.")
@circumstances
@revision_option
@policy_command
def policy_matrix(  # noqa: PLR0917 - click passes options by name
    form: str,
    people: Sequence[str],
    patterns: Sequence[str],
    service: str | None,
    client: IPv4Address | IPv6Address | None,
    at: datetime | None,
    revision: str | None,
    config: Path | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Show what every principal in the rules can do on every repository pattern in the rules."""
    chosen = [parse_who(one) for one in people]
    with progress("reading policies"):
        source = read_source(config, folder, revision)
    for principal in chosen:
        require_declared(source.policies, principal)
    named = [asked_pattern(source, one, service) for one in patterns]
    wanted = [parse_pattern(one.name) for one in named]
    given = Given(chosen_service(source, named, service), client, at)
    columns = [
        (rule, pattern)
        for rule, pattern in columns_named(source.policies, given)
        if not wanted
        or (rule.resource_type == "repository" and any(overlaps(pattern, one) is not None for one in wanted))
    ]
    rows = [asked_principal(source.policies, one) for one in chosen] or people_named(source.policies)
    if len(rows) * len(columns) > MAX_CELLS:
        size = f"{len(rows)} people by {len(columns)} patterns"
        raise click.UsageError(f"{size} are too many; fix: choose with --who and --repositories")
    budget = command_budget(source.policies.rule_count)
    with progress("filling in the matrix", steps_of(budget)):
        found = matrix(source.policies, rows, columns, given, budget)
    source.print_revision()
    for one in named:
        one.print_note()
    for principal in rows if chosen else ():
        for note in notes_on_principal(source, principal, (), given.service):
            echo(note, err=True)
    if as_json:
        echo_json(_facts(found), indent=2)
    elif form == "csv":
        echo_text(as_csv(found), nl=False)
    elif form == "html":
        echo_text(as_html(found))
    else:
        echo_text(folded(("who", *found.repositories), _rows(found), width(COLUMNS)))
        echo()
        for line in LEGEND.splitlines():
            echo(line)


def as_csv(found: Matrix) -> str:
    """The matrix as CSV (RFC 4180); cells that a spreadsheet would run as a formula start with a quote."""
    text = io.StringIO()
    writer = csv.writer(text)
    for row in (["who", *found.repositories], *_rows(found)):
        writer.writerow([f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell for cell in row])
    return text.getvalue()


def as_html(found: Matrix) -> str:
    """The matrix as a self-contained HTML page."""
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in found.repositories)
    rows = "\n".join(
        f'<tr><th scope="row">{escape(head)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for head, *cells in _rows(found)
    )
    return _PAGE.format(legend=escape(LEGEND), heads=heads, rows=rows)


def _rows(found: Matrix) -> list[list[str]]:
    return [[str(who), *map(str, cells)] for who, cells in zip(found.people, found.cells, strict=True)]


def _facts(found: Matrix) -> dict[str, object]:
    return {
        "people": [str(one) for one in found.people],
        "repositories": list(found.repositories),
        "cells": [
            [
                {
                    "always": in_order(cell.always),
                    "partly": in_order(cell.partly),
                    "for_some": in_order(cell.for_some),
                }
                for cell in row
            ]
            for row in found.cells
        ],
    }
