"""`tokenserver policy matrix`: people by repositories, as a table, as CSV or as a page."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import datetime
from html import escape
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import click

from tokenserver.cli.policy.options import asked_principal, circumstances, policy_command, read_source, table
from tokenserver.cli.terminal import echo, echo_text
from tokenserver.policy.analysis.conditions import Given
from tokenserver.policy.analysis.containment import overlaps
from tokenserver.policy.patterns import parse_pattern
from tokenserver.policy.queries.matrix import Matrix, columns_named, matrix, people_named
from tokenserver.policy.terms import parse_who
from tokenserver.scopes import in_order

MAX_CELLS = 50_000

LEGEND = "p pull, P push, d delete, a all of a registry's resource; * on a part of it, or under a condition"

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Who may do what</title>
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
<h1>Who may do what</h1>
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
@click.option("--format", "form", type=click.Choice(["table", "csv", "html"]), default="table", show_default=True)
@click.option("--who", "people", multiple=True, help="Only this one, such as group:web; repeatable.")
@click.option("--repositories", "patterns", multiple=True, help="Only what meets this pattern; repeatable.")
@circumstances
@policy_command
def policy_matrix(  # noqa: PLR0917 - click hands every option over by its name
    form: str,
    people: Sequence[str],
    patterns: Sequence[str],
    service: str | None,
    client: IPv4Address | IPv6Address | None,
    at: datetime | None,
    config: Path | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Show what everybody whom rules name may do on every pattern that rules name."""
    chosen = [parse_who(one) for one in people]
    wanted = [parse_pattern(one) for one in patterns]
    source = read_source(config, folder)
    given = Given(source.service(service), client, at)
    columns = [
        (rule, pattern)
        for rule, pattern in columns_named(source.policies, given)
        if not wanted
        or (rule.resource_type == "repository" and any(overlaps(pattern, one) is not None for one in wanted))
    ]
    rows = [asked_principal(source.policies, one) for one in chosen] or people_named(source.policies)
    if len(rows) * len(columns) > MAX_CELLS:
        size = f"{len(rows)} people by {len(columns)} patterns"
        raise click.UsageError(f"{size} are too many to look at; choose with --who and --repositories")
    found = matrix(source.policies, rows, columns, given)
    if as_json:
        echo_text(json.dumps(_facts(found), indent=2))
    elif form == "csv":
        echo_text(as_csv(found), nl=False)
    elif form == "html":
        echo_text(as_html(found))
    else:
        echo_text(table(("who", *found.repositories), _rows(found)))
        echo()
        echo(f"{LEGEND}")


def as_csv(found: Matrix) -> str:
    """The matrix as RFC 4180 has it; what a spreadsheet would take for a formula has a quote before it."""
    text = io.StringIO()
    writer = csv.writer(text)
    for row in (["who", *found.repositories], *_rows(found)):
        writer.writerow([f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell for cell in row])
    return text.getvalue()


def as_html(found: Matrix) -> str:
    """The matrix as a page that needs nothing else."""
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
            [{"always": in_order(cell.always), "partly": in_order(cell.partly)} for cell in row] for row in found.cells
        ],
    }
