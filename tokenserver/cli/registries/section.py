"""The auth section of a registry's own configuration, and the file of trusted keys that it names."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tokenserver.config.settings import RegistrySettings, Settings
from tokenserver.documents.json_output import json_text
from tokenserver.keys.jwk import jwk_set
from tokenserver.keys.ring import KeyRing

FITS = {
    "distribution2": ("universal", "distribution2"),
    "distribution3": ("universal", "distribution3", "jwks"),
    "zot": ("zot",),
}
"""The software of a registry -> the values of `compat` whose tokens it accepts."""


class TrustedFile(NamedTuple):
    """The file of keys that a registry trusts."""

    name: str
    content: str


def section(settings: Settings, registry: RegistrySettings, trust: Path, service: str) -> str:
    """The auth section: YAML for Distribution, JSON for zot.

    `trust` is the path of the trusted keys on the registry; `service` is the name that the registry uses of all it has.
    """
    if registry.compat == "zot":
        bearer = {"realm": settings.server.realm, "service": service, "cert": str(trust)}
        return json_text({"http": {"auth": {"bearer": bearer}}}, indent=2)
    values = {
        "realm": settings.server.realm,
        "service": service,
        "issuer": settings.issuer_of(registry),
        option_of(registry): str(trust),
    }
    # A JSON string is a YAML string, whatever it holds.
    lines = [f"    {name}: {json_text(value)}" for name, value in values.items()]
    return "\n".join(["auth:", "  token:", *lines])


def option_of(registry: RegistrySettings) -> str:
    """The registry's setting that names the trusted keys."""
    return {"jwks": "jwks", "zot": "cert"}.get(registry.compat, "rootcertbundle")


def trusted(registry: RegistrySettings, ring: KeyRing) -> TrustedFile:
    """The file of keys that the registry trusts. zot reads only the first certificate in it."""
    if registry.compat == "universal":
        return TrustedFile("token-ca.pem", ring.ca_certificate_pem)
    if registry.compat == "jwks":
        return TrustedFile("jwks.json", jwk_set(ring))
    keys = [ring.active] if registry.compat == "zot" else ring.published()
    return TrustedFile("token-signing.pem", "".join(key.certificate_pem for key in keys))


def default_trust(registry: RegistrySettings, file: TrustedFile) -> Path:
    """Where the registry's documentation places the file."""
    return Path("/etc/zot" if registry.compat == "zot" else "/etc/distribution") / file.name


def facts(registry: RegistrySettings, service: str, text: str, file: TrustedFile) -> dict[str, object]:
    """The `--json` form: the section as text, and the trusted keys."""
    return {
        "service": service,
        "compat": registry.compat,
        "section": text,
        "trusted": {"name": file.name, "content": file.content},
    }
