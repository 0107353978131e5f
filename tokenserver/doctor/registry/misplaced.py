"""Documents that are no registry's configuration, and token settings where a registry ignores them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SETTINGS = frozenset({"realm", "service", "issuer", "rootcertbundle", "jwks", "cert"})
_DEPTH = 4
_HANDED = "pass that by --registry-config"


def other_document(value: Any) -> str | None:
    """What a YAML or JSON document is instead of a registry's configuration; None if it may be one.

    The sentence goes on after the file's name: `is a Kubernetes ConfigMap; …`.
    """
    match value:
        case {"kind": str(kind), "apiVersion": str()} | {"kind": str(kind), "apiversion": str()}:
            return f"is a Kubernetes {kind}; {_inside(value)}"
        case {"services": dict()} if "storage" not in value:
            return (
                f"is a compose file; the registry's configuration is the file that it mounts, {_HANDED}; variables"
                " under environment go into a file for --registry-env, as NAME=VALUE"
            )
        case {"configData": dict()}:
            return f"is a file of Helm values; the configuration is its part configData: save it alone and {_HANDED}"
        case {"issuer": _, "registries": _} | {"authentication": list()}:
            return f"is a configuration of tokenserver; the registry has one of its own: {_HANDED}"
        case {"token": {"issuer": _}, "server": dict()}:
            return f"is a configuration of a token server; the registry has one of its own: {_HANDED}"
    return None


def _inside(value: Mapping[str, Any]) -> str:
    data = value.get("data") or value.get("stringData") or value.get("stringdata")
    names = [name for name in data if isinstance(name, str)] if isinstance(data, dict) else []
    if len(names) == 1:
        return f"the configuration is its part data, {names[0]}: save it alone and {_HANDED}"
    return f"the registry's configuration is a file that it carries or mounts: save it alone and {_HANDED}"


def stray_settings(value: Mapping[str, Any], right: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Where settings of the token section stand other than at `right`: the paths of mappings that hold two or more."""
    waiting: list[tuple[tuple[str, ...], Mapping[Any, Any]]] = [((), value)]
    while waiting:
        path, section = waiting.pop(0)
        if path != right and len(SETTINGS & {key for key in section if isinstance(key, str)}) > 1:
            yield path
        if len(path) < _DEPTH:
            waiting += [((*path, str(key)), one) for key, one in section.items() if isinstance(one, dict)]
