"""`tokenserver import htpasswd-registry`: a registry that checks a users file becomes one that trusts this server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from tokenserver.cli.importing.options import site_options
from tokenserver.cli.importing.output import print_import, write_import
from tokenserver.cli.importing.registry_section import FOLDER_NAME, section_writer
from tokenserver.cli.importing.users_files import find_users_file, read_text, read_users
from tokenserver.cli.options import report_faults
from tokenserver.config.load import DEFAULT_FILE
from tokenserver.doctor.facts import Setup
from tokenserver.doctor.registry.distribution import MAX_TEXT, parse_environment, read_distribution
from tokenserver.errors import Fault, LoadError
from tokenserver.importers.new_folder import secret_file, text_file
from tokenserver.importers.policy_text import policy_yaml
from tokenserver.importers.site_text import USERS_NAME, SiteChoice, SiteText, site_yaml
from tokenserver.importers.users_file.translate import users_policy, users_report
from tokenserver.printable import shell_word

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("htpasswd-registry")
@click.argument("config", metavar="CONFIG.yml", type=_FILE)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--users", type=_FILE, help="The users file, where the path in CONFIG.yml is not one on this machine.")
@click.option("--env", "environment", type=_FILE, help="A file with the registry's REGISTRY_… variables.")
@click.option("--trust", type=click.Path(path_type=Path), help="Path of the trusted keys on the registry.")
@site_options
@report_faults
def import_htpasswd_registry(  # noqa: PLR0917 - click passes options by name
    config: Path,
    folder: Path,
    users: Path | None,
    environment: Path | None,
    trust: Path | None,
    choice: SiteChoice,
    *,
    as_json: bool,
) -> None:
    """Make a site in DIR from CONFIG.yml, the configuration of a Distribution registry with auth: htpasswd.

    Users keep their passwords, and what they may do: everything. DIR/registry has the registry's new section auth.
    """
    setup = _setup(config, environment)
    if users is None:
        users = _users_file(setup, config)
    taken = read_users(users)
    if choice.service == "registry" and setup.uses.host:
        choice = replace(choice, service=setup.uses.host.partition("://")[2].rstrip("/") or choice.service)
    report = users_report(str(config), setup.place("path"), taken, _next_steps(folder, config, choice))
    files = {
        DEFAULT_FILE: text_file(site_yaml(SiteText(str(config), choice))),
        USERS_NAME: secret_file(taken.text.encode()),
        "policies/policy.yaml": text_file(policy_yaml(users_policy(taken))),
    }
    write_import(folder, files, report, section_writer(trust))
    print_import(folder, report, as_json=as_json)


def _setup(config: Path, environment: Path | None) -> Setup:
    variables = {} if environment is None else parse_environment(read_text(environment, MAX_TEXT), str(environment))
    setup = read_distribution(read_text(config, MAX_TEXT), str(config), variables)
    if setup.auth != "htpasswd":
        problem = f"auth is {setup.auth}, and not htpasswd, so the registry has no users file"
        if setup.auth == "token":
            problem = "the registry asks a token server already; see tokenserver import --help for those that are read"
        raise LoadError([Fault(str(config), 0, "auth", problem)])
    return setup


def _users_file(setup: Setup, config: Path) -> Path:
    if setup.users is None:
        raise LoadError([Fault(setup.place("path"), 0, "auth.htpasswd.path", "is missing; the registry cannot start")])
    return find_users_file(setup.users, config, setup.place("path"), "auth.htpasswd.path")


def _next_steps(folder: Path, config: Path, choice: SiteChoice) -> list[str]:
    site, registry = shell_word(folder / DEFAULT_FILE), folder / FOLDER_NAME
    section, keys = shell_word(registry / "auth.yml"), shell_word(registry / "token-ca.pem")
    return [
        f"Clients will log in at {choice.url}; for another URL, import again with --url.",
        f"Start the server: tokenserver serve --config {site}",
        f"Copy {keys} to the registry, where rootcertbundle in {section} has it.",
        f"Replace the section auth of {shell_word(config)} by that of {section}, and restart the registry.",
        "Give teams namespaces of their own: tokenserver help policies",
    ]
