"""Reads the configuration of a Distribution registry (2.8 and 3.x): `auth`, and the other settings for tokens.

The YAML is parsed strictly; unrelated sections are ignored. `REGISTRY_…` variables override the file, as in the
registry itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from tokenserver.doctor.facts import Mirror, Setup, Uses
from tokenserver.doctor.registry.misplaced import other_document, stray_settings
from tokenserver.documents.document import Document, parse
from tokenserver.documents.hints import Hints
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
_VARIABLE = re.compile(r"REGISTRY_((?:AUTH|HTTP|STORAGE|PROXY)(?:_[A-Z0-9]+)*)", re.ASCII)
_USES = (
    ("storage", "delete", "enabled"),
    ("storage", "maintenance", "readonly", "enabled"),
    ("storage", "maintenance", "readonly"),
    ("http", "host"),
    ("http", "prefix"),
)
"""Settings beside `auth` that decide what a token can be used for."""
_MIRROR = (("proxy", "remoteurl"), ("proxy", "username"))
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
    other = other_document(document.value)
    if other is not None:
        raise LoadError([Fault(file, 0, "", other)])
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
    uses: dict[tuple[str, ...], Any] = field(default_factory=dict)
    misspelt: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.places[""] = self.file
        auth = self.document.value.get("auth")
        if auth is not None and not isinstance(auth, dict | str):
            self._fault(("auth",), "must be a mapping such as auth: {token: {realm: …}}")
            return
        if isinstance(auth, dict) and len(TOKEN_KEYS & auth.keys()) > 1:
            keys = ", ".join(key for key in auth if key in TOKEN_KEYS)
            self._fault(("auth", keys.partition(",")[0]), f"{keys} belong below auth.token: indent them under `token:`")
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
        self.uses = {path: found for path in _USES if (found := _at(self.document.value, path)) is not None}

    def overlay(self, environment: Mapping[str, str]) -> None:
        """Apply `REGISTRY_AUTH…`, `REGISTRY_HTTP_TLS…` and those of `proxy`. The registry parses each value as YAML."""
        for name, text in sorted(environment.items()):
            matched = _VARIABLE.fullmatch(name)
            if matched is None:
                self._misspelt(name)
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
            if path[0] != "auth" and tuple(path) not in (*_USES, *_MIRROR):
                continue
            try:
                value = parse(text, f"variable {name}").value
            except LoadError as error:
                self.faults.extend(error.faults)
                continue
            if path[0] == "proxy":
                self.proxy[path[1]] = value
                self.places[path[1]] = name
            elif path[0] != "auth":
                self.uses[tuple(path)] = value
                self.places[".".join(path[:3])] = name
            elif len(path) > 3:
                right = "_".join(path[:2]).upper() + "_" + "".join(path[2:]).upper()
                self.misspelt.append((name, f"did you mean REGISTRY_{right}?"))
                self.places[name] = name
            else:
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

    def _misspelt(self, name: str) -> None:
        """Remember a variable that is none of the registry's but looks like one for tokens."""
        known = [f"REGISTRY_AUTH_TOKEN_{key.upper()}" for key in TOKEN_KEYS]
        close = get_close_matches(name.upper().replace("-", "_").replace("__", "_"), known, n=1, cutoff=0.85)
        if close:
            self.misspelt.append((name, f"did you mean {close[0]}?"))
            self.places[name] = name

    def setup(self) -> Setup:
        """The settings as facts."""
        ways = sorted(self.auth)
        found = Setup(
            is_zot=False,
            auth=" and ".join(ways),
            unknown_keys=tuple(self.misspelt),
            https=self.https,
            stray=self._stray(),
            uses=self._uses(),
            places=self.places,
        )
        if any(way.lower() in _NOBODY for way in ways) or not ways:
            return replace(found, auth="none", remark=_SEVERAL if len(ways) > 1 else "")
        if ways != ["token"]:
            users = self.auth[ways[0]].get("path") if ways == ["htpasswd"] else None
            found = replace(found, users=users if isinstance(users, str) and users else None)
            return replace(found, remark=_SEVERAL if len(ways) > 1 else _SILLY if ways == ["silly"] else "")
        options = self.auth["token"]
        hints = Hints()
        unknown_keys = [(key, hints.nearest(key, TOKEN_KEYS)) for key in options if key not in TOKEN_KEYS]
        return replace(
            found,
            realm=self._text("realm"),
            service=self._text("service"),
            issuer=self._text("issuer"),
            bundle=self._text("rootcertbundle"),
            jwks=self._text("jwks"),
            algorithms=self._algorithms(options.get("signingalgorithms")),
            autoredirect=self._flag("autoredirect"),
            autoredirect_path=self._text("autoredirectpath") or "/auth/token",
            unknown_keys=(*unknown_keys, *self.misspelt),
            only_in_3=tuple(key for key in _ONLY_IN_3 if key in options),
        )

    def _stray(self) -> str:
        """The first place of settings for tokens outside of their section, as a path."""
        # `silly` has a realm and a service of its own.
        places = stray_settings(self.document.value, ("auth", "token"))
        path = next((one for one in places if one != ("auth", "silly")), None)
        return "" if path is None else ".".join(path) or "the top level"

    def _uses(self) -> Uses:
        text = {path: str(found) for path, found in self.uses.items() if isinstance(found, str) and found}
        readonly = self.uses.get(("storage", "maintenance", "readonly"))
        if isinstance(readonly, dict):
            readonly = readonly.get("enabled")
        readonly = self.uses.get(("storage", "maintenance", "readonly", "enabled"), readonly)
        return Uses(
            deletes=self.uses.get(("storage", "delete", "enabled")) is True,
            is_readonly=readonly is True,
            host=text.get(("http", "host")),
            prefix=text.get(("http", "prefix")),
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
        variable = self.places.get(path[-1], "")
        if variable.startswith("REGISTRY_"):
            self.faults.append(Fault(f"variable {variable}", 0, "", message))
        else:
            self.faults.append(self.document.fault(path, message))


def _at(value: Any, path: tuple[str, ...]) -> Any:
    """The value at this path of nested mappings; None if there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
