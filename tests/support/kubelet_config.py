"""The rules by which a kubelet (1.34 to 1.37) accepts a CredentialProviderConfig, and by which it matches images.

After `pkg/credentialprovider/plugin/config.go` and `pkg/credentialprovider/keyring.go` of Kubernetes. Its decoder is
strict: a key that it does not know is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

API = "credentialprovider.kubelet.k8s.io/v1"
_KEYS = {"name", "matchImages", "defaultCacheDuration", "apiVersion", "args", "env", "tokenAttributes"}
_TOKEN_KEYS = {
    "serviceAccountTokenAudience",
    "cacheType",
    "requireServiceAccount",
    "requiredServiceAccountAnnotationKeys",
    "optionalServiceAccountAnnotationKeys",
}
_DURATION = re.compile(r"0|(?:[0-9]+(?:\.[0-9]+)?(?:h|m|s|ms|us|ns))+")
_ANNOTATION = re.compile(r"(?:[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?/)?[a-z0-9](?:[-._a-z0-9]{0,61}[a-z0-9])?", re.I)


def faults(config: dict[str, Any]) -> list[str]:
    """What a kubelet finds wrong; empty if it starts with the file."""
    found = [f"unknown key {key}" for key in config.keys() - {"apiVersion", "kind", "providers"}]
    if (config.get("apiVersion"), config.get("kind")) != ("kubelet.config.k8s.io/v1", "CredentialProviderConfig"):
        found.append("apiVersion or kind")
    providers = config.get("providers") or []
    if not providers:
        found.append("no providers")
    names = [provider.get("name", "") for provider in providers]
    found += ["a name twice"] if len(set(names)) < len(names) else []
    return [*found, *(fault for provider in providers for fault in _of_provider(provider))]


def _of_provider(provider: dict[str, Any]) -> Iterator[str]:
    yield from (f"unknown key {key}" for key in provider.keys() - _KEYS)
    if re.fullmatch(r"(?!\.{1,2}$)[^/ ]+", provider.get("name", "")) is None:
        yield "name"
    if provider.get("apiVersion") not in (API, f"{API}beta1", f"{API}alpha1"):
        yield "apiVersion of the provider"
    if not provider.get("matchImages"):
        yield "matchImages"
    if _DURATION.fullmatch(str(provider.get("defaultCacheDuration"))) is None:
        yield "defaultCacheDuration"
    if "tokenAttributes" in provider:
        yield from _of_token(provider["tokenAttributes"], provider.get("apiVersion"))


def _of_token(attributes: dict[str, Any], version: str | None) -> Iterator[str]:
    yield from (f"unknown key {key}" for key in attributes.keys() - _TOKEN_KEYS)
    if not attributes.get("serviceAccountTokenAudience"):
        yield "serviceAccountTokenAudience"
    if attributes.get("cacheType") not in ("Token", "ServiceAccount"):
        yield "cacheType"
    if not isinstance(attributes.get("requireServiceAccount"), bool):
        yield "requireServiceAccount"
    if version != API:
        yield "tokenAttributes with an older apiVersion"
    required = attributes.get("requiredServiceAccountAnnotationKeys", [])
    optional = attributes.get("optionalServiceAccountAnnotationKeys", [])
    if required and attributes.get("requireServiceAccount") is False:
        yield "requiredServiceAccountAnnotationKeys without requireServiceAccount"
    if len({*required, *optional}) < len(required) + len(optional):
        yield "an annotation twice"
    if any(_ANNOTATION.fullmatch(key) is None for key in [*required, *optional]):
        yield "annotation"


def matches(pattern: str, image: str) -> bool:
    """Whether a key of the answer, or an entry of `matchImages`, is for this image."""
    (labels, port, path), (own_labels, own_port, own_path) = _split(pattern), _split(image)
    pairs = zip(labels, own_labels, strict=False)
    return (
        (port, len(labels)) == (own_port, len(own_labels))
        and own_path.startswith(path)
        and all(fnmatchcase(own, label) for label, own in pairs)
    )


def _split(name: str) -> tuple[list[str], str, str]:
    host, slash, path = name.partition("/")
    numbered = re.fullmatch(r"\[?([^][]*)\]?:([0-9]+)", host)
    labels, port = (numbered[1], numbered[2]) if numbered else (host, "")
    return labels.split("."), port, slash + path
