"""`tokenserver init DIR`: creates a working configuration, sample policies, keys and one user."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from string import ascii_letters, digits
from typing import NamedTuple

import click

from tokenserver.authn.passwords import hash_password
from tokenserver.authn.usernames import name_problem
from tokenserver.cli.exits import WRONG_USE
from tokenserver.cli.options import exit_with, report_faults
from tokenserver.cli.terminal import echo
from tokenserver.config.load import DEFAULT_FILE, load_settings
from tokenserver.config.storage import USUAL_FILE
from tokenserver.documents.files import NotReplaced, create_file, require_replaceable
from tokenserver.documents.yaml_text import yaml_scalar
from tokenserver.errors import Fault, LoadError
from tokenserver.importers.site_text import USERS_NAME
from tokenserver.keys.ring import Algorithm
from tokenserver.keys.store import init_keys
from tokenserver.printable import shell_word
from tokenserver.server.compose import load_snapshot
from tokenserver.storage.state_keys import init_state_keys

_TEMPLATE = """\
# The configuration of tokenserver. `tokenserver check` validates it.

# The issuer of all tokens. Must equal auth.token.issuer of every registry below.
issuer: {issuer}

server:
  listen: {listen}
  # The URL that clients use; registries announce {url}/token. A host name: crane rejects a private IP address, unless
  # the registry has the same address and port.
  url: {url}
  # Clients on other machines need TLS, here or at a proxy in front; over plain HTTP they get nothing:
  # tls: {{certificate: tls.pem, key: tls.key}}
  # trusted_proxies: [10.0.0.0/8]
  # With a storage: pages and the API for management on a separate listener, and the URL by which people reach it.
  # management: 127.0.0.1:5002
  # management_url: https://account.example.com
  # Prometheus metrics, on a separate listener; off by default.
  # metrics: 127.0.0.1:9090

# Or a folder with one file for each registry: `registries: registries/`.
registries:
  # service: auth.token.service of the registry, which is the audience of its tokens.
  # compat: universal (Distribution 2.8 and 3), distribution2, distribution3, jwks or zot.
  - service: {service}
    compat: {compat}
    token_lifetime: 15m

# Who can log in. `tokenserver users set NAME` adds a user.
authentication:
  - htpasswd: {{file: {users}}}

# Whether clients without credentials get tokens, for what the policies grant to everyone.
anonymous: true

# Who can do what: a folder of YAML files.
policies: {policies}

# The token CA and the signing keys, created by `tokenserver keys init`. With {{folder: {keys}, rotate_every: 30d}} the
# server creates a new signing key every 30 days; registries need no change.
keys: {keys}

# What outlives a restart, such as access keys: an SQLite file, or postgresql://… for several servers.
storage: {storage}

# Keys that people make at {url}/account, to use in place of their password. The policies name administrators, who end
# those of others.
access_keys: {{}}

# What docker keeps in place of the password, and what lets people log in by a browser from a terminal.
refresh_tokens: {{}}
"""


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--issuer", default="tokenserver", show_default=True, help="The issuer of all tokens.")
@click.option("--service", default="localhost:5000", show_default=True, help="Service name of the first registry.")
@click.option("--url", default="http://localhost:5001", show_default=True, help="The URL that clients use.")
@click.option("--listen", default="127.0.0.1:5001", show_default=True, help="Address and port to listen on.")
@click.option("--user", default="admin", show_default=True, help="Name of the first user.")
@click.option(
    "--policies", type=click.Path(path_type=Path, exists=True), help="Use this policy folder instead of samples."
)
@click.option("--keys", type=click.Path(path_type=Path), help="Key folder.  [default: DIR/keys]")
@report_faults
def init(  # noqa: PLR0917 - click passes options by name
    folder: Path,
    issuer: str,
    service: str,
    url: str,
    listen: str,
    user: str,
    policies: Path | None,
    keys: Path | None,
) -> None:
    """Create a commented configuration, sample policies, keys and one user in DIR.

    The user gets a random password, which is printed once and stored nowhere.
    """
    if has_site(folder):
        config = folder / DEFAULT_FILE
        echo(f"{folder} already has a configuration; nothing was changed.", fg="red", err=True)
        echo(f"Next: tokenserver check --config {shell_word(config)}", err=True)
        raise SystemExit(WRONG_USE)
    problem = name_problem(user)
    if problem is not None:
        exit_with(f"--user: {problem}; nothing was created.")
    site = SiteOptions(issuer, service, url, listen, user, policies, keys)
    password = create_site(folder, site)
    config = folder / DEFAULT_FILE
    made = "keys and a user" if policies else "sample policies, keys and a user"
    echo(f"Created {config}, {made}.")
    echo()
    echo(f"  user      {user}")
    echo(f"  password  {password}    (not shown again)")
    echo()
    echo(f"Next: tokenserver serve --config {shell_word(config)}")


class SiteOptions(NamedTuple):
    """What a new configuration says. `policies` None: the samples, in the new folder; `keys` None: a folder in it."""

    issuer: str
    service: str
    url: str
    listen: str
    user: str
    policies: Path | None = None
    keys: Path | None = None
    compat: str = "universal"
    algorithm: Algorithm = Algorithm.ES256


def has_site(folder: Path) -> bool:
    """Whether the folder has a configuration or users, which are never overwritten."""
    return os.path.lexists(folder / DEFAULT_FILE) or os.path.lexists(folder / USERS_NAME)


def create_site(folder: Path, options: SiteOptions) -> str:
    """Create configuration, policies, keys and one user in the folder; gives the user's password, which is new.

    Raises:
        LoadError: the options do not work, or a file cannot be written. A second try is possible then.
    """
    config, policies, keys = folder / DEFAULT_FILE, options.policies, options.keys
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if policies is None:
        _copy_samples(_samples(), folder / "policies")
    text = _TEMPLATE.format(
        issuer=yaml_scalar(options.issuer),
        service=yaml_scalar(options.service),
        compat=options.compat,
        url=yaml_scalar(options.url),
        listen=yaml_scalar(options.listen),
        users=USERS_NAME,
        policies=yaml_scalar(_relative(policies, folder) if policies else "policies"),
        keys=yaml_scalar(_relative(keys, folder) if keys else "keys"),
        storage=USUAL_FILE,
    )
    password = _new_password()
    _create(config, text.encode(), 0o644)
    try:
        _create(folder / USERS_NAME, f"{options.user}:{hash_password(password)}\n".encode(), 0o600)
    except BaseException:
        config.unlink()
        raise
    try:
        settings = load_settings(config, {})
        init_keys(
            settings.keys.folder,
            issuer=options.issuer,
            algorithm=options.algorithm,
            now=datetime.now(UTC),
            lifetime=settings.key_sets()[0].schedule.certificate_lifetime,
        )
        init_state_keys(settings.keys.folder)
        (folder / USUAL_FILE).parent.mkdir(mode=0o700, exist_ok=True)
        load_snapshot(settings)
    except BaseException:
        # The options do not work: leave nothing behind that would block a second try.
        config.unlink()
        (folder / USERS_NAME).unlink()
        raise
    return password


def _new_password() -> str:
    """142 random bits as letters and digits: a double click selects it whole, and no program takes it for an option."""
    return "".join(secrets.choice(ascii_letters + digits) for _ in range(24))


def _create(path: Path, content: bytes, mode: int) -> None:
    """Create a file. One that has appeared meanwhile is not overwritten, and links are not followed."""
    try:
        create_file(path, content, mode=mode)
    except OSError as error:
        raise LoadError([Fault(str(path), 0, "", f"cannot be written: {error.strerror}")]) from error


def _copy_samples(source: Path, target: Path) -> None:
    """Copy the policies into a folder that an earlier try may have left; nothing in it is overwritten.

    Raises:
        LoadError: the folder or a file in it is a link, or anything else that no earlier try would have left.
    """
    try:
        target.mkdir(mode=0o755, exist_ok=True)
        if target.is_symlink():
            aside = f"mv {shell_word(target)} {shell_word(target.with_name(f'{target.name}.link'))}"
            raise LoadError([Fault(str(target), 0, "", f"is a symbolic link; fix: {aside}")])
        for entry in sorted(source.iterdir()):
            if entry.is_dir():
                _copy_samples(entry, target / entry.name)
                continue
            place = target / entry.name
            require_replaceable(place)
            if not place.exists():
                _create(place, entry.read_bytes(), 0o644)
    except NotReplaced as error:
        raise LoadError([Fault(str(error.filename), 0, "", error.problem)]) from error
    except OSError as error:
        raise LoadError([Fault(str(target), 0, "", f"cannot be created: {error.strerror}")]) from error


def _samples() -> Path:
    """The sample policies: inside the installed package, or next to it in a checkout."""
    packaged = Path(str(files("tokenserver"))) / "samples" / "policies"
    return packaged if packaged.is_dir() else Path(str(files("tokenserver"))).parent / "policies"


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path.absolute(), folder.absolute())
