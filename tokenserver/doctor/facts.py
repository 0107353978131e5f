"""Facts that checks compare: our registries and keys, and a registry's configuration and trusted keys. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum


class RegistryKind(StrEnum):
    """A token verifier, by registry generation. They differ in how they look up a key and in what they check."""

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
"""The verifiers that must accept tokens of each `compat`."""


@dataclass(frozen=True, slots=True)
class KeyNames:
    """The key ids of a public key: libtrust, RFC 7638, and two Distribution releases that compute RFC 7638 wrongly.

    An id is empty if that release does not support the key. `spki` is the SHA-256 of the key in DER; it identifies
    keys here and is not used by any registry.
    """

    spki: str
    libtrust: str
    rfc7638: str
    distribution30: str
    distribution31: str

    def kid(self, kind: RegistryKind) -> str:
        """The `kid` that this verifier computes for a certificate in its bundle; empty for zot, which ignores `kid`."""
        return {
            RegistryKind.DISTRIBUTION2: self.libtrust,
            RegistryKind.DISTRIBUTION30: self.distribution30,
            RegistryKind.DISTRIBUTION3: self.distribution31,
        }.get(kind, "")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate. `sha256` (hex) is the fingerprint of its DER form."""

    sha256: str
    subject: str
    is_ca: bool
    not_before: datetime
    not_after: datetime
    key: str
    names: KeyNames


@dataclass(frozen=True, slots=True)
class TrustFile:
    """The contents of a file of trusted certificates.

    `problem`: why a registry reads none of it; `lost`: why it reads only some of it. Both go on after "the file".
    `is_absent`: there is no such file on this machine.
    """

    path: str
    problem: str | None = None
    certificates: tuple[Certificate, ...] = ()
    public_keys: tuple[KeyNames, ...] = ()
    others: tuple[str, ...] = ()
    lost: str | None = None
    is_absent: bool = False


@dataclass(frozen=True, slots=True)
class JwksEntry:
    """One key of a JWKS. `kid` is None if absent; `names` is None if registries do not support the key."""

    kid: str | None
    names: KeyNames | None


@dataclass(frozen=True, slots=True)
class JwksFile:
    """The contents of a JWKS file. `problem`: why it could not be read. `is_absent`: it is not on this machine."""

    path: str
    problem: str | None = None
    keys: tuple[JwksEntry, ...] = ()
    is_absent: bool = False


@dataclass(frozen=True, slots=True)
class Uses:
    """What a registry's configuration allows at all, whatever a token grants.

    `deletes`: deleting is enabled; None if that is not known. `is_readonly`: nothing can be pushed or deleted.
    `host` is the address to which it sends clients, and `prefix` the path that its own paths begin with.
    `access_control`: zot's accessControl, which does not go with bearer alone.
    """

    deletes: bool | None = None
    is_readonly: bool = False
    host: str | None = None
    prefix: str | None = None
    access_control: bool = False


@dataclass(frozen=True, slots=True)
class Mirror:
    """A pull-through mirror: the URL of the registry that it is of, and whether it logs in there."""

    remote: str
    has_login: bool


@dataclass(frozen=True, slots=True)
class Setup:
    """The token settings of a registry's configuration; a setting that is absent is None.

    `auth` is the authentication method (`token`, `htpasswd`, `none` …); `places` is the location of each key, for
    fixes. `unknown_keys` are ignored by the registry, each with a hint at the right key. `only_in_3` are keys that
    only Distribution 3 knows. `https`: the registry itself serves TLS. `empty` are the missing or empty keys that
    disable the token section as a whole; `remark` adds to the explanation of `auth`. `stray` is where settings for
    tokens stand instead of in their section, where the registry ignores them. `is_old`: the configuration names version
    1.0 of the distribution specification, as those of zot before 2.0 do. `mirror`: it is one. `users` is the path of
    the users file that the registry itself checks.
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
    unknown_keys: tuple[tuple[str, str], ...] = ()
    only_in_3: tuple[str, ...] = ()
    https: bool = False
    empty: tuple[str, ...] = ()
    remark: str = ""
    stray: str = ""
    is_old: bool = False
    uses: Uses = Uses()
    mirror: Mirror | None = None
    users: str | None = None
    places: Mapping[str, str] = field(default_factory=dict)

    def place(self, key: str) -> str:
        """The location of the key, or of the section it belongs to."""
        return self.places.get(key) or self.places[""]


@dataclass(frozen=True, slots=True)
class OurKey:
    """One of our published signing keys."""

    id: str
    algorithm: str
    certificate: Certificate

    @property
    def names(self) -> KeyNames:
        """Its key ids."""
        return self.certificate.names

    def kid(self, compat: str) -> str:
        """The `kid` of its tokens under this `compat`; empty if they identify the key by other means."""
        return {
            "distribution2": self.names.libtrust,
            "distribution3": self.names.rfc7638,
            "jwks": self.names.rfc7638,
        }.get(compat, "")


@dataclass(frozen=True, slots=True)
class OurRegistry:
    """One entry of our `registries`. `lifetime` is in seconds; `also` are alternative service names.

    `algorithm` is the one that its own settings prescribe.
    """

    service: str
    issuer: str
    compat: str
    lifetime: int
    url: str | None = None
    also: tuple[str, ...] = ()
    algorithm: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All its service names, the primary one first."""
        return (self.service, *self.also)

    def called(self, service: str) -> OurRegistry:
        """The same registry with another of its names as primary."""
        others = tuple(name for name in self.names if name != service)
        return self if service == self.service else replace(self, service=service, also=others)


@dataclass(frozen=True, slots=True)
class Ours:
    """Our side: configuration and keys. `config` is the path of our configuration file.

    `keys` starts with the active key, followed by the next ones; tokens signed by `retired` keys may still be valid.
    `query` is appended to the URLs of these keys if they are not the server-wide ones.
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
        """The registry with that service name, as its primary name; None if there is none."""
        found = next((registry for registry in self.registries if service in registry.names), None)
        return None if found is None or service is None else found.called(service)

    @property
    def services(self) -> list[str]:
        """The service names of all registries."""
        return [name for registry in self.registries for name in registry.names]

    @property
    def ca_url(self) -> str:
        """The URL of the token CA of these keys."""
        return f"{self.url}/ca.pem{self.query}"

    @property
    def jwks_url(self) -> str:
        """The URL of these keys as a JWKS."""
        return f"{self.url}/.well-known/jwks.json{self.query}"

    @property
    def active(self) -> OurKey:
        """The active signing key."""
        return self.keys[0]
