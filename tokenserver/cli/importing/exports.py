"""What the commands for exports share: reading one, and writing the site with a users file that is still empty."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tokenserver.cli.importing.output import print_import, write_import
from tokenserver.cli.importing.registry_section import FOLDER_NAME, section_writer
from tokenserver.config.load import DEFAULT_FILE
from tokenserver.documents.files import read_bounded
from tokenserver.errors import Fault, LoadError
from tokenserver.importers.export_reader import MAX_EXPORT
from tokenserver.importers.new_folder import secret_file, text_file
from tokenserver.importers.policy_text import PolicyText, policy_yaml
from tokenserver.importers.report import ImportReport
from tokenserver.importers.site_text import USERS_NAME, SiteText, site_yaml
from tokenserver.printable import shell_word


def read_export(path: Path) -> bytes:
    """The content of an export.

    Raises:
        LoadError: it cannot be read, or is too large.
    """
    return read_bounded(path, limit=MAX_EXPORT)


def require_a_rule(export: Path, *, is_there: bool) -> None:
    """Refuse an export that grants nothing.

    Raises:
        LoadError: a server would not start with its policies.
    """
    if not is_there:
        message = (
            "grants nothing to anybody, so there is nothing to import; fix: export with an administrator's account"
        )
        raise LoadError([Fault(str(export), 0, "", message)])


def write_site(
    folder: Path, site: SiteText, policies: Mapping[str, PolicyText], report: ImportReport, *, as_json: bool
) -> None:
    """Write the site of an export and print its report.

    Raises:
        LoadError: the folder exists or cannot be written.
    """
    files = {
        DEFAULT_FILE: text_file(site_yaml(site)),
        USERS_NAME: secret_file(b""),
        **{name: text_file(policy_yaml(policy)) for name, policy in policies.items()},
    }
    write_import(folder, files, report, section_writer(None))
    print_import(folder, report, as_json=as_json)


def steps_to_start(folder: Path, url: str) -> list[str]:
    """The last steps, which are the same for every export: the server, and the registry that replaces the old one."""
    site, section = shell_word(folder / DEFAULT_FILE), shell_word(folder / FOLDER_NAME / "auth.yml")
    return [
        f"Clients will log in at {url}; for another URL, import again with --url.",
        f"Start the server: tokenserver serve --config {site}",
        f"Give the section auth in {section}, and the keys beside it, to the registry that gets the images.",
    ]


def steps_for_users(folder: Path, users: int) -> list[str]:
    """The step that gives users their passwords; none where there are no users."""
    if not users:
        return []
    command = f"tokenserver users set NAME --file {shell_word(folder / USERS_NAME)}"
    return [f"Give {users:,} user{'s' if users != 1 else ''} a password: {command}"]


def steps_for_robots(folder: Path, robots: int) -> list[str]:
    """The step that gives robots their secrets; none where there are no robots."""
    if not robots:
        return []
    command = "tokenserver robots secret new NAME --for-file"
    where = f"its line goes into {shell_word(folder / 'policies')}"
    return [f"Give {robots:,} robot{'s' if robots != 1 else ''} a secret: {command} ({where})"]
