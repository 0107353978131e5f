"""What a registry's own configuration must say to trust this server, and the file of keys beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from tokenserver.config.settings import RegistrySettings, Settings
from tokenserver.keys.jwk import jwk_set
from tokenserver.keys.ring import KeyRing

FITS = {
    "distribution2": ("universal", "distribution2"),
    "distribution3": ("universal", "distribution3", "jwks"),
    "zot": ("zot",),
}
"""What a registry may run -> the values of `compat` whose tokens it takes."""


class TrustedFile(NamedTuple):
    """The file that the registry trusts."""

    name: str
    content: str


def section(settings: Settings, registry: RegistrySettings, trust: Path, service: str) -> str:
    """The section about authentication: YAML for Distribution, JSON for zot.

    `trust` is where the registry finds the trusted file; `service` is the one of its names that it goes by.
    """
    if registry.compat == "zot":
        bearer = {"realm": settings.server.realm, "service": service, "cert": str(trust)}
        return json.dumps({"http": {"auth": {"bearer": bearer}}}, indent=2)
    values = {
        "realm": settings.server.realm,
        "service": service,
        "issuer": settings.issuer_of(registry),
        option_of(registry): str(trust),
    }
    # JSON strings are YAML strings, whatever they hold.
    lines = [f"    {name}: {json.dumps(value)}" for name, value in values.items()]
    return "\n".join(["auth:", "  token:", *lines])


def option_of(registry: RegistrySettings) -> str:
    """The registry's setting that names the trusted file."""
    return {"jwks": "jwks", "zot": "cert"}.get(registry.compat, "rootcertbundle")


def trusted(registry: RegistrySettings, ring: KeyRing) -> TrustedFile:
    """The name and the content of the file that the registry trusts. zot reads the first certificate alone."""
    if registry.compat == "universal":
        return TrustedFile("token-ca.pem", ring.ca_certificate_pem)
    if registry.compat == "jwks":
        return TrustedFile("jwks.json", jwk_set(ring))
    keys = [ring.active] if registry.compat == "zot" else ring.published()
    return TrustedFile("token-signing.pem", "".join(key.certificate_pem for key in keys))


def default_trust(registry: RegistrySettings, file: TrustedFile) -> Path:
    """Where the registry's documentation would have the file."""
    return Path("/etc/zot" if registry.compat == "zot" else "/etc/distribution") / file.name


def facts(registry: RegistrySettings, service: str, text: str, file: TrustedFile) -> dict[str, object]:
    """What `--json` tells: the section as it is pasted, and the trusted file."""
    return {
        "service": service,
        "compat": registry.compat,
        "section": text,
        "trusted": {"name": file.name, "content": file.content},
    }
