"""OpenID providers of a server: built from settings and files, and joined with the user sources and the storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tokenserver.authn.authenticator import KnownUsers
from tokenserver.authn.oidc.client import ProviderClient
from tokenserver.authn.oidc.source import OidcSource
from tokenserver.config.settings import Settings
from tokenserver.config.sources.oidc import OidcSettings
from tokenserver.credentials import Secret
from tokenserver.documents.files import read_text
from tokenserver.documents.tls_files import client_context
from tokenserver.errors import Fault, LoadError
from tokenserver.server.reload.parts import FilesPart
from tokenserver.server.stored.parts import StoredOpenId

LOGIN_PATH = "/login"
MAX_SECRET = 4096


def files_of_provider(source: OidcSettings) -> tuple[Path, ...]:
    """The files of a provider, whose changes are reloaded."""
    return tuple(file for file in (source.ca_file, source.client_secret_file) if file is not None)


def provider_client(source: OidcSettings, pages_url: str) -> ProviderClient:
    """The client of this provider, for a server whose pages have this public URL. Nothing is fetched yet.

    Raises:
        LoadError: every fault of its files.
    """
    faults: list[Fault] = []
    secret = context = None
    try:
        context = client_context(source.ca_file)
    except LoadError as error:
        faults += error.faults
    try:
        secret = None if source.client_secret_file is None else _secret(source.client_secret_file)
    except LoadError as error:
        faults += error.faults
    if faults or context is None:
        raise LoadError(faults)
    return ProviderClient(source.provider(pages_url), context, secret=secret)


def watched_provider(source: OidcSettings, pages_url: str) -> FilesPart:
    """The client of this provider as a part that is loaded again when its files change."""
    files = files_of_provider(source)
    return FilesPart("oidc", source.name, lambda _: provider_client(source, pages_url), lambda: files)


def oidc_sources(
    settings: Settings, clients: Mapping[str, ProviderClient], users: Sequence[KnownUsers], stored: StoredOpenId
) -> tuple[OidcSource, ...]:
    """The sources of all providers. `clients` has their clients by name, `users` are the sources with passwords."""
    by_name = {one.name: one for one in users}
    return tuple(
        OidcSource(
            clients[source.name],
            stored.people,
            login_page=f"{settings.server.pages_url}{LOGIN_PATH}",
            others=users,
            accounts=None if source.accounts is None else by_name[source.accounts],
            end_logins=stored.end_logins,
        )
        for source in settings.oidc_sources
    )


def _secret(file: Path) -> Secret:
    text = read_text(file, private=True, limit=MAX_SECRET).rstrip("\r\n")
    if not text.isprintable() or not text.strip():
        raise LoadError([Fault(str(file), 0, "", "holds no client secret: it must be one line of printable text")])
    return Secret(text)
