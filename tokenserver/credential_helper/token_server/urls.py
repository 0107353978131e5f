"""URLs of registries and token servers: which may be asked, and where the endpoints of a token server are. Pure."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

MAX_URL = 2000

_PRINTABLE = re.compile(r"[!-~]+", re.ASCII)
_TOKEN_PATHS = ("/token", "/auth")
"""The endings of a realm: our own, and the one of existing installations."""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name alone."""
    return host in ("localhost", "::1") or re.fullmatch(r"127(?:\.[0-9]{1,3}){3}", host, re.ASCII) is not None


def is_protected(url: str) -> bool:
    """Whether what is sent to the URL can be read by nobody else: https, or plain http to this machine."""
    if len(url) > MAX_URL or _PRINTABLE.fullmatch(url) is None:
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.password is not None or parts.fragment or "\\" in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


def issuer_of(realm: str) -> str | None:
    """The URL of the token server whose realm this is, without a slash at the end; None if it cannot be one of ours."""
    if not is_protected(realm) or "?" in realm:
        return None
    for path in _TOKEN_PATHS:
        if realm.endswith(path):
            return realm[: -len(path)].rstrip("/")
    return None


def challenge_urls(registry: str) -> list[str]:
    """Where to ask a registry for its challenge: by https, and on this machine by plain http as well."""
    host = registry if registry.startswith("[") else registry.partition(":")[0]
    host = host.partition("]")[0].strip("[") if registry.startswith("[") else host
    urls = [f"https://{registry}/v2/"]
    return [*urls, f"http://{registry}/v2/"] if is_loopback(host) else urls


def is_own_service(registry: str, service: str) -> bool:
    """Whether the registry names its own host as its service, with or without the port."""
    return service.lower() in (registry, re.sub(r":[0-9]{1,5}\Z", "", registry))


def with_audience(url: str, audience: str) -> str:
    """The URL of GitHub's endpoint for ID tokens, for this audience."""
    return f"{url}{'&' if '?' in url else '?'}audience={quote(audience, safe='')}"
