"""The facts of both sides that checks compare: what we say and sign with, what a registry says and trusts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum


class RegistryKind(StrEnum):
    """A registry's verifier. They differ in how they find a token's key, and in what they check."""

    DISTRIBUTION2 = "Distribution 2.8"
    DISTRIBUTION30 = "Distribution 3.0"
    DISTRIBUTION3 = "Distribution 3.1"
    ZOT = "zot"


KINDS_OF_COMPAT: Mapping[str, tuple[RegistryKind, ...]] = {
    "universal": (RegistryKind.DISTRIBUTION2, RegistryKind.DISTRIBUTION3),
    "distribution2": (RegistryKind.DISTRIBUTION2,),
    "distribution3": (RegistryKind.DISTRIBUTION3,),
    "jwks": (RegistryKind.DISTRIBUTION3,),
    "zot": (RegistryKind.ZOT,),
}
"""The verifiers that each `compat` is meant for."""


@dataclass(frozen=True, slots=True)
class KeyNames:
    """What a public key is called: by libtrust, by RFC 7638, and by two generations that compute it wrongly.

    The empty name is that of a key which that generation does not take. `spki` is the SHA-256 of the key in DER,
    which tells keys apart and is no registry's name for it.
    """

    spki: str
    libtrust: str
    rfc7638: str
    distribution30: str
    distribution31: str

    def kid(self, kind: RegistryKind) -> str:
        """The `kid` that a verifier of this kind computes from a certificate in its bundle; zot looks at none."""
        return {
            RegistryKind.DISTRIBUTION2: self.libtrust,
            RegistryKind.DISTRIBUTION30: self.distribution30,
            RegistryKind.DISTRIBUTION3: self.distribution31,
        }.get(kind, "")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate. `sha256` (hex) is of the whole of it."""

    sha256: str
    subject: str
    is_ca: bool
    not_before: datetime
    not_after: datetime
    key: str
    names: KeyNames


@dataclass(frozen=True, slots=True)
class TrustFile:
    """What stands in a file of trusted certificates. `problem` is why it could not be read."""

    path: str
    problem: str | None = None
    certificates: tuple[Certificate, ...] = ()
    public_keys: tuple[KeyNames, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JwksEntry:
    """One key of a JWKS: its `kid` (None: it has none), and its names (None: registries cannot use such a key)."""

    kid: str | None
    names: KeyNames | None


@dataclass(frozen=True, slots=True)
class JwksFile:
    """What stands in a JWKS file. `problem` is why it could not be read as one."""

    path: str
    problem: str | None = None
    keys: tuple[JwksEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Setup:
    """What a registry's configuration says about tokens. What it does not say is None.

    `auth` is how it lets clients in (`token`, `htpasswd`, `none` …), `places` is where each key stands, for mends.
    `strange` are keys that the registry ignores, each with a hint at the right one. `only_in_3` are keys that only
    Distribution 3 knows. `https` is whether the registry itself speaks TLS. `empty` are the keys whose absence or
    emptiness switches the token section off as a whole, and `remark` is what else explains `auth`.
    """

    is_zot: bool
    auth: str
    realm: str | None = None
    service: str | None = None
    issuer: str | None = None
    bundle: str | None = None
    jwks: str | None = None
    algorithms: tuple[str, ...] | None = None
    autoredirect: bool = False
    autoredirect_path: str = "/auth/token"
    strange: tuple[tuple[str, str], ...] = ()
    only_in_3: tuple[str, ...] = ()
    https: bool = False
    empty: tuple[str, ...] = ()
    remark: str = ""
    places: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind_of_registry(self) -> str:
        """What the commands for this configuration say after `--for`."""
        return "zot" if self.is_zot else "distribution2|distribution3"

    def place(self, key: str) -> str:
        """Where the key stands, or should stand."""
        return self.places.get(key) or self.places[""]


@dataclass(frozen=True, slots=True)
class OurKey:
    """One of our published signing keys."""

    id: str
    algorithm: str
    certificate: Certificate

    @property
    def names(self) -> KeyNames:
        """What registries call it."""
        return self.certificate.names

    def kid(self, compat: str) -> str:
        """What its tokens say as `kid` under this `compat`; empty: they name the key otherwise."""
        return {
            "distribution2": self.names.libtrust,
            "distribution3": self.names.rfc7638,
            "jwks": self.names.rfc7638,
        }.get(compat, "")


@dataclass(frozen=True, slots=True)
class OurRegistry:
    """One entry of our `registries`. `lifetime` is in seconds; `also` are its further service names."""

    service: str
    issuer: str
    compat: str
    lifetime: int
    url: str | None = None
    also: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every service name of it, the one that it goes by here first."""
        return (self.service, *self.also)

    def called(self, service: str) -> OurRegistry:
        """The same registry, going by another one of its names."""
        others = tuple(name for name in self.names if name != service)
        return self if service == self.service else replace(self, service=service, also=others)


@dataclass(frozen=True, slots=True)
class Ours:
    """All that our side says. `config` is our configuration file.

    `keys` begins with the one that signs, then those that will; `retired` ones only have tokens that still live.
    `query` is what the addresses of these keys end with, where they are not those of the whole server.
    """

    config: str
    url: str
    realm: str
    registries: tuple[OurRegistry, ...]
    ca: Certificate
    keys: tuple[OurKey, ...]
    retired: tuple[OurKey, ...] = ()
    query: str = ""

    def registry(self, service: str | None) -> OurRegistry | None:
        """The registry of that service name, going by it; None where there is none."""
        found = next((registry for registry in self.registries if service in registry.names), None)
        return None if found is None or service is None else found.called(service)

    @property
    def services(self) -> list[str]:
        """Every service name of ours."""
        return [name for registry in self.registries for name in registry.names]

    @property
    def ca_url(self) -> str:
        """Where our server gives the token CA of these keys."""
        return f"{self.url}/ca.pem{self.query}"

    @property
    def jwks_url(self) -> str:
        """Where our server publishes these keys."""
        return f"{self.url}/.well-known/jwks.json{self.query}"

    @property
    def active(self) -> OurKey:
        """The key that signs."""
        return self.keys[0]
