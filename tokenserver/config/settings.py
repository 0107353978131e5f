"""The settings, typed and frozen, as `tokenserver.yaml` spells them. Reading them is `load`'s work."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from tokenserver.config.directories import Ldap
from tokenserver.config.fields import (
    FilePath,
    Lifetime,
    Listen,
    NameText,
    NetworkText,
    PublicUrl,
    Section,
    SourceName,
    Url,
)
from tokenserver.config.keys import Keys
from tokenserver.config.throttle import Cache, Throttle
from tokenserver.documents import PlacedError
from tokenserver.keys.schedule import Schedule

MAX_WORKERS = 256


class Tls(Section):
    """The certificate (chain) and the key that the server shows to clients, as PEM files."""

    certificate: FilePath
    key: FilePath


class Server(Section):
    """Where the server listens, what clients call it, and whose X-Forwarded-For it believes."""

    listen: Listen = "127.0.0.1:5001"
    url: PublicUrl
    tls: Tls | None = None
    trusted_proxies: tuple[NetworkText, ...] = Field(default=(), strict=False)
    workers: Annotated[int, Field(ge=1, le=MAX_WORKERS)] | None = None

    @model_validator(mode="after")
    def _tls_and_url_agree(self) -> Self:
        if self.tls is not None and self.url.startswith("http://"):
            raise PlacedError(("url",), "begins with http:// although tls is configured; write https://")
        return self

    @property
    def realm(self) -> str:
        """The token endpoint as registries announce it to clients."""
        return f"{self.url}/token"

    @property
    def address(self) -> tuple[str, int]:
        """The address and the port to listen on."""
        host, _, port = self.listen.rpartition(":")
        return host.removeprefix("[").removesuffix("]"), int(port)


class Registry(Section):
    """A registry that this server signs tokens for. `service` is its `auth.token.service`, the token's audience."""

    service: NameText
    compat: Literal["universal", "distribution2", "distribution3", "jwks"] = "universal"
    token_lifetime: Lifetime = 900
    url: Url | None = None


class Htpasswd(Section):
    """A user source: one htpasswd file. `name` is what audit events call it."""

    file: FilePath
    name: SourceName = "htpasswd"
    cache: Cache = 60


class UserSource(Section):
    """One entry of `authentication`: exactly one kind of user source."""

    htpasswd: Htpasswd | None = None
    ldap: Ldap | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.htpasswd is None) == (self.ldap is None):
            raise ValueError("must name one kind of user source, such as htpasswd: {file: users.htpasswd}")
        return self

    @property
    def name(self) -> str:
        """The name of the source, whatever its kind."""
        source = self.htpasswd or self.ldap
        assert source is not None  # noqa: S101 - _exactly_one has seen to it
        return source.name


class Settings(Section):
    """Everything that `tokenserver.yaml` says."""

    issuer: NameText
    server: Server
    registries: tuple[Registry, ...] = Field(strict=False)
    authentication: tuple[UserSource, ...] = Field(default=(), strict=False)
    anonymous: bool = False
    throttle: Throttle = Throttle()
    policies: FilePath
    shadow_policies: FilePath | None = None
    keys: Keys

    # One validator for each field, so that a fault in one of them does not hide those of the others.
    @field_validator("registries")
    @classmethod
    def _registries_differ(cls, registries: tuple[Registry, ...]) -> tuple[Registry, ...]:
        if not registries:
            raise ValueError("must list at least one registry")
        _refuse_repeats("service", [registry.service for registry in registries])
        return registries

    @field_validator("authentication")
    @classmethod
    def _sources_differ(cls, authentication: tuple[UserSource, ...]) -> tuple[UserSource, ...]:
        _refuse_repeats("name", [source.name for source in authentication])
        for index, source in enumerate(authentication[:-1]):
            if source.ldap is not None and source.ldap.user_dn_template is not None:
                message = "without bind_dn nobody can tell an unknown user from a wrong password, so it must come last"
                raise PlacedError((index, "ldap", "user_dn_template"), message)
        return authentication

    @model_validator(mode="after")
    def _somebody_can_log_in(self) -> Self:
        if not self.authentication and not self.anonymous:
            message = "is empty and anonymous is off, so nobody could ever get a token"
            raise PlacedError(("authentication",), message)
        return self

    @property
    def key_schedule(self) -> Schedule:
        """How the keys go through their states, for the registries that use them."""
        return self.keys.schedule(pinned=any(registry.compat != "universal" for registry in self.registries))

    def registry(self, service: str) -> Registry | None:
        """The registry of that service name, or None."""
        return next((registry for registry in self.registries if registry.service == service), None)


def _refuse_repeats(key: str, names: list[str]) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise PlacedError((index,), f"the {key} {name!r} stands twice; each entry needs its own")
