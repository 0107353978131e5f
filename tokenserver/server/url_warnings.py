"""Warnings about `server.url`: plain http, and an IP address, which some clients reject in a realm."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from tokenserver.config.settings import Settings
from tokenserver.documents.urls import address_problem, host_of, is_address, is_internal_address, is_local

MAX_NAMED = 5
"""Registries that one warning names."""


def url_warnings(settings: Settings) -> Iterator[str]:
    """What is wrong with `server.url` for some clients, as sentences."""
    url, host = settings.server.url, host_of(settings.server.url)
    if url.startswith("http://") and not is_local(host):
        refused = ", so requests from other machines are refused" if settings.server.require_https else ""
        yield f"server.url is {url}: passwords would travel in clear text{refused}; use https://"
    if not is_address(host):
        return
    if not is_internal_address(host):
        yield (
            f"server.url is at an IP address, {host}: clients accept a public one in a realm (crane rejects private"
            " ones), but Distribution 3.1 as a mirror sends it no credentials; fix: use a host name"
        )
        return
    rejected: dict[str, list[str]] = {}
    for registry in settings.registries:
        problem = address_problem(url, None if registry.url is None else urlsplit(registry.url).netloc)
        if problem is not None:
            rejected.setdefault(problem, []).append(registry.service)
    for problem, services in rejected.items():
        more = f" and {len(services) - MAX_NAMED} more" if len(services) > MAX_NAMED else ""
        yield (
            f"server.url is at an IP address: {problem} (registry {', '.join(services[:MAX_NAMED])}{more});"
            " fix: use a host name, or forward /token on the registry's own host and port, and use that in server.url"
        )
