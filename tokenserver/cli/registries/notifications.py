"""The section of a registry's own configuration by which it reports to this server what was pushed, pulled, deleted."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tokenserver.config.settings import RegistrySettings, Settings
from tokenserver.credentials import Secret
from tokenserver.documents.json_output import json_text
from tokenserver.notifications.facts import DEEDS

TIMEOUT = "5s"
"""How long the registry waits for an answer: longer than this server waits for its audit trail."""


def notifications_section(settings: Settings, registry: RegistrySettings, service: str, secret: Secret) -> str:
    """The section: YAML for Distribution, JSON for zot. It contains the secret."""
    url = f"{settings.server.notifications_url}/{quote(service, safe=':')}"
    if registry.compat == "zot":
        sink = {
            "type": "http",
            "address": url,
            "timeout": TIMEOUT,
            "credentials": {"username": "zot", "password": secret.reveal()},
        }
        return json_text({"extensions": {"events": {"enable": True, "sinks": [sink]}}}, indent=2)
    endpoint: dict[str, Any] = {
        "name": "tokenserver",
        "url": url,
        "headers": {"Authorization": [f"Bearer {secret.reveal()}"]},
        "timeout": TIMEOUT,
        "threshold": 3,
        "backoff": "1s",
    }
    wanted = registry.notifications
    unwanted = [action for action in DEEDS if wanted is not None and action not in wanted.actions]
    if unwanted:
        endpoint["ignore"] = {"actions": unwanted}
    # A JSON value is a YAML value, whatever it holds.
    lines = [f"      {name}: {json_text(value)}" for name, value in endpoint.items()]
    return "\n".join(["notifications:", "  endpoints:", "    -" + lines[0].removeprefix("     "), *lines[1:]])
