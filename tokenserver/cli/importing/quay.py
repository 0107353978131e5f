"""`tokenserver import quay`: an export of Quay's API becomes a site with policies for its teams, users and robots."""

from __future__ import annotations

from pathlib import Path

import click

from tokenserver.cli.importing.exports import (
    read_export,
    require_a_rule,
    steps_for_robots,
    steps_for_users,
    steps_to_start,
    write_site,
)
from tokenserver.cli.importing.options import export_arguments, site_options
from tokenserver.cli.options import report_faults
from tokenserver.importers.quay.reader import read_quay
from tokenserver.importers.quay.translate import translate_quay
from tokenserver.importers.report import ImportReport
from tokenserver.importers.site_text import SiteChoice, SiteText


@click.command("quay")
@export_arguments("web+ci")
@site_options
@report_faults
def import_quay(export: Path, folder: Path, kind: str, choice: SiteChoice, *, as_json: bool) -> None:
    """Make a site in DIR from EXPORT.json, the answers of Quay's API in one document.

    `tokenserver help move-from-quay` has the script that makes the export. It holds no password and no token, so users
    and robots get new ones.
    """
    result = translate_quay(read_quay(read_export(export), str(export)), robots_as_users=kind == "users")
    require_a_rule(export, is_there=result.grants)
    steps = [
        *steps_for_users(folder, len(result.users)),
        *steps_for_robots(folder, len(result.robots)),
        *steps_to_start(folder, choice.url),
    ]
    report = ImportReport(str(export), result.constructs, tuple(steps))
    site = SiteText(str(export), choice, is_anonymous=result.is_anonymous)
    write_site(folder, site, {"policies/quay.yaml": result.policy}, report, as_json=as_json)
