"""The settings of the server itself: where it listens, the URLs by which it is reached, TLS, and trusted proxies."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from tokenserver.config.fields import FilePath, Listen, NetworkText, Origin, PublicUrl, Section
from tokenserver.documents.document import PlacedError

MAX_WORKERS = 256

USUAL_MANAGEMENT = "127.0.0.1:5002"

NOTIFICATIONS_PATH = "/notifications"
"""The path below which each registry reports to its own service name."""


class Tls(Section):
    """The server's certificate (chain) and key, as PEM files."""

    certificate: FilePath
    key: FilePath


class ServerSettings(Section):
    """The addresses of the server, its public URL, TLS, and the proxies whose X-Forwarded-For it trusts.

    With `require_https`, token requests from other machines over plain http are rejected. Pages of the origins in
    `cors` may ask for tokens. Metrics have a separate address, or are off. Pages and the API for management may have a
    separate address, and then a URL of their own. So may the notifications of registries, without a URL.
    """

    listen: Listen = "127.0.0.1:5001"
    management: Listen | None = None
    metrics: Listen | None = None
    notifications: Listen | None = None
    url: PublicUrl
    management_url: PublicUrl | None = None
    tls: Tls | None = None
    trusted_proxies: tuple[NetworkText, ...] = Field(default=(), strict=False)
    require_https: bool = True
    cors: tuple[Origin, ...] = Field(default=(), strict=False)
    workers: Annotated[int, Field(ge=1, le=MAX_WORKERS)] | None = None

    @model_validator(mode="after")
    def _tls_and_url_agree(self) -> Self:
        if self.tls is not None and self.url.startswith("http://"):
            raise PlacedError(("url",), "begins with http:// although tls is configured; use https://")
        return self

    @model_validator(mode="after")
    def _tls_and_management_url_agree(self) -> Self:
        if self.tls is not None and self.management_url is not None and self.management_url.startswith("http://"):
            raise PlacedError(("management_url",), "begins with http:// although tls is configured; use https://")
        return self

    @model_validator(mode="after")
    def _metrics_have_a_separate_port(self) -> Self:
        if self.metrics is not None and _port(self.metrics) == _port(self.listen):
            raise PlacedError(("metrics",), f"has the port of listen ({self.listen}); metrics need a different one")
        return self

    @model_validator(mode="after")
    def _management_has_a_separate_port(self) -> Self:
        for key, other in (("listen", self.listen), ("metrics", self.metrics)):
            if self.management is not None and other is not None and _port(other) == _port(self.management):
                raise PlacedError(("management",), f"has the port of {key} ({other}); management needs a different one")
        return self

    @model_validator(mode="after")
    def _notifications_have_a_separate_port(self) -> Self:
        others = (("listen", self.listen), ("metrics", self.metrics), ("management", self.management))
        for key, other in others:
            if self.notifications is not None and other is not None and _port(other) == _port(self.notifications):
                message = f"has the port of {key} ({other}); notifications need a different one"
                raise PlacedError(("notifications",), message)
        return self

    @model_validator(mode="after")
    def _management_has_a_url(self) -> Self:
        if self.management is not None and self.management_url is None:
            message = (
                "needs management_url, by which browsers reach the pages there;"
                " fix: add management_url: https://… (that of url, if a proxy sends the paths of pages there)"
            )
            raise PlacedError(("management",), message)
        if self.management is None and self.management_url is not None:
            message = f"is for the listener management, which is missing; fix: add management: {USUAL_MANAGEMENT}"
            raise PlacedError(("management_url",), message)
        return self

    @property
    def realm(self) -> str:
        """The token endpoint as registries announce it to clients."""
        return f"{self.url}/token"

    @property
    def path(self) -> str:
        """The path of the public URL, without a slash at the end; empty if it has none."""
        return urlsplit(self.url).path

    @property
    def pages_url(self) -> str:
        """The URL by which browsers and programs reach pages and the API."""
        return self.url if self.management_url is None else self.management_url

    @property
    def pages_path(self) -> str:
        """The path of `pages_url`, without a slash at the end; empty if it has none."""
        return urlsplit(self.pages_url).path

    @property
    def addresses(self) -> dict[str, tuple[str, int]]:
        """The addresses and ports that workers listen on, by the key that names each."""
        others = {"management": self.management, "notifications": self.notifications}
        further = {key: address_of(address) for key, address in others.items() if address is not None}
        return {"listen": self.address} | further

    @property
    def notifications_url(self) -> str:
        """The URL below which registries report to this server, without a slash at the end.

        A listener of its own is at its address; where it listens on every address, at the host of `url`.
        """
        if self.notifications is None:
            return f"{self.url}{NOTIFICATIONS_PATH}"
        host, port = address_of(self.notifications)
        if ip_address(host).is_unspecified:
            host = urlsplit(self.url).hostname or host
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{NOTIFICATIONS_PATH}"

    @property
    def metrics_url(self) -> str | None:
        """The URL of the metrics; None if they are off."""
        return None if self.metrics is None else f"http://{self.metrics}/metrics"

    @property
    def address(self) -> tuple[str, int]:
        """The address and the port to listen on."""
        return address_of(self.listen)


def address_of(listen: str) -> tuple[str, int]:
    """The address and the port that `ADDRESS:PORT` names."""
    host, _, port = listen.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _port(listen: str) -> int:
    return address_of(listen)[1]
