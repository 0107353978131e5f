"""Settings of one entry of `authentication`: a source of people or of workloads, of exactly one kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import model_validator

from tokenserver.config.fields import FilePath, Section, SourceName
from tokenserver.config.protection import Cache
from tokenserver.config.sources.hooks import HttpHookSettings, ProgramHookSettings
from tokenserver.config.sources.ldap import Ldap
from tokenserver.config.sources.names import HtpasswdNames, LdapNames
from tokenserver.config.sources.oidc import OidcSettings
from tokenserver.config.sources.sql import Sql
from tokenserver.config.sources.workload import WorkloadSettings
from tokenserver.documents.document import PlacedError


class HtpasswdSettings(Section):
    """A user source: one htpasswd file. `name` identifies it in audit events."""

    file: FilePath
    name: SourceName = "htpasswd"
    cache: Cache = 60
    names: HtpasswdNames | None = None


class UserSource(Section):
    """One entry of `authentication`: exactly one kind of source, of people or of workloads."""

    htpasswd: HtpasswdSettings | None = None
    ldap: Ldap | None = None
    sql: Sql | None = None
    http: HttpHookSettings | None = None
    program: ProgramHookSettings | None = None
    oidc: OidcSettings | None = None
    workload: WorkloadSettings | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        kinds = (self.htpasswd, self.ldap, self.sql, self.http, self.program, self.oidc, self.workload)
        if sum(source is not None for source in kinds) != 1:
            raise ValueError("must name one kind of user source, such as htpasswd: {file: users.htpasswd}")
        return self

    @property
    def name(self) -> str:
        """The name of the source, whatever its kind."""
        source = self.htpasswd or self.ldap or self.sql or self.hook or self.oidc or self.workload
        assert source is not None  # noqa: S101 - _exactly_one has checked it
        return source.name

    @property
    def hook(self) -> HttpHookSettings | ProgramHookSettings | None:
        """The settings of a hook; None for another kind of source."""
        return self.http or self.program

    @property
    def remote(self) -> Ldap | Sql | HttpHookSettings | ProgramHookSettings | None:
        """The settings of a source of users that is asked for each login, behind a circuit breaker and a bulkhead."""
        return self.ldap or self.sql or self.hook

    @property
    def has_passwords(self) -> bool:
        """Whether its users log in with passwords."""
        return self.htpasswd is not None or self.remote is not None

    @property
    def names(self) -> HtpasswdNames | LdapNames | None:
        """How names are mapped to namespaces; None: the namespace is the name."""
        source = self.htpasswd or self.ldap
        return None if source is None else source.names


def require_known_accounts(authentication: Sequence[UserSource]) -> None:
    """Check that the people of a provider can be those of the source that `accounts` names.

    Raises:
        PlacedError: it names no source of users with passwords.
    """
    possible = [source.name for source in authentication if source.has_passwords]
    for index, source in enumerate(authentication):
        accounts = None if source.oidc is None else source.oidc.accounts
        if accounts is not None and accounts not in possible:
            known = ", ".join(possible) or "there is none"
            message = f"must be the name of an htpasswd, ldap, sql, http or program source ({known}), not {accounts!r}"
            raise PlacedError((index, "oidc", "accounts"), message)


def require_namespaces_known(authentication: Sequence[UserSource]) -> None:
    """Check that each source can be asked who has a namespace, if any of them maps names.

    Raises:
        PlacedError: one cannot be asked.
    """
    if not any(source.names is not None for source in authentication):
        return
    for index, source in enumerate(authentication):
        if source.program is not None and not source.program.can_find:
            message = "cannot be asked who has a namespace, while another source has names; fix: protocol: json"
            raise PlacedError((index, "program", "protocol"), message)


def require_issuers_apart(authentication: Sequence[UserSource], server_url: str) -> None:
    """Check that a JWT tells which workload source is meant. `server_url` is the default audience.

    Raises:
        PlacedError: two sources have an issuer and an audience in common.
    """
    before: list[WorkloadSettings] = []
    for index, source in enumerate(authentication):
        if (workload := source.workload) is None:
            continue
        for other in before:
            shared = workload.audiences(server_url) & other.audiences(server_url)
            if workload.issuer_name == other.issuer_name and shared:
                message = f"has the issuer and an audience of {other.name}, so no JWT tells which one is meant"
                raise PlacedError(("authentication", index, "workload", "audience"), message)
        before.append(workload)
