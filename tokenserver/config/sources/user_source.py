"""Settings of one entry of `authentication`: a source of users or of workloads, of exactly one kind."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from tokenserver.config.fields import FilePath, Section, SourceName
from tokenserver.config.protection import Cache
from tokenserver.config.sources.ldap import Ldap
from tokenserver.config.sources.names import HtpasswdNames, LdapNames
from tokenserver.config.sources.workload import WorkloadSettings


class HtpasswdSettings(Section):
    """A user source: one htpasswd file. `name` identifies it in audit events."""

    file: FilePath
    name: SourceName = "htpasswd"
    cache: Cache = 60
    names: HtpasswdNames | None = None


class UserSource(Section):
    """One entry of `authentication`: exactly one kind of source, of users or of workloads."""

    htpasswd: HtpasswdSettings | None = None
    ldap: Ldap | None = None
    workload: WorkloadSettings | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(source is not None for source in (self.htpasswd, self.ldap, self.workload)) != 1:
            raise ValueError("must name one kind of user source, such as htpasswd: {file: users.htpasswd}")
        return self

    @property
    def name(self) -> str:
        """The name of the source, whatever its kind."""
        source = self.htpasswd or self.ldap or self.workload
        assert source is not None  # noqa: S101 - _exactly_one has checked it
        return source.name

    @property
    def names(self) -> HtpasswdNames | LdapNames | None:
        """How names are mapped to namespaces; None: the namespace is the name."""
        source = self.htpasswd or self.ldap
        return None if source is None else source.names
