"""Files in which clients store logins: docker's `config.json`, one like it of helm, and `auth.json` of podman. Pure.

Entries are looked up as the clients do it: docker and crane (`docker/cli`, `cli/config/credentials`), oras and helm
(`oras-go`, `registry/remote/credentials`), podman, skopeo and buildah (containers/image, `pkg/docker/config`). No
message repeats a secret.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NoReturn

from tokenserver.credentials import Secret

HUB_KEY = "https://index.docker.io/v1/"
"""The key of Docker Hub, which `docker login` without a host writes."""

_HUB_HOSTS = ("docker.io", "index.docker.io", "registry-1.docker.io")
_SCHEMES = ("https://", "http://")
_DEFAULT_PORTS = ("443", "80")
_NOT_FOUND = "credentials not found in native keychain"
_FOR_IDENTITY = "<token>"


class ClientKind(StrEnum):
    """Clients by the file that they read; each value is the command with which to log in.

    `VARIABLE` is `DOCKER_AUTH_CONFIG`, which docker since 28.3 prefers to its file, and which no login changes.
    """

    DOCKER = "docker"
    PODMAN = "podman"
    HELM = "helm registry"
    VARIABLE = "docker's variable"


_DOCKERS = (ClientKind.DOCKER, ClientKind.VARIABLE)


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """A login as it is stored under `key`; `user` and `password` are None if there is none.

    `problem`: why clients cannot use it, as a clause about the entry. `has_identity` and `has_bearer`: it has an
    `identitytoken`, or a `registrytoken`. `stops_docker`: docker reads nothing of a file with it, whichever login it is
    after.
    """

    key: str
    user: str | None = None
    password: Secret | None = None
    problem: str | None = None
    has_identity: bool = False
    has_bearer: bool = False
    stops_docker: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is stored, as docker leaves it where a helper holds the login."""
        return self.password is None and self.problem is None and not (self.has_identity or self.has_bearer)


@dataclass(frozen=True, slots=True)
class ClientFile:
    """A file of stored logins. `helpers` maps hosts to helpers, `store` is the helper for all others.

    `problem`: why nothing of it can be read, with its `line` (0: unknown). `has_proxies`: it has the section `proxies`.
    `written` is when it was last changed, and `mode` its permissions; None if unknown.
    """

    path: str
    kind: ClientKind
    entries: Mapping[str, StoredEntry] = field(default_factory=dict)
    helpers: Mapping[str, str] = field(default_factory=dict)
    store: str | None = None
    has_proxies: bool = False
    problem: str | None = None
    line: int = 0
    written: datetime | None = None
    mode: int | None = None

    def helper_of(self, host: str) -> str | None:
        """The helper that holds the login of a host. It wins over an entry; podman knows no helper for all hosts."""
        own = self.helpers.get(host)
        if own is None and self.kind is not ClientKind.PODMAN:
            return self.store
        return own or None  # an empty one is docker's way to have none for this host

    def logins_of(self, host: str) -> list[StoredEntry]:
        """The entries that a client uses for images of this host.

        First the one for all of them, then those of podman that are for a namespace only.
        """
        exact = self.entries.get(stored_key(host, self.kind))
        alike = [one for key, one in self.entries.items() if self._is_read_as(key, host)]
        spaces = [one for key, one in self.entries.items() if self._is_namespace(key, host)]
        return [*([exact] if exact is not None else alike[:1]), *spaces]

    def _is_read_as(self, key: str, host: str) -> bool:
        if self.kind is ClientKind.VARIABLE:
            return key == host
        stripped = without_scheme(key)
        has_path = self.kind is not ClientKind.PODMAN or stripped != key
        return (stripped.partition("/")[0] if has_path else stripped) == host

    def _is_namespace(self, key: str, host: str) -> bool:
        return self.kind is ClientKind.PODMAN and key.startswith(f"{host}/") and not key.endswith("/")


class HelperOutcome(StrEnum):
    """How a call of a credential helper ended."""

    ANSWERED = "answered"
    NOT_FOUND = "not found"
    MISSING = "missing"
    FAILED = "failed"
    HANGS = "hangs"
    UNREADABLE = "unreadable"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class HelperAnswer:
    """What `docker-credential-NAME get` answered. `code` is its exit code, if it failed."""

    outcome: HelperOutcome
    user: str | None = None
    password: Secret | None = None
    code: int | None = None

    @property
    def is_identity(self) -> bool:
        """Whether it answered an identity token, for which it has a user name that nobody has."""
        return self.user == _FOR_IDENTITY


def parse_client_file(text: str, path: str, kind: ClientKind) -> ClientFile:
    """Parse a file of stored logins. An empty file holds none, as docker and podman read it."""
    if not text.strip():
        return ClientFile(path, kind)
    try:
        value = json.loads(text, parse_constant=_reject)
    except json.JSONDecodeError as error:
        return ClientFile(path, kind, problem=f"is not JSON: {error.msg}", line=error.lineno)
    except (ValueError, RecursionError):
        return ClientFile(path, kind, problem="is not JSON")
    if not isinstance(value, dict):
        return ClientFile(path, kind, problem="is not a JSON object")
    entries, helpers, store = _member(value, "auths"), _member(value, "credHelpers"), _member(value, "credsStore")
    for name, found in (("auths", entries), ("credHelpers", helpers)):
        if found is not None and not isinstance(found, dict):
            return ClientFile(path, kind, problem=f"has {name} that is not an object", line=_line_of(text, name))
    if store is not None and not isinstance(store, str):
        return ClientFile(path, kind, problem="has a credsStore that is no text", line=_line_of(text, "credsStore"))
    return ClientFile(
        path,
        kind,
        entries={key: parse_entry(key, entry, kind) for key, entry in (entries or {}).items()},
        helpers={host: name for host, name in (helpers or {}).items() if isinstance(name, str)},
        store=store or None,
        has_proxies=bool(_member(value, "proxies")),
    )


def parse_entry(key: str, entry: object, kind: ClientKind) -> StoredEntry:
    """Parse one login. `auth` wins over `username` and `password`, which podman does not read."""
    if not isinstance(entry, dict):
        return StoredEntry(key, problem="is not an object", stops_docker=kind in _DOCKERS)
    texts = {name: _text(_member(entry, name)) for name in ("auth", "username", "identitytoken", "registrytoken")}
    identity, bearer = bool(texts["identitytoken"]), bool(texts["registrytoken"])
    if texts["auth"]:
        user, password, problem = _decode(texts["auth"])
    else:
        user, password, problem = _spelled_out(texts["username"], _text(_member(entry, "password")), kind)
    stops = problem is not None and password is None
    if kind is ClientKind.VARIABLE and (set(entry) != {"auth"} or not texts["auth"]):
        problem, stops = problem or "has something else than an auth", True
    if not identity and password is not None and not password.reveal():
        problem = problem or "has an empty password"
    return StoredEntry(key, user, password, problem, identity, bearer, stops and kind in _DOCKERS)


def parse_helper_answer(code: int, output: bytes) -> HelperAnswer:
    """Parse what `docker-credential-NAME get` printed (docker/docker-credential-helpers, `client`).

    A text that it prints with an exit code other than 0 may hold anything, and is only compared.
    """
    text = output.decode("utf-8", "replace").strip()
    if code != 0:
        is_known = text == _NOT_FOUND
        return HelperAnswer(HelperOutcome.NOT_FOUND if is_known else HelperOutcome.FAILED, code=code)
    try:
        value = json.loads(text, parse_constant=_reject)
    except (ValueError, RecursionError):
        return HelperAnswer(HelperOutcome.UNREADABLE)
    if not isinstance(value, dict):
        return HelperAnswer(HelperOutcome.UNREADABLE)
    user, secret = (_text(_member(value, name)) for name in ("Username", "Secret"))
    if not user or not secret:
        return HelperAnswer(HelperOutcome.UNREADABLE)
    return HelperAnswer(HelperOutcome.ANSWERED, user, Secret(secret))


def stored_key(host: str, kind: ClientKind) -> str:
    """The key under which a login at this host is stored."""
    if host not in _HUB_HOSTS:
        return host
    return "docker.io" if kind is ClientKind.PODMAN else HUB_KEY


def near_miss(key: str, host: str) -> str | None:
    """Why a client does not find the login of a host under this key although it looks like its own; None if not so."""
    wanted_name, wanted_port = _name_and_port(host)
    name, port = _name_and_port(without_scheme(key).partition("/")[0])
    if name.removesuffix(".").lower() != wanted_name.removesuffix(".").lower():
        return None
    if port != wanted_port:
        if not port:
            return f"it lacks the port {wanted_port}"
        if wanted_port:
            return f"it has the port {port}, not {wanted_port}"
        is_default = port in _DEFAULT_PORTS
        return f"it has the port {port}, and {'clients compare it as text' if is_default else 'images have none'}"
    if name != wanted_name:
        return "case counts" if name.lower() == wanted_name.lower() else "it ends with a dot, or lacks one"
    if key == host:
        return None
    return "it has a scheme" if without_scheme(key) == host else "it has a path"


def without_scheme(key: str) -> str:
    """A key, or what a user passes for a host, without `https://` or `http://`."""
    for scheme in _SCHEMES:
        if key.startswith(scheme):
            return key.removeprefix(scheme)
    return key


def _name_and_port(host: str) -> tuple[str, str]:
    name, colon, port = host.rpartition(":")
    return (name, port) if colon and port.isdecimal() else (host, "")


def _decode(text: str) -> tuple[str | None, Secret | None, str | None]:
    """The user, the password and what is wrong with them, from the base64 of `user:password`; line breaks are
    ignored, as in Go."""
    try:
        decoded = base64.b64decode(text.replace("\r", "").replace("\n", ""), validate=True)
    except ValueError:
        return None, None, "has an auth that is not base64"
    try:
        plain = decoded.decode("utf-8")
    except UnicodeDecodeError:
        plain = decoded.decode("latin-1")
    user, colon, rest = plain.partition(":")
    if not colon:
        return None, None, "has an auth without a colon between user and password"
    if not user:
        return None, None, "has an auth without a user"
    is_echoed = rest.endswith(("\n", "\r"))
    problem = "has a password that ends with a line break, as `echo` adds one" if is_echoed else None
    return user, Secret(rest.strip("\0")), problem


def _spelled_out(user: str, password: str, kind: ClientKind) -> tuple[str | None, Secret | None, str | None]:
    """The same from `username` and `password`."""
    if not user and not password:
        return None, None, None
    if kind is ClientKind.PODMAN:
        return None, None, "has no auth; podman reads neither username nor password"
    return user, Secret(password), None if user else "has a password without a username"


def _member(value: Mapping[str, Any], name: str) -> Any:
    """A member of an object as Go finds it: by its name, or else by that name in another case."""
    if name in value:
        return value[name]
    return next((found for key, found in value.items() if key.lower() == name.lower()), None)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _line_of(text: str, name: str) -> int:
    """The line of a member, or 0."""
    place = text.lower().find(f'"{name.lower()}"')
    return 0 if place < 0 else text.count("\n", 0, place) + 1


def _reject(_: str) -> NoReturn:
    """Go knows no NaN and no Infinity."""
    raise ValueError
