"""`tokenserver import harbor`: an export of Harbor's API becomes a site with policies for its projects and robots."""

from __future__ import annotations

from datetime import UTC, datetime
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
from tokenserver.importers.harbor.reader import read_harbor
from tokenserver.importers.harbor.sources import user_source
from tokenserver.importers.harbor.translate import translate_harbor
from tokenserver.importers.report import ImportReport
from tokenserver.importers.site_text import SiteChoice, SiteText


@click.command("harbor")
@export_arguments("robot$web+ci")
@site_options
@report_faults
def import_harbor(export: Path, folder: Path, kind: str, choice: SiteChoice, *, as_json: bool) -> None:
    """Make a site in DIR from EXPORT.json, the answers of Harbor's API v2.0 in one document.

    `tokenserver help move-from-harbor` has the script that makes the export. It holds no password and no secret, so
    users and robots get new ones.
    """
    read = read_harbor(read_export(export), str(export))
    result = translate_harbor(read, datetime.now(UTC), robots_as_users=kind == "users")
    require_a_rule(export, is_there=result.grants)
    needing = result.users if read.setting("auth_mode", "db_auth") == "db_auth" else result.user_robots
    source = user_source(read, has_passwords=bool(needing))
    steps = [
        *steps_for_users(folder, len(needing)),
        *steps_for_robots(folder, len(result.robots)),
        *steps_to_start(folder, choice.url),
    ]
    report = ImportReport(str(export), (source.construct, *result.constructs), tuple(steps))
    site = SiteText(str(export), choice, is_anonymous=result.is_anonymous, sources=source.text)
    write_site(folder, site, result.files, report, as_json=as_json)
