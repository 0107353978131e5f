"""JSON Schema of tokenserver.yaml and of a registry's file, for editors: generated from the types of the settings.

The schema accepts whatever the loader accepts. It does not know everything that the loader refuses, such as keys that
contradict each other.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from tokenserver.config.introspection import shorthand
from tokenserver.config.keys import Keys
from tokenserver.config.reference.descriptions import DESCRIPTIONS
from tokenserver.config.registries import Lifetimes, RegistrySettings
from tokenserver.config.settings import Settings
from tokenserver.config.sources.ldap import Ldap, LdapGroups
from tokenserver.config.sources.oidc import OidcGroups
from tokenserver.config.sources.workload import WorkloadSettings
from tokenserver.documents.json_schema import DIALECT

_SHORTHANDS: dict[type[BaseModel], str] = {Lifetimes: "default"}
"""Sections that a plain value of one key stands for, besides those that name a shorthand themselves."""

_USUAL: frozenset[tuple[type[BaseModel], str]] = frozenset({(Keys, "folder")})
"""Keys that are required after the loader has filled them in."""

_BY_NAME = {model.__name__: model for model in DESCRIPTIONS}


def settings_schema() -> dict[str, Any]:
    """The JSON Schema (draft 7) of tokenserver.yaml."""
    schema = _schema_of(Settings, "tokenserver.yaml")
    registries = schema["properties"]["registries"]
    schema["properties"]["registries"] = {
        "description": registries.pop("description"),
        "anyOf": [registries, {"type": "string", "minLength": 1}],
    }
    return schema


def registry_schema() -> dict[str, Any]:
    """The JSON Schema (draft 7) of one file in a folder of registries."""
    return _schema_of(RegistrySettings, "registry")


def _schema_of(model: type[BaseModel], title: str) -> dict[str, Any]:
    schema = model.model_json_schema()
    sections = schema.get("$defs", {})
    for name, section in sections.items():
        _describe(section, _BY_NAME[name])
        sections[name] = _with_shorthand(section, _BY_NAME[name])
    _describe(schema, model)
    for name in ("url", "base", "strip_domain"):
        _allow_one(sections.get(Ldap.__name__, {}).get("properties", {}), name)
    _allow_one(sections.get(LdapGroups.__name__, {}).get("properties", {}), "base")
    _allow_one(sections.get(OidcGroups.__name__, {}).get("properties", {}), "allow")
    _allow_one(sections.get(WorkloadSettings.__name__, {}).get("properties", {}), "audience")
    return {"$schema": DIALECT, "title": title, **{key: value for key, value in schema.items() if key != "title"}}


def _describe(section: dict[str, Any], model: type[BaseModel]) -> None:
    """Replace pydantic's titles by descriptions, and leave out defaults that only say that a key may be missing."""
    section.pop("title", None)
    section["description"] = " ".join((model.__doc__ or "").partition("\n\n")[0].split())
    for name, key in section["properties"].items():
        key.pop("title", None)
        key["description"] = DESCRIPTIONS[model][name]
        if key.get("default", 0) is None or isinstance(key.get("default"), dict):
            del key["default"]


def _with_shorthand(section: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """The section, or just text if the section has a shorthand."""
    key = shorthand(model) or _SHORTHANDS.get(model)
    if key is None:
        return section
    required = [name for name in section.pop("required", []) if (model, name) not in _USUAL]
    with_required = {**section, "required": required} if required else section
    plain = {name: value for name, value in section["properties"][key].items() if name != "default"}
    return {"anyOf": [plain, with_required]}


def _allow_one(keys: dict[str, Any], name: str) -> None:
    """Let a single item stand for a list of one."""
    if name in keys:
        several = keys[name]
        more = {key: several.pop(key) for key in ("description", "default") if key in several}
        forms = several.get("anyOf", [several])
        items = next(form["items"] for form in forms if "items" in form)
        keys[name] = {**more, "anyOf": [items, *forms]}
