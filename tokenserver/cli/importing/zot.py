"""`tokenserver import zot`: the users and the `accessControl` of zot become a site that zot trusts."""

from __future__ import annotations

from pathlib import Path

import click

from tokenserver.cli.importing.exports import read_export, require_a_rule
from tokenserver.cli.importing.options import site_options
from tokenserver.cli.importing.output import print_import, write_import
from tokenserver.cli.importing.registry_section import FOLDER_NAME, section_writer
from tokenserver.cli.importing.users_files import find_users_file, read_users
from tokenserver.cli.options import report_faults
from tokenserver.config.load import DEFAULT_FILE
from tokenserver.importers.new_folder import secret_file, text_file
from tokenserver.importers.policy_text import policy_yaml
from tokenserver.importers.report import Construct, ImportReport, Verdict
from tokenserver.importers.site_text import USERS_NAME, SiteChoice, SiteText, site_yaml
from tokenserver.importers.users_file.translate import users_policy, users_report
from tokenserver.importers.users_file.users import RegistryUsers
from tokenserver.importers.zot.reader import ZotAccess, read_zot_access
from tokenserver.importers.zot.translate import ZotPolicies, translate_zot
from tokenserver.printable import shell_word


@click.command("zot")
@click.argument("config", metavar="CONFIG.json", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--users",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The users file, where the path in CONFIG.json is not one on this machine.",
)
@click.option("--trust", type=click.Path(path_type=Path), help="Path of the trusted keys on the registry.")
@site_options
@report_faults
def import_zot(
    config: Path, folder: Path, users: Path | None, trust: Path | None, choice: SiteChoice, *, as_json: bool
) -> None:
    """Make a site in DIR from CONFIG.json, the configuration of zot.

    Users of its htpasswd file keep their passwords. accessControl becomes policies: the longest pattern that matches
    decides in zot, and each rule leaves out the names of longer ones. DIR/registry has the section for zot.
    """
    access = read_zot_access(read_export(config), str(config))
    if users is None and access.users_file:
        users = find_users_file(access.users_file, config, str(config), "http.auth.htpasswd.path")
    taken = RegistryUsers("", (), ()) if users is None else read_users(users)
    steps = _next_steps(folder, config, choice)
    if access.has_access_control:
        result = translate_zot(access)
        constructs = (*result.constructs, *taken.constructs)
    else:
        result = ZotPolicies(users_policy(taken), (), is_anonymous=False)
        constructs = users_report(str(config), f"{config}: http.auth", taken, steps).constructs
    require_a_rule(config, is_there=bool(result.policy.allow))
    report = ImportReport(str(config), (*constructs, *_other_users(access)), tuple(steps))
    site = SiteText(str(config), choice, compat="zot", is_anonymous=result.is_anonymous)
    files = {
        DEFAULT_FILE: text_file(site_yaml(site)),
        USERS_NAME: secret_file(taken.text.encode()),
        "policies/zot.yaml": text_file(policy_yaml(result.policy)),
    }
    write_import(folder, files, report, section_writer(trust))
    print_import(folder, report, as_json=as_json)


def _other_users(access: ZotAccess) -> list[Construct]:
    """The user sources other than a file."""
    instead = {
        "ldap": "a source ldap: tokenserver help ldap",
        "openid": "a source oidc: tokenserver help single-sign-on",
        "apikey": "access keys: tokenserver help access-keys",
    }
    note = "users of this kind are not taken over"
    return [
        Construct(f"{access.file}: http.auth.{name}", name, Verdict.NOT_TRANSLATED, note, instead[name])
        for name in access.other_users
    ]


def _next_steps(folder: Path, config: Path, choice: SiteChoice) -> list[str]:
    section = shell_word(folder / FOLDER_NAME / "auth.json")
    switch = f"In {shell_word(config)}, put http.auth of {section} in place of http.auth, and remove http.accessControl"
    return [
        f"Clients will log in at {choice.url}; for another URL, import again with --url.",
        f"Start the server: tokenserver serve --config {shell_word(folder / DEFAULT_FILE)}",
        f"{switch}: zot does not apply it to tokens.",
        "Copy the file that http.auth.bearer.cert names from the same folder to zot, and restart zot.",
        "zot before 2.1.3 verifies RSA keys alone: see tokenserver help connect-a-registry.",
    ]
