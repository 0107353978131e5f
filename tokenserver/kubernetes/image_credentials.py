"""The kubelet's image credential provider: the pod's service-account token is the password for the image's registry.

The API is `credentialprovider.kubelet.k8s.io/v1` with service-account tokens (KEP-4412). `deploy/kubernetes/
credential-provider` does the same without Python, with the same texts; change both.
"""

from __future__ import annotations

import json
import re

from tokenserver.kubernetes.json_members import JsonMembers, read_members
from tokenserver.kubernetes.token_expiry import token_expiry

MAX_REQUEST = 1_048_576
"""How many bytes a request has at most. Kubernetes allows 256 KiB of annotations; without any it has about 2 KiB."""

MAX_TOKEN = 8192
"""How many bytes of a JWT the server takes as a password."""

MAX_IMAGE = 8192
"""How many bytes an image's name has at most, with tag and digest."""

MAX_CACHED = 86_400
"""For how many seconds the kubelet may keep an answer, however long the token is valid."""

MARGIN = 60
"""How many seconds before the token's end the kubelet asks again: a pull that has begun asks for several tokens."""

API_VERSION = "credentialprovider.kubelet.k8s.io/v1"
USER = "workload"

_LEGIBLE = re.compile(r"[!-~]+")
_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@+-]*")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?")
_DEFAULT_REGISTRY = "docker.io"

_READ = ("kind", "apiVersion", "image", "serviceAccountToken")


class NoImageCredentials(ValueError):
    """The request cannot be answered. The text says why and how to fix it, and repeats nothing of the request."""


def answer(request: bytes, now: float) -> str:
    """The CredentialProviderResponse to a CredentialProviderRequest, as JSON on one line.

    The kubelet caches it per registry until a minute before the token's end; not at all if that is unknown or past.

    Raises:
        NoImageCredentials: the request has no token or no image, or is not a request.
    """
    members = _members(request)
    if _text(members, "kind") != "CredentialProviderRequest":
        raise NoImageCredentials(
            "the request on standard input is no CredentialProviderRequest; fix: let the kubelet run this program, as a"
            " provider of its CredentialProviderConfig"
        )
    if _text(members, "apiVersion") != API_VERSION:
        raise NoImageCredentials(
            f"the request has another apiVersion than {API_VERSION}; fix: set this apiVersion for the provider in the"
            " CredentialProviderConfig of the kubelet"
        )
    registry = _registry(_text(members, "image"))
    token = _token(_text(members, "serviceAccountToken"))
    response = {
        "apiVersion": API_VERSION,
        "kind": "CredentialProviderResponse",
        "cacheKeyType": "Registry",
        "cacheDuration": f"{_seconds(token, now)}s",
        "auth": {registry: {"username": USER, "password": token}},
    }
    return json.dumps(response, separators=(",", ":"))


def _members(request: bytes) -> JsonMembers:
    if len(request) > MAX_REQUEST:
        raise NoImageCredentials(
            "standard input has more than 1 MiB, which no request of the kubelet has; fix: pipe one"
            " CredentialProviderRequest into this program"
        )
    try:
        members = read_members(request)
    except ValueError:
        raise NoImageCredentials(
            "standard input is no JSON object of at most 64 levels; fix: pipe one CredentialProviderRequest into this"
            " program, as the kubelet does"
        ) from None
    if any(len(members.named(name)) > 1 for name in _READ):
        raise NoImageCredentials(
            "the request has kind, apiVersion, image or serviceAccountToken twice; fix: write each of them once"
        )
    return members


def _text(members: JsonMembers, name: str) -> str:
    """The value of a member; empty if it is missing or no string."""
    values = members.named(name)
    return values[0] if values and isinstance(values[0], str) else ""


def _registry(image: str) -> str:
    """The registry of an image, with its port, as the reference grammar of images finds it."""
    first, slash, path = image.partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    registry, path = (first, path) if is_host else (_DEFAULT_REGISTRY, image)
    if len(image) > MAX_IMAGE or _REGISTRY.fullmatch(registry) is None or _PATH.fullmatch(path) is None:
        raise NoImageCredentials(
            "the request has no image with a well-formed name; fix: correct `image` of the container, such as"
            " registry.example.com/web/site:1"
        )
    return registry


def _token(token: str) -> str:
    if not token:
        raise NoImageCredentials(
            "the request has no serviceAccountToken; fix: set tokenAttributes with serviceAccountTokenAudience,"
            " cacheType: Token and requireServiceAccount: true for this provider in the CredentialProviderConfig of the"
            " kubelet, on Kubernetes 1.34 or newer"
        )
    if _LEGIBLE.fullmatch(token) is None:
        raise NoImageCredentials(
            "the serviceAccountToken has characters that no token has; fix: pass the token on as the cluster issues it"
        )
    if len(token) > MAX_TOKEN:
        raise NoImageCredentials(
            "the serviceAccountToken has more than 8192 bytes, and the token server takes no more; fix: let the cluster"
            " issue shorter tokens"
        )
    return token


def _seconds(token: str, now: float) -> int:
    expiry = token_expiry(token)
    return 0 if expiry is None else min(max(0, expiry - MARGIN - int(now)), MAX_CACHED)
