"""Image names as clients print and users paste them: host, repository, tag and digest; and the registry of a host.

The grammar is that of the reference library (https://github.com/distribution/reference, `ParseNormalizedNamed` and
`splitDockerDomain`). URLs of images are understood as well: with a scheme, as skopeo and Helm write them, and those of
the distribution specification (`/v2/NAME/manifests/TAG`), which clients quote in errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tokenserver.errors import TokenserverError
from tokenserver.scopes import is_repository_name

SCHEMES = ("https", "http", "docker", "oci")
"""Schemes of URLs that name an image: of a registry's API, of skopeo, and of Helm."""

MAX_HINTED = 512
"""Characters of a scope that may get a hint; longer ones are no image name."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.ASCII | re.DOTALL)
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9A-Fa-f]{32,}", re.ASCII)
_API = re.compile(r"v2/(.+)/(manifests|blobs|tags|referrers)/(?:uploads/)?([^/]*)", re.DOTALL)

_DOCKER_HUB, _DOCKER_HUB_INDEX, _DOCKER_HUB_LIBRARY = "docker.io", "index.docker.io", "library"
_DEFAULT_PORTS = {"https": "443", "http": "80"}


class ImageNameError(TokenserverError):
    """The text is no image name; the message says which part of it is wrong."""


@dataclass(frozen=True, slots=True)
class ImageName:
    """The parts of an image name; absent ones are empty. `host` is as written, with its port if it has one."""

    host: str
    repository: str
    tag: str = ""
    digest: str = ""
    scheme: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether the name is a repository and nothing else."""
        return not (self.host or self.tag or self.digest or self.scheme)


@dataclass(frozen=True, slots=True)
class RegistryNames:
    """The names by which a registry is known: its `service`, all its service names, and its `url` (None: unknown)."""

    service: str
    names: tuple[str, ...]
    url: str | None = None


def is_host(segment: str) -> bool:
    """Whether the first of several segments of an image name is a host, by the reference grammar.

    Upper case makes a host, because it is not allowed in repositories.
    """
    return "." in segment or ":" in segment or segment == "localhost" or segment != segment.lower()


def parse_image_name(text: str) -> ImageName:
    """Parse a repository or an image name, with or without host, tag and digest, or the URL of an image.

    As in the reference grammar, `docker.io/alpine` is `library/alpine` of `docker.io`. Nothing else is added.

    Raises:
        ImageNameError: none of these.
    """
    scheme, rest = "", text
    url = _URL.fullmatch(text)
    if url is not None:
        scheme, rest = url[1].lower(), url[2]
        if scheme not in SCHEMES:
            raise ImageNameError(f"{text!r}: an image has no scheme, or one of {', '.join(SCHEMES)}")
    first, slash, path = rest.partition("/")
    host = ""
    if scheme and _HOST.fullmatch(first) is None:
        raise ImageNameError(f"{text!r}: {first!r} is no host name with an optional port")
    if scheme or (slash and is_host(first) and _HOST.fullmatch(first) is not None):
        host, rest = first, path
    if scheme in _DEFAULT_PORTS:
        rest = _of_api(rest)
    rest, at, digest = rest.partition("@")
    if at and _DIGEST.fullmatch(digest) is None:
        raise ImageNameError(f"{text!r}: {digest!r} is no digest such as sha256: and 64 hexadecimal digits")
    name, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        name, colon, tag = rest, "", ""
    if colon and _TAG.fullmatch(tag) is None:
        raise ImageNameError(f"{text!r}: {tag!r} is no tag: at most 128 letters, digits and . _ -")
    if host.lower() in (_DOCKER_HUB, _DOCKER_HUB_INDEX):
        host = _DOCKER_HUB
        name = name if "/" in name else f"{_DOCKER_HUB_LIBRARY}/{name}"
    if not name:
        raise ImageNameError(f"{text!r}: names no repository")
    if not is_repository_name(name) or ":" in name:
        raise ImageNameError(f"{text!r}: {name!r} is no legal name of a repository{_hint(name)}")
    return ImageName(host, name, tag, digest, scheme)


def scope_hint(text: str) -> str:
    """How to ask for what a scope with an image name, or with the URL of an image, means.

    Empty if its name is a plain repository, or nothing that this module understands.
    """
    kind, _, rest = text.partition(":")
    name, _, actions = rest.rpartition(":")
    if kind != "repository" or not actions or len(text) > MAX_HINTED:
        return ""
    image = _pasted(name)
    if image is None:
        return ""
    condition = f"if {image.host} is the registry's host, " if image.host else ""
    return f"{condition}ask for repository:{image.repository}:{actions}; a scope names the repository alone"


def request_hint(actions: str, name: str) -> str:
    """How a test writes a request whose name is an image name, to be appended to a fault; empty if it is none."""
    image = _pasted(name)
    if image is None:
        return ""
    registry = ", with the registry in service:" if image.host else ""
    return f"; did you mean {f'{actions} {image.repository}'!r}{registry}? Policies are about repositories"


def _pasted(name: str) -> ImageName | None:
    """The image name, unless it is a plain repository; a host that only its capitals make one is rather a mistake."""
    try:
        image = parse_image_name(name)
    except ImageNameError:
        return None
    is_unlikely = image.host != "" and not is_host(image.host.lower())
    return None if image.is_plain or is_unlikely else image


def split_host(text: str) -> tuple[str, str]:
    """A pattern or name without scheme, tag or digest, as the host (empty: none) and the rest."""
    url = _URL.fullmatch(text)
    first, slash, rest = (text if url is None else url[2]).partition("/")
    if not slash or (url is None and not is_host(first)):
        return "", text
    return (first, rest) if _HOST.fullmatch(first) is not None else ("", text)


def registries_at(host: str, scheme: str, known: Iterable[RegistryNames]) -> list[RegistryNames]:
    """The registries that have this host, by their URL or by a service name.

    Case does not count, nor does the default port. If no registry has the host with its port, one whose service name is
    the host without a port counts too, unless it has a URL.
    """
    host, known = host.lower(), list(known)
    wanted = set(_spellings(host, scheme))
    exact = [one for one in known if wanted & set(_addresses(one))]
    if exact:
        return exact
    bare = _without_port(host)
    return [one for one in known if one.url is None and bare in (name.lower() for name in one.names)]


def _of_api(path: str) -> str:
    """The image that a path of the distribution specification is about; another path as it is."""
    path = path.partition("?")[0].partition("#")[0].rstrip("/")
    found = _API.fullmatch(path)
    if found is None:
        return path
    name, part, reference = found.groups()
    if _DIGEST.fullmatch(reference) is not None:
        return f"{name}@{reference}"
    return f"{name}:{reference}" if part == "manifests" else name


def _addresses(registry: RegistryNames) -> Iterator[str]:
    for name in registry.names:
        yield from _spellings(name.lower(), "")
    if registry.url is not None:
        scheme, _, rest = registry.url.lower().partition("://")
        yield from _spellings(rest.partition("/")[0], scheme)


def _spellings(host: str, scheme: str) -> Iterator[str]:
    """The host as it is, and with or without the default port of the scheme (without a scheme: of either)."""
    yield host
    port = host.removeprefix(_without_port(host)).removeprefix(":")
    if port in {_DEFAULT_PORTS[scheme]} if scheme in _DEFAULT_PORTS else port in _DEFAULT_PORTS.values():
        yield _without_port(host)


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def _hint(name: str) -> str:
    if name != name.lower():
        return "; repositories are lower case"
    return " (a name, not a pattern)" if "*" in name else ""
