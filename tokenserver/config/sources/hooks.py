"""Settings of hooks: user sources that ask an operator's own check of passwords, by HTTP or as a program."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from tokenserver.authn.hooks.identities import HookTerms
from tokenserver.config.fields import FilePath, Section, SourceName, as_path
from tokenserver.config.protection import Cache, Grace
from tokenserver.config.sources.ldap_fields import GroupGlobs, GroupPrefix, LoginDeadline
from tokenserver.documents.document import PlacedError
from tokenserver.documents.urls import checked_url, is_local

MAX_WORKERS = 64
MAX_ARGUMENTS = 64

_PROGRAM = "such as [/usr/local/bin/check-password]; there is no shell"


def _hook_url(value: str) -> str:
    example = "https://login.example.com/check"
    url = checked_url(value, example)
    host = url.partition("://")[2].partition("/")[0]
    if not url.startswith("https://") and not is_local(_host(host)):
        raise ValueError(f"must be https, since it gets passwords, such as {example}; http is for this machine alone")
    return url


def _host(netloc: str) -> str:
    return netloc.partition("]")[0][1:] if netloc.startswith("[") else netloc.partition(":")[0]


def _command(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(f"must be a list: the path of a program and its arguments, {_PROGRAM}")
    program, *arguments = value
    if not isinstance(program, str) or "/" not in program:
        raise ValueError(f"must begin with the path of a program, {_PROGRAM}")
    if any(isinstance(one, str) and "\0" in one for one in arguments):
        raise ValueError("must not contain a NUL character")
    return (str(as_path(program, info)), *arguments)


class HookGroups(Section):
    """Which groups of a hook's users are used."""

    allow: GroupGlobs | None = None
    prefix: GroupPrefix | None = None


class _HookSettings(Section):
    groups: HookGroups | None = None
    deadline: LoginDeadline = 5
    cache: Cache = 60
    stale_grace: Grace = 0

    @model_validator(mode="after")
    def _grace_needs_a_cache(self) -> Self:
        if self.stale_grace and not self.cache:
            raise PlacedError(("stale_grace",), "needs cache: only cached logins can be used longer")
        return self

    def _terms(self, name: str) -> HookTerms:
        groups = self.groups or HookGroups()
        return HookTerms(name, groups.allow, groups.prefix or "")


class HttpHookSettings(_HookSettings):
    """A user source: a check of passwords that is asked by HTTP. `secret_file` holds what it shares with the server."""

    name: SourceName = "http"
    url: Annotated[str, AfterValidator(_hook_url)]
    secret_file: FilePath
    ca_file: FilePath | None = None

    @model_validator(mode="after")
    def _authorities_have_a_use(self) -> Self:
        if self.ca_file is not None and not self.url.startswith("https://"):
            raise PlacedError(("ca_file",), "verifies nothing without TLS; fix: https, or leave it out")
        return self

    @property
    def terms(self) -> HookTerms:
        """What its answers mean here."""
        return self._terms(self.name)

    @property
    def can_find(self) -> bool:
        """Whether it may be asked about users without their passwords; it may still answer that it does not know."""
        return True


class ProgramHookSettings(_HookSettings):
    """A user source: a check of passwords that is a program. Each worker process of the server starts its own."""

    name: SourceName = "program"
    command: Annotated[
        tuple[str, ...], Field(strict=False, min_length=1, max_length=MAX_ARGUMENTS), BeforeValidator(_command)
    ]
    protocol: Literal["json", "docker_auth"] = "json"
    group_labels: Annotated[tuple[str, ...], Field(strict=False)] = ()
    workers: Annotated[int, Field(ge=1, le=MAX_WORKERS)] = 4

    @model_validator(mode="after")
    def _labels_are_of_docker_auth(self) -> Self:
        if self.group_labels and self.protocol != "docker_auth":
            raise PlacedError(("group_labels",), "has no effect; fix: protocol: docker_auth")
        return self

    @property
    def terms(self) -> HookTerms:
        """What its answers mean here."""
        return self._terms(self.name)

    @property
    def can_find(self) -> bool:
        """Whether it may be asked about users without their passwords."""
        return self.protocol == "json"
