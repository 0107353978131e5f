"""The settings, typed and frozen, as `tokenserver.yaml` spells them. Reading them is `load`'s work."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from tokenserver.documents import PlacedError

MIN_LIFETIME = 60
MAX_LIFETIME = 3600
MAX_WORKERS = 256

Network = IPv4Network | IPv6Network

_DURATION = re.compile(r"([0-9]{1,6})(s|m|h|d)", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*\.?")
_SOURCE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)


def _duration(value: Any) -> Any:
    """Seconds from `90s`, `15m`, `1h`, `30d`, or a plain number of seconds."""
    if isinstance(value, str):
        matched = _DURATION.fullmatch(value)
        if matched is None:
            raise ValueError(f"must be a duration such as 90s, 15m or 1h, not {value!r}")
        return int(matched[1]) * _UNITS[matched[2]]
    return value


def _lifetime(seconds: int) -> int:
    if not MIN_LIFETIME <= seconds <= MAX_LIFETIME:
        raise ValueError(
            f"must be from 60s to 1h, not {seconds}s: clients take less for 60 s, and no token is called back"
        )
    return seconds


def _name_text(value: str) -> str:
    """Text that is safe inside a header's quoted string and a token: printable ASCII without quotes."""
    if not value or len(value) > 255 or re.fullmatch(r"[ -~]+", value) is None or '"' in value or "\\" in value:
        raise ValueError("must be 1 to 255 printable ASCII characters without quotes and backslashes")
    if value != value.strip():
        raise ValueError("must not begin or end with a blank")
    return value


def _path(value: Any, info: ValidationInfo) -> Any:
    """A path relative to the file it stands in, made absolute."""
    if not isinstance(value, (str, Path)):
        return value
    if not str(value) or "\0" in str(value):
        raise ValueError("must be a path")
    base = (info.context or {}).get("base", Path())
    try:
        return Path(base) / Path(value).expanduser()
    except RuntimeError as error:  # what expanduser raises for a user that does not exist
        raise ValueError(f"there is no home folder for {Path(value).parts[0]!r}") from error


def _url(value: str) -> str:
    """An http or https URL with a host name, without query and fragment; a closing slash is dropped."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise ValueError("must be a URL such as https://auth.example.com") from error
    if not value.startswith(("http://", "https://")) or not parts.hostname or port == 0:
        raise ValueError("must be a URL such as https://auth.example.com")
    # A bare "?" or "#" counts as well: a path that is put behind it would not be a path any more.
    if "?" in value or "#" in value or parts.username is not None or re.fullmatch(r"[!-~]+", value) is None:
        raise ValueError("must be a URL without user, query, fragment and blanks")
    if '"' in value or "\\" in value:
        raise ValueError("must not hold quotes or backslashes")
    return value.rstrip("/")


def _public_url(value: str) -> str:
    value = _url(value)
    host = urlsplit(value).hostname or ""
    try:
        ip_address(host)
    except ValueError:
        if _HOST_NAME.fullmatch(host) is None:
            raise ValueError(f"{host!r} is not a host name") from None
        return value
    raise ValueError(f"must hold a host name: crane and oras refuse a token server at an IP address ({host})")


def _listen(value: str) -> str:
    host, colon, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or re.fullmatch(r"[0-9]{1,5}", port) is None or not 0 < int(port) < 65536:
        raise ValueError("must be ADDRESS:PORT, such as 127.0.0.1:5001 or [::]:5001")
    try:
        ip_address(host)
    except ValueError:
        raise ValueError(f"must begin with an IP address, not {host!r}; 0.0.0.0 listens everywhere") from None
    return value


def _network(value: Any) -> Any:
    if isinstance(value, (IPv4Network, IPv6Network)):
        return value
    if not isinstance(value, str):
        raise ValueError("must be a network such as 10.0.0.0/8")  # noqa: TRY004 - pydantic takes a ValueError
    try:
        return ip_network(value)
    except ValueError:
        pass
    try:
        right = ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"must be a network such as 10.0.0.0/8, not {value!r}") from None
    raise ValueError(f"{value!r} has host bits set; the network is {right}")


def _source_name(value: str) -> str:
    if _SOURCE_NAME.fullmatch(value) is None:
        raise ValueError("must be lower-case letters, digits, '.', '_' and '-', at most 64")
    return value


Lifetime = Annotated[int, BeforeValidator(_duration), AfterValidator(_lifetime)]
NameText = Annotated[str, AfterValidator(_name_text)]
FilePath = Annotated[Path, BeforeValidator(_path)]
Url = Annotated[str, AfterValidator(_url)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
Listen = Annotated[str, AfterValidator(_listen)]
NetworkText = Annotated[Network, BeforeValidator(_network)]
SourceName = Annotated[str, AfterValidator(_source_name)]


class Section(BaseModel):
    """A part of the configuration: frozen, exact about types, and without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)


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


class UserSource(Section):
    """One entry of `authentication`: exactly one kind of user source."""

    htpasswd: Htpasswd | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if self.htpasswd is None:
            raise ValueError("must name one kind of user source, such as htpasswd: {file: users.htpasswd}")
        return self

    @property
    def name(self) -> str:
        """The name of the source, whatever its kind."""
        assert self.htpasswd is not None  # noqa: S101 - _exactly_one has seen to it
        return self.htpasswd.name


class Settings(Section):
    """Everything that `tokenserver.yaml` says."""

    issuer: NameText
    server: Server
    registries: tuple[Registry, ...] = Field(strict=False)
    authentication: tuple[UserSource, ...] = Field(default=(), strict=False)
    anonymous: bool = False
    policies: FilePath
    keys: FilePath

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
        return authentication

    @model_validator(mode="after")
    def _somebody_can_log_in(self) -> Self:
        if not self.authentication and not self.anonymous:
            message = "is empty and anonymous is off, so nobody could ever get a token"
            raise PlacedError(("authentication",), message)
        return self

    def registry(self, service: str) -> Registry | None:
        """The registry of that service name, or None."""
        return next((registry for registry in self.registries if registry.service == service), None)


def _refuse_repeats(key: str, names: list[str]) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise PlacedError((index,), f"the {key} {name!r} stands twice; each entry needs its own")
