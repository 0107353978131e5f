"""`tokenserver import docker-auth`: a docker_auth installation becomes one of this server."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path

import click

from tokenserver.authn.passwords import problem_with
from tokenserver.cli.importing.output import print_import, write_import
from tokenserver.cli.importing.peer_config import read_peer
from tokenserver.cli.options import report_faults
from tokenserver.config.load import DEFAULT_FILE
from tokenserver.documents.files import read_file
from tokenserver.documents.json_output import json_text
from tokenserver.errors import LoadError
from tokenserver.importers.docker_auth.comparison.announced import Announcements
from tokenserver.importers.docker_auth.comparison.choices import Choices
from tokenserver.importers.docker_auth.comparison.compare import disagreements
from tokenserver.importers.docker_auth.comparison.ours import OurSide
from tokenserver.importers.docker_auth.comparison.policy_tests import with_tests
from tokenserver.importers.docker_auth.comparison.requests import values_of
from tokenserver.importers.docker_auth.model import DockerAuthConfig
from tokenserver.importers.docker_auth.site.installation_traps import installation_constructs
from tokenserver.importers.docker_auth.site.key_material import KeyMaterial, take_keys
from tokenserver.importers.docker_auth.site.ldap_text import FILE_KEYS
from tokenserver.importers.docker_auth.site.settings_text import (
    PLACEHOLDER_SERVICE,
    ImportedSite,
    settings_yaml,
)
from tokenserver.importers.docker_auth.site.static_users import take_static_users
from tokenserver.importers.docker_auth.translation.translate import AclTranslation, services_in, translate_acl
from tokenserver.importers.new_folder import NewFile, secret_file, text_file
from tokenserver.importers.policy_text import PolicyText, policy_yaml
from tokenserver.importers.report import Construct, ImportReport
from tokenserver.importers.site_text import USERS_NAME
from tokenserver.keys.certificates import SIGNING_LIFETIME
from tokenserver.policy.loading.loader import compile_texts
from tokenserver.printable import shell_word

_REQUESTS = 4_000
"""Requests that are tried on both sides for witnesses and tests."""

_COMPARED_ENTRIES = 4_000_000
"""Entries that docker_auth's side may look at for them; it looks at one after the other."""

_MAX_COPIED = 1024 * 1024

_COMPATS = ("universal", "distribution2", "distribution3", "jwks", "zot")


@click.command("docker-auth")
@click.argument("config", metavar="CONFIG", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--service", "services", multiple=True, help="Service name of a registry, besides those of the ACL.")
@click.option("--url", default="", help="The URL that clients use for the server.")
@click.option("--compat", type=click.Choice(_COMPATS), help="What the registries are.  [default: as the key needs it]")
@click.option("--keep-traps", is_flag=True, help="Translate rules as docker_auth applies them, not as they are meant.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@report_faults
def import_docker_auth(
    config: Path,
    folder: Path,
    services: tuple[str, ...],
    url: str,
    compat: str | None,
    *,
    keep_traps: bool,
    as_json: bool,
) -> None:
    """Make a site in DIR from CONFIG, the configuration file of docker_auth.

    Users keep their passwords, registries their trust in the signing key, and rules their meaning. REPORT.md has a
    verdict on every entry, with a request that is answered differently where one is. Nothing is granted that
    docker_auth does not grant; compare both with tokenserver import verify.
    """
    peer = read_peer(config)
    now = datetime.now(UTC)
    named = tuple(dict.fromkeys((*services_in(peer), *services)))
    chosen = named or (PLACEHOLDER_SERVICE,)
    keys = take_keys(peer, config.parent, now, SIGNING_LIFETIME)
    users = take_static_users(peer, problem_with)
    translation = translate_acl(peer, chosen, keep_traps=keep_traps)
    copies = _ldap_copies(peer, config.parent)
    site = ImportedSite(chosen, compat or keys.compat, url, users.is_anonymous, {key: FILE_KEYS[key] for key in copies})
    settings, draft = settings_yaml(peer, site)
    policies, entries = _examined(peer, translation, users.names, now)
    steps = [*_steps(named, keys), *draft.steps, _verify(config, folder)]
    constructs = (
        keys.construct,
        *draft.constructs,
        *users.constructs,
        *installation_constructs(peer, chosen),
        *entries,
    )
    report = ImportReport(str(config), constructs, tuple(steps))
    files: dict[str, NewFile] = {
        DEFAULT_FILE: text_file(settings),
        "report.json": text_file(json_text(report.as_json(), indent=1) + "\n"),
        **{f"policies/{name}": text_file(policy_yaml(file)) for name, file in policies.items()},
        **keys.files,
        **{FILE_KEYS[key]: secret_file(content) for key, content in copies.items()},
    }
    files[USERS_NAME] = secret_file(users.text.encode())
    write_import(folder, files, report)
    print_import(folder, report, as_json=as_json)


def _ldap_copies(config: DockerAuthConfig, base: Path) -> dict[str, bytes]:
    """The contents of the files that `ldap_auth` names, as far as they can be read here."""
    ldap = config.backends.get("ldap_auth")
    found: dict[str, bytes] = {}
    for key in FILE_KEYS if ldap is not None else ():
        name = ldap.values.get(key) if ldap is not None else None
        if isinstance(name, str) and name:
            with contextlib.suppress(LoadError):
                found[key] = read_file(base / name, limit=_MAX_COPIED)
    return found


def _examined(
    config: DockerAuthConfig, translation: AclTranslation, names: tuple[str, ...], now: datetime
) -> tuple[dict[str, PolicyText], tuple[Construct, ...]]:
    """The policy files with tests, and the constructs of the entries with witnesses."""
    world = translation.world
    texts = {name: policy_yaml(file) for name, file in translation.files.items()}
    policies, _ = compile_texts(texts, services=world.services)
    rejected = frozenset(world.accounts).difference(names, [""])
    ours = OurSide(policies, world.services, world.accounts, now, rejected)
    values = values_of(config, world.services)
    choices = Choices(1)
    count = min(_REQUESTS, _COMPARED_ENTRIES // (len(config.acl or ()) + 1) + 1)
    requests = [values.any_request(choices.below) for _ in range(count)]
    announcements = Announcements(config, translation.entries, rejected)
    constructs = announcements.with_witnesses(disagreements(config, ours, requests))
    return with_tests(translation.files, config, ours, requests), constructs


def _steps(named: tuple[str, ...], keys: KeyMaterial) -> list[str]:
    steps = []
    if not named:
        steps.append(
            f"Replace {PLACEHOLDER_SERVICE} in {DEFAULT_FILE} by auth.token.service of the registry, and add one for"
            " each further registry; no entry of the ACL names one. Or import again with --service NAME."
        )
    if not keys.files:
        steps.append("Give the registries the new token CA, DIR/keys/token-ca.pem, as auth.token.rootcertbundle.")
    return steps


def _verify(config: Path, folder: Path) -> str:
    command = f"tokenserver import verify --docker-auth {shell_word(config)} --with {shell_word(folder)}"
    return f"Compare both on requests of your own: {command} --random 10000"
