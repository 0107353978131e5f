"""Workload sources of a server: built from settings and files, and joined with the workloads that policies declare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenserver.authn.oidc.source import OidcSource
from tokenserver.authn.workload.backend import WorkloadSource, WorkloadSources
from tokenserver.authn.workload.issuer_keys import IssuerKeys
from tokenserver.authn.workload.key_origins import Discovery, KeyFile, KeyOrigin, KeysNotFetched, KeyUrl
from tokenserver.config.sources.workload import WorkloadSettings
from tokenserver.credentials import Secret
from tokenserver.documents.tls_files import client_context
from tokenserver.errors import Fault, InvalidCredentials, LoadError
from tokenserver.identity import Identity
from tokenserver.policy.machines.workloads import Workloads
from tokenserver.server.reload.parts import FilesPart


def files_of_workloads(source: WorkloadSettings) -> tuple[Path, ...]:
    """The files of a workload source, whose changes are reloaded. A token file is read for each request instead."""
    files = (source.ca_file, None if source.keys is None else source.keys.file)
    return tuple(file for file in files if file is not None)


def workload_source(source: WorkloadSettings, server: str) -> WorkloadSource:
    """The workload source of this configuration, for a server with this public URL. Nothing is fetched yet.

    Raises:
        LoadError: its file of certificate authorities or of keys cannot be used.
    """
    origin = key_origin(source)
    if isinstance(origin, KeyFile):
        try:
            origin()
        except KeysNotFetched as error:
            problem = str(error).removeprefix(str(origin.path)).removeprefix(":").lstrip()
            raise LoadError([Fault(str(origin.path), 0, "", problem)]) from None
    return WorkloadSource(source.trusted(server), IssuerKeys(source.name, origin))


def watched_workloads(source: WorkloadSettings, server: str) -> FilesPart:
    """A workload source as a part that is loaded again when its files change."""
    files = files_of_workloads(source)
    return FilesPart("workloads", source.name, lambda _: workload_source(source, server), lambda: files)


def key_origin(source: WorkloadSettings) -> KeyOrigin:
    """Where the keys of this source come from.

    Raises:
        LoadError: its file of certificate authorities cannot be used.
    """
    keys = source.keys
    if keys is not None and keys.file is not None:
        return KeyFile(keys.file)
    context = client_context(source.ca_file)
    if keys is not None and keys.url is not None:
        return KeyUrl(keys.url, context, token_file=keys.token_file)
    return Discovery(source.issuer_name, context)


def issuer_keys(sources: Iterable[WorkloadSource | OidcSource]) -> Iterator[IssuerKeys]:
    """The keys of these sources, which have to be followed."""
    return (source.keys for source in sources if isinstance(source.keys, IssuerKeys))


class DeclaredWorkloads:
    """The workload sources, as far as policies declare their workloads. See `WorkloadAuthenticator`."""

    def __init__(self, sources: Iterable[WorkloadSource], workloads: Workloads) -> None:
        self.sources = tuple(sources)
        self._verifier = WorkloadSources(self.sources)
        self._workloads = workloads

    def authenticate(self, text: Secret, verified: int | None = None) -> Identity:
        """The workload for which its issuer vouches. `verified`: see `Identity`.

        Raises:
            InvalidCredentials: no issuer vouches for it here and now, or no policy file declares it.
            BackendUnavailable: the keys of its issuer are not known.
        """
        identity = self._verifier.authenticate(text, verified)
        self.require_declared(identity)
        return identity

    def require_declared(self, identity: Identity) -> None:
        """Reject a workload that no policy file declares (any more).

        Raises:
            InvalidCredentials: it is not declared.
        """
        if not self._workloads.are_declared(identity.source, identity.claims):
            raise InvalidCredentials(f"{identity.subject} is no declared workload")
