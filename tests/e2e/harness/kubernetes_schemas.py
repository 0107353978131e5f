"""JSON schemas of Kubernetes' objects for kubeconform, made of what `make real-servers` fetches."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from harness.processes import Output, plain_environment, run
from harness.programs import ROOT, need, refuse

FETCHED = ROOT / ".tools" / "kubernetes-schemas"

_NAMES = {"io.k8s.apimachinery.pkg.util.intstr.IntOrString", "io.k8s.apimachinery.pkg.api.resource.Quantity"}


def validate(manifests: Path, folder: Path) -> Output:
    """Validate a file of manifests with kubeconform: fields that Kubernetes does not know, too, are faults."""
    program = need("kubeconform")
    schemas = folder / "schemas"
    if not schemas.exists():
        schemas.mkdir()
        for kind, schema in _schemas().items():
            (schemas / f"{kind}.json").write_text(schema)
    location = f"{schemas}/{{{{.ResourceKind}}}}.json"
    command: list[str | Path] = [program, "-strict", "-summary", "-schema-location", location, manifests]
    return run(command, environment=plain_environment(folder), folder=folder)


@cache
def _schemas() -> dict[str, str]:
    """The schema of every kind that the chart makes, by its name in lower case."""
    if not FETCHED.is_dir():
        refuse("kubernetes-schemas is not installed; make real-servers installs it")
    definitions = json.loads((FETCHED / "swagger.json").read_text())["definitions"]
    kinds = {
        (row["group"], row["version"], row["kind"]): name
        for name, definition in definitions.items()
        for row in definition.get("x-kubernetes-group-version-kind", ())
    }
    found = {
        kind.lower(): json.dumps(_complete(kinds[group, version, kind], definitions)) for group, version, kind in _USED
    }
    for file in FETCHED.glob("*.yaml"):
        for resource in yaml.load_all(file.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if resource is None or resource["kind"] != "CustomResourceDefinition":
                continue
            schema = next(version["schema"] for version in resource["spec"]["versions"] if version["name"] == "v1")
            strict = _strict(schema["openAPIV3Schema"])
            # What an object of any kind has, too.
            strict["properties"]["metadata"] = {"type": "object"}
            found[resource["spec"]["names"]["kind"].lower()] = json.dumps(strict)
    return found


_USED = [
    ("", "v1", "ConfigMap"),
    ("", "v1", "PersistentVolumeClaim"),
    ("", "v1", "Service"),
    ("", "v1", "ServiceAccount"),
    ("apps", "v1", "Deployment"),
    ("autoscaling", "v2", "HorizontalPodAutoscaler"),
    ("networking.k8s.io", "v1", "Ingress"),
    ("networking.k8s.io", "v1", "NetworkPolicy"),
    ("policy", "v1", "PodDisruptionBudget"),
]


def _complete(name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """A definition with all that it refers to."""
    needed: dict[str, Any] = {}
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one not in needed:
            needed[one] = {"type": ["string", "number"]} if one in _NAMES else _strict(definitions[one])
            waiting += _references(definitions[one])
    return {"$ref": f"#/definitions/{name}", "definitions": needed}


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"].removeprefix("#/definitions/")] if isinstance(value.get("$ref"), str) else []
        return own + [name for inner in value.values() for name in _references(inner)]
    return [name for inner in value for name in _references(inner)] if isinstance(value, list) else []


def _strict(value: Any) -> Any:
    """The same schema, in which objects with known fields have no others."""
    if isinstance(value, list):
        return [_strict(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if value.get("x-kubernetes-int-or-string"):
        return {"type": ["string", "integer"]}
    made = {key: _strict(inner) for key, inner in value.items() if key not in ("format", "description", "example")}
    # A property may be called like a word of the schema.
    if "properties" in value and isinstance(value["properties"], dict):
        made["properties"] = {name: _strict(inner) for name, inner in value["properties"].items()}
        if not value.get("x-kubernetes-preserve-unknown-fields"):
            made.setdefault("additionalProperties", False)
    return made
