"""Reads the configuration of a Distribution registry (2.8 and 3.x): `auth`, and the other settings for tokens.

The YAML is parsed strictly; unrelated sections are ignored. `REGISTRY_…` variables override the file, as in the
registry itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tokenserver.doctor.facts import Mirror, Setup
from tokenserver.documents.document import Document, nearest, parse
from tokenserver.errors import Fault, LoadError

MAX_TEXT = 256 * 1024

TOKEN_KEYS = {
    *("realm", "service", "issuer", "rootcertbundle"),
    *("jwks", "signingalgorithms", "autoredirect", "autoredirectpath"),
}
_ONLY_IN_3 = ("jwks", "signingalgorithms", "autoredirectpath")
_NOBODY = {"", "~", "null", "none"}
"""Names of an `auth` section that disable authentication (registry/handlers/app.go, `NewApp`)."""

_SEVERAL = "with several authentication methods Distribution picks an arbitrary one, or does not start"
_SILLY = "silly accepts any Authorization header"
_VARIABLE = re.compile(r"REGISTRY_(AUTH(?:_[A-Z0-9]+)*|HTTP_TLS(?:_[A-Z0-9]+)*|PROXY_(?:REMOTEURL|USERNAME))", re.ASCII)
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.ASCII)


def parse_environment(text: str, file: str) -> dict[str, str]:
    """Parse an env file: one `NAME=VALUE` per line, `#` starts a comment line.

    Raises:
        LoadError: with every invalid line.
    """
    found: dict[str, str] = {}
    faults: list[Fault] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        matched = _LINE.fullmatch(line)
        if matched is None:
            faults.append(Fault(file, number, "", "must be NAME=VALUE"))
            continue
        value = matched[2]
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        found[matched[1]] = value
    if faults:
        raise LoadError(faults)
    return found


def read_distribution(text: str | None, file: str, environment: Mapping[str, str] | None = None) -> Setup:
    """Read `config.yml` and the `REGISTRY_…` variables. `text` is None if there are only variables.

    Raises:
        LoadError: not YAML, not a registry's configuration, or a value with which the registry does not start.
    """
    if text is not None and len(text) > MAX_TEXT:
        raise LoadError([Fault(file, 0, "", f"is larger than {MAX_TEXT} characters")])
    document = Document(file, {}, {(): 1}) if text is None else parse(text, file)
    if not isinstance(document.value, dict):
        raise LoadError([Fault(file, 1, "", "must be a mapping (key: value), as a registry's config.yml is")])
    reading = _ConfigReading(document, file)
    reading.overlay(environment or {})
    setup = replace(reading.setup(), mirror=reading.mirror())
    if reading.faults:
        raise LoadError(reading.faults)
    return setup


@dataclass
class _ConfigReading:
    """One configuration, with the overrides of the environment."""

    document: Document
    file: str
    faults: list[Fault] = field(default_factory=list)
    auth: dict[str, dict[str, Any]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    proxy: dict[str, Any] = field(default_factory=dict)
    https: bool = False

    def __post_init__(self) -> None:
        self.places[""] = self.file
        auth = self.document.value.get("auth")
        if auth is not None and not isinstance(auth, dict | str):
            self._fault(("auth",), "must be a mapping such as auth: {token: {realm: …}}")
            return
        sections = auth if isinstance(auth, dict) else {auth: None} if auth else {}
        for kind, options in sections.items():
            if options is not None and not isinstance(options, dict):
                self._fault(("auth", kind), "must be a mapping (key: value)")
            self.auth[kind] = dict(options) if isinstance(options, dict) else {}
            for key in self.auth[kind]:
                self.places[key] = f"{self.file}:{self.document.line(('auth', kind, key))}"
        if isinstance(auth, dict):
            self.places[""] = f"{self.file}:{self.document.line(('auth', *[*auth][:1]))}"
        match self.document.value.get("proxy"):
            case dict() as proxy:
                self.proxy |= proxy
                self.places |= {key: f"{self.file}:{self.document.line(('proxy', key))}" for key in ("remoteurl",)}
        match self.document.value.get("http"):
            case {"tls": {"certificate": str()} | {"letsencrypt": dict()}}:
                self.https = True

    def overlay(self, environment: Mapping[str, str]) -> None:
        """Apply `REGISTRY_AUTH…`, `REGISTRY_HTTP_TLS…` and those of `proxy`. The registry parses each value as YAML."""
        for name, text in sorted(environment.items()):
            matched = _VARIABLE.fullmatch(name)
            if matched is None:
                continue
            path = matched[1].lower().split("_")
            if path[0] == "auth" and len(path) < 3:
                self._replace(name, path[1:], text)
                continue
            if not text:
                continue
            if path[:2] == ["http", "tls"]:
                self.https = self.https or path[2:] == ["certificate"]
                continue
            try:
                value = parse(text, f"variable {name}").value
            except LoadError as error:
                self.faults.extend(error.faults)
                continue
            if path[0] == "proxy":
                self.proxy[path[1]] = value
                self.places[path[1]] = name
            elif len(path) == 3:
                self.auth.setdefault(path[1], {})[path[2]] = value
                self.places[path[2]] = name
                self.places[""] = self.places[""] or name

    def _replace(self, name: str, path: list[str], text: str) -> None:
        """`REGISTRY_AUTH`, even if empty, replaces the whole of `auth`; `REGISTRY_AUTH_NAME` replaces one section."""
        try:
            value = parse(text, f"variable {name}").value
        except LoadError as error:
            self.faults.extend(error.faults)
            return
        if path:
            self.auth[path[0]] = dict(value) if isinstance(value, dict) else {}
        elif isinstance(value, dict):
            self.auth = {way: dict(one) if isinstance(one, dict) else {} for way, one in value.items()}
        elif value is None:
            self.auth = {}
        else:
            self.auth = {str(value): {}}
        self.places[""] = name

    def setup(self) -> Setup:
        """The settings as facts."""
        ways = sorted(self.auth)
        if any(way.lower() in _NOBODY for way in ways) or not ways:
            remark = _SEVERAL if len(ways) > 1 else ""
            return Setup(is_zot=False, auth="none", https=self.https, remark=remark, places=self.places)
        if ways != ["token"]:
            remark = _SEVERAL if len(ways) > 1 else _SILLY if ways == ["silly"] else ""
            auth = " and ".join(ways)
            return Setup(is_zot=False, auth=auth, https=self.https, remark=remark, places=self.places)
        options = self.auth["token"]
        unknown_keys = [(key, nearest(key, TOKEN_KEYS)) for key in options if key not in TOKEN_KEYS]
        return Setup(
            is_zot=False,
            auth="token",
            realm=self._text("realm"),
            service=self._text("service"),
            issuer=self._text("issuer"),
            bundle=self._text("rootcertbundle"),
            jwks=self._text("jwks"),
            algorithms=self._algorithms(options.get("signingalgorithms")),
            autoredirect=self._flag("autoredirect"),
            autoredirect_path=self._text("autoredirectpath") or "/auth/token",
            unknown_keys=tuple(unknown_keys),
            only_in_3=tuple(key for key in _ONLY_IN_3 if key in options),
            https=self.https,
            places=self.places,
        )

    def mirror(self) -> Mirror | None:
        """The mirror that `proxy` makes of the registry, if its `remoteurl` is set (registry/handlers/app.go)."""
        remote = self.proxy.get("remoteurl")
        if not isinstance(remote, str) or not remote:
            return None
        return Mirror(remote.rstrip("/"), has_login=bool(self.proxy.get("username")))

    def _text(self, key: str) -> str | None:
        value = self.auth["token"].get(key)
        if value is None or isinstance(value, str):
            return value or None
        self._fault(("auth", "token", key), f"must be text: the registry does not start with {value!r}; quote it")
        return None

    def _flag(self, key: str) -> bool:
        value = self.auth["token"].get(key, False)
        if isinstance(value, bool):
            return value
        self._fault(("auth", "token", key), f"must be true or false: the registry does not start with {value!r}")
        return False

    def _algorithms(self, value: Any) -> tuple[str, ...] | None:
        if value is None:
            return None
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value) or None
        self._fault(("auth", "token", "signingalgorithms"), "must be a list such as [ES256]")
        return None

    def _fault(self, path: tuple[str, ...], message: str) -> None:
        self.faults.append(self.document.fault(path, message))
