"""The settings, typed and frozen, as in `tokenserver.yaml`. `load` reads them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from tokenserver.authn.robots.declared import ROBOTS
from tokenserver.config.audit import AuditSettings
from tokenserver.config.credentials import (
    NEEDING_STORAGE,
    NO_REFRESH_TOKENS,
    AccessKeySettings,
    RefreshTokenSettings,
)
from tokenserver.config.fields import MAX_TOKEN_REUSE, FilePath, NameText, Section, TokenReuse
from tokenserver.config.keys import Keys, KeySet
from tokenserver.config.protection import LimitSettings, RobotSettings, ThrottleSettings
from tokenserver.config.registries import RegistrySettings
from tokenserver.config.server import ServerSettings
from tokenserver.config.sources.names import rule_of
from tokenserver.config.sources.oidc import OidcSettings
from tokenserver.config.sources.shadow_peer import ShadowPeerSettings
from tokenserver.config.sources.user_source import (
    UserSource,
    require_issuers_apart,
    require_known_accounts,
    require_namespaces_known,
)
from tokenserver.config.sources.workload import WorkloadSettings
from tokenserver.config.storage import DEFAULT_GRACE, USUAL_FILE, StorageGrace, StorageSettings
from tokenserver.config.telemetry.tracing import TracingSettings
from tokenserver.documents.document import PlacedError
from tokenserver.identity import Namespaces
from tokenserver.policy.machines.claim_names import Aliases, SourceClaims

__all__ = ["KeySet", "RegistrySettings", "Settings"]


class LogSettings(Section):
    """How the log on standard error looks. `format` None: readable lines at a terminal, else JSON."""

    format: Literal["console", "json"] | None = None


class Settings(Section):
    """The whole configuration."""

    issuer: NameText
    server: ServerSettings
    registries: tuple[RegistrySettings, ...] = Field(strict=False)
    authentication: tuple[UserSource, ...] = Field(default=(), strict=False)
    anonymous: bool = False
    throttle: ThrottleSettings = ThrottleSettings()
    limits: LimitSettings = LimitSettings()
    robots: RobotSettings = RobotSettings()
    token_reuse: TokenReuse = MAX_TOKEN_REUSE
    log: LogSettings = LogSettings()
    audit: AuditSettings = AuditSettings()
    tracing: TracingSettings | None = None
    policies: FilePath
    shadow_policies: FilePath | None = None
    shadow_peer: ShadowPeerSettings | None = None
    keys: Keys
    storage: StorageSettings | None = None
    storage_grace: StorageGrace = DEFAULT_GRACE
    access_keys: AccessKeySettings | None = None
    refresh_tokens: RefreshTokenSettings | None = None

    # One validator per field, so that a fault in one of them does not hide those of the others.
    @field_validator("registries")
    @classmethod
    def _registries_differ(cls, registries: tuple[RegistrySettings, ...]) -> tuple[RegistrySettings, ...]:
        if not registries:
            raise ValueError("must list at least one registry")
        owner: dict[str, int] = {}
        for index, registry in enumerate(registries):
            for place, name in _names(registry):
                if owner.setdefault(name, index) != index or registry.names.count(name) > 1:
                    raise PlacedError((index, *place), f"the service {name!r} is used twice; each entry needs its own")
        return registries

    @field_validator("authentication")
    @classmethod
    def _sources_differ(cls, authentication: tuple[UserSource, ...]) -> tuple[UserSource, ...]:
        names = [source.name for source in authentication]
        _refuse_repeats("name", names)
        if ROBOTS in names:
            message = f"the name {ROBOTS!r} means the robots of policy files; fix: choose another name"
            raise PlacedError((names.index(ROBOTS),), message)
        users = [index for index, source in enumerate(authentication) if source.has_passwords]
        for index in users[:-1]:
            source = authentication[index]
            if source.ldap is not None and source.ldap.user_dn_template is not None:
                message = "without bind_dn an unknown user looks like a wrong password, so this source must come last"
                raise PlacedError((index, "ldap", "user_dn_template"), message)
        require_known_accounts(authentication)
        require_namespaces_known(authentication)
        return authentication

    @model_validator(mode="after")
    def _people_of_providers_are_stored(self) -> Self:
        index = next((index for index, source in enumerate(self.authentication) if source.oidc is not None), None)
        if index is not None and self.storage is None:
            message = f"needs a storage, which keeps who its people are; fix: add storage: {USUAL_FILE}"
            raise PlacedError(("authentication", index, "oidc"), message)
        return self

    @model_validator(mode="after")
    def _some_client_can_get_a_token(self) -> Self:
        if not self.authentication and not self.anonymous:
            raise PlacedError(("authentication",), "is empty and anonymous is off, so no client could get a token")
        return self

    @model_validator(mode="after")
    def _workload_sources_differ(self) -> Self:
        require_issuers_apart(self.authentication, self.server.url)
        return self

    @model_validator(mode="after")
    def _one_algorithm_a_folder(self) -> Self:
        first = {id(one): keys.wanted for keys in self.key_sets() for one in keys.registries}
        for index, registry in enumerate(self.registries):
            wanted = first[id(registry)]
            if wanted is not None and registry.algorithm not in (None, wanted.algorithm):
                message = (
                    f"{wanted.service} signs with {wanted.algorithm} and shares its keys;"
                    " give one of the two a separate folder with keys:"
                )
                raise PlacedError(("registries", index, "algorithm"), message)
        return self

    @model_validator(mode="after")
    def _credentials_are_stored(self) -> Self:
        if self._sections_of_credentials and self.storage is None:
            message = f"needs a storage; fix: add storage: {USUAL_FILE}"
            raise PlacedError((self._sections_of_credentials[0],), message)
        return self

    @model_validator(mode="after")
    def _management_is_of_a_storage(self) -> Self:
        if self.server.management is not None and self.storage is None:
            message = f"needs a storage, without which there is nothing to manage; fix: add storage: {USUAL_FILE}"
            raise PlacedError(("server", "management"), message)
        return self

    @model_validator(mode="after")
    def _notifications_are_of_a_registry(self) -> Self:
        if self.server.notifications is not None and not self.reporters:
            message = "needs a registry that reports to it; fix: registries: - notifications: {secret_file: FILE}"
            raise PlacedError(("server", "notifications"), message)
        return self

    @model_validator(mode="after")
    def _shadow_peer_is_another_server(self) -> Self:
        if self.shadow_peer is not None and self.shadow_peer.is_at(self.server.url):
            message = "is this server itself (server.url); name the old token server, with which it is compared"
            raise PlacedError(("shadow_peer",), message)
        return self

    @model_validator(mode="after")
    def _refresh_tokens_are_configured(self) -> Self:
        wanting = [index for index, registry in enumerate(self.registries) if registry.refresh_tokens]
        if wanting and self.refresh_tokens is None:
            raise PlacedError(("registries", wanting[0], "refresh_tokens"), NO_REFRESH_TOKENS)
        return self

    @property
    def _sections_of_credentials(self) -> list[str]:
        return [section for section in NEEDING_STORAGE if getattr(self, section) is not None]

    def gives_refresh_tokens(self, registry: RegistrySettings) -> bool:
        """Whether a login at this registry may be answered with a refresh token."""
        return self.refresh_tokens is not None and registry.refresh_tokens is not False

    def registry(self, service: str) -> RegistrySettings | None:
        """The registry with this service name, also among its `also`; None if there is none."""
        return next((registry for registry in self.registries if service in registry.names), None)

    @property
    def reporters(self) -> tuple[RegistrySettings, ...]:
        """The registries that report what was pushed, pulled, mounted and deleted."""
        return tuple(registry for registry in self.registries if registry.notifications is not None)

    @property
    def user_sources(self) -> tuple[UserSource, ...]:
        """The sources of users with passwords, in the order in which they are asked."""
        return tuple(source for source in self.authentication if source.has_passwords)

    @property
    def oidc_sources(self) -> tuple[OidcSettings, ...]:
        """The OpenID providers at which people log in."""
        return tuple(source.oidc for source in self.authentication if source.oidc is not None)

    @property
    def workload_sources(self) -> tuple[WorkloadSettings, ...]:
        """The sources of workloads."""
        return tuple(source.workload for source in self.authentication if source.workload is not None)

    @property
    def workload_claims(self) -> dict[str, SourceClaims]:
        """What is known of the claims of each workload source."""
        kinds = {source.name: source.kind for source in self.workload_sources}
        return {name: SourceClaims(frozenset(kind.anchors), kind.aliases) for name, kind in kinds.items()}

    @property
    def claim_aliases(self) -> dict[str, Aliases]:
        """By workload source, the short names of its claims -> their paths."""
        return {source.name: source.kind.aliases for source in self.workload_sources}

    @property
    def workload_presets(self) -> dict[str, str]:
        """The preset of each workload source."""
        return {source.name: source.preset for source in self.workload_sources}

    @property
    def namespaces(self) -> Namespaces | None:
        """What the user sources map names to; None if none of them maps any."""
        people = [source for source in self.authentication if source.workload is None]
        rules = frozenset(rule_of(source.names) for source in people)
        return None if rules <= {None} else Namespaces(rules)

    def issuer_of(self, registry: RegistrySettings) -> str:
        """The `iss` of the registry's tokens."""
        return registry.issuer or self.issuer

    def key_sets(self) -> list[KeySet]:
        """Every key folder in use, that of the whole server first. Different paths may lead to the same folder."""
        usual = self.keys.folder
        named = dict.fromkeys([usual, *(registry.keys for registry in self.registries if registry.keys)])
        reals = {folder: os.path.realpath(folder) for folder in named}
        folders: dict[str, Path] = {}
        signed: dict[str, list[RegistrySettings]] = {}
        for folder, real in reals.items():
            folders.setdefault(real, folder)
            signed.setdefault(real, [])
        for registry in self.registries:
            signed[reals[registry.keys or usual]].append(registry)
        return [self._key_set(folder, tuple(signed[real])) for real, folder in folders.items()]

    def _key_set(self, folder: Path, registries: tuple[RegistrySettings, ...]) -> KeySet:
        issuer = self.issuer if folder == self.keys.folder else self.issuer_of(registries[0])
        pinned = any(registry.compat != "universal" for registry in registries)
        return KeySet(folder, registries, issuer, self.keys.schedule(pinned=pinned))

    def key_set(self, registry: RegistrySettings) -> KeySet:
        """The key set of this registry, which is one of `registries`."""
        return next(keys for keys in self.key_sets() if any(one is registry for one in keys.registries))


def _names(registry: RegistrySettings) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Each service name of a registry with its path in the entry; that of `service` is the entry itself."""
    yield (), registry.service
    yield from ((("also", index), name) for index, name in enumerate(registry.also))


def _refuse_repeats(key: str, names: list[str]) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise PlacedError((index,), f"the {key} {name!r} is used twice; each entry needs its own")
