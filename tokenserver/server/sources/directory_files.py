"""The files of a directory: the service account's password, the CAs, and the client certificate with its key."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from tokenserver.config.settings import Settings
from tokenserver.config.sources.ldap import Ldap
from tokenserver.credentials import Secret
from tokenserver.documents.files import read_text
from tokenserver.documents.tls_files import ClientCertificate, client_context, load_client_certificate
from tokenserver.errors import Fault, LoadError

EXPIRES_SOON = timedelta(days=14)
"""How long before its end a client certificate is a warning."""

_Part = TypeVar("_Part")


@dataclass(frozen=True, slots=True)
class DirectoryFiles:
    """What the files of a directory hold. `context` is None only for plain text, `certificate` if there is none."""

    password: Secret | None
    context: ssl.SSLContext | None
    certificate: ClientCertificate | None


def directory_files(ldap: Ldap) -> tuple[Path, ...]:
    """The files of a directory, whose changes are reloaded."""
    files = (ldap.ca_file, ldap.bind_password_file, ldap.client_certificate, ldap.client_key)
    return tuple(file for file in files if file is not None)


def load_directory_files(ldap: Ldap) -> DirectoryFiles:
    """Read the files of a directory.

    Raises:
        LoadError: every fault of every file that is missing, unsafe or wrong.
    """
    faults: list[Fault] = []
    password = ldap.bind_password
    if ldap.bind_password_file is not None:
        password = attempt(partial(_password_in, ldap.bind_password_file), faults)
    context = certificate = None
    if not ldap.insecure_plaintext:
        context = attempt(partial(client_context, ldap.ca_file), faults)
    if ldap.client_certificate is not None and ldap.client_key is not None:
        certificate = attempt(
            partial(load_client_certificate, ldap.client_certificate, ldap.client_key, context), faults
        )
    if faults:
        raise LoadError(faults)
    return DirectoryFiles(password, context, certificate)


def client_certificates(settings: Settings) -> Iterator[tuple[str, ClientCertificate]]:
    """The client certificates that can be loaded, each with the name of its directory."""
    for ldap in (source.ldap for source in settings.authentication):
        if ldap is not None and ldap.client_certificate is not None and ldap.client_key is not None:
            with suppress(LoadError):
                yield ldap.name, load_client_certificate(ldap.client_certificate, ldap.client_key)


def certificate_warnings(settings: Settings, now: datetime) -> Iterator[str]:
    """Warnings about client certificates that have expired, or soon will."""
    for name, certificate in client_certificates(settings):
        if certificate.not_after - now < EXPIRES_SOON:
            when = "has expired" if certificate.not_after <= now else "expires soon"
            yield f"{name}: the client certificate {when}: {certificate}; fix: renew client_certificate and client_key"


def _password_in(file: Path) -> Secret:
    text = read_text(file, private=True).rstrip("\r\n")
    if not text or "\0" in text:
        problem = "must contain the password of bind_dn; an empty one would be an anonymous bind"
        raise LoadError([Fault(str(file), 0, "", problem)])
    return Secret(text)


def attempt(load: Callable[[], _Part], faults: list[Fault]) -> _Part | None:
    """What `load` returns; None if it raises a `LoadError`, whose faults are added."""
    try:
        return load()
    except LoadError as error:
        faults.extend(error.faults)
        return None
