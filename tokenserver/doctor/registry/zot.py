"""Reads zot's configuration: `http.auth.bearer`, and the other settings for tokens.

zot matches keys case-insensitively. A duplicate key is rejected here, since zot would silently use one of the two.
zot silently disables an authentication method that is configured incompletely (`IsBearerAuthEnabled`,
`IsBasicAuthnEnabled` in pkg/api/config/config.go); if none is left, it is open to anyone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tokenserver.doctor.facts import Setup, Uses
from tokenserver.doctor.registry.misplaced import other_document, stray_settings
from tokenserver.documents.hints import Hints
from tokenserver.errors import Fault, LoadError

MAX_TEXT = 256 * 1024

_KEYS = ("realm", "service", "cert")
_MORE_KEYS = ("awssecretsmanager", "oidc", "upstreamtokenendpoint")
_OTHER_WAYS = ("htpasswd", "ldap", "openid", "apikey")
_OPENID_PROVIDERS = {"oidc", "google", "gitlab", "github"}
_OFF = "zot turns bearer off when realm, service or cert is empty"


class _Refused(ValueError):
    """A duplicate key."""


def looks_like_zot(text: str) -> bool:
    """Whether the text is JSON like zot's configuration, and not YAML like Distribution's."""
    return text.lstrip("\ufeff \t\r\n").startswith("{")


def read_zot(text: str, file: str) -> Setup:
    """Read the token settings of zot's configuration.

    Raises:
        LoadError: not JSON, or a configuration with which zot would not start.
    """
    whole = _whole(text, file)
    http = _http_section(whole, file)
    auth, bearer = _auth_sections(http, file)
    section: dict[str, Any] = bearer or {}
    faults = [
        Fault(file, 0, f"http.auth.bearer.{key}", "must be text")
        for key in _KEYS
        if section.get(key) is not None and not isinstance(section[key], str)
    ]
    if faults:
        raise LoadError(faults)
    known, hints = {*_KEYS, *_MORE_KEYS}, Hints()
    is_complete = _is_complete(section)
    return Setup(
        is_zot=True,
        auth="token" if is_complete else _other_ways(http, auth, section),
        realm=section.get("realm") or None,
        service=section.get("service") or None,
        bundle=section.get("cert") or None,
        unknown_keys=tuple((key, hints.nearest(key, known)) for key in section if key not in known),
        https=isinstance(http.get("tls"), dict),
        empty=() if bearer is None or is_complete else tuple(key for key in _KEYS if not section.get(key)),
        remark="" if is_complete else _remark(http, has_section=bearer is not None),
        stray=".".join(next(stray_settings(whole, ("http", "auth", "bearer")), ())),
        uses=Uses(access_control=_needs_users(http.get("accesscontrol"))),
        is_old=str(whole.get("distspecversion", "")).startswith("1.0"),
        places={"": f"{file} (http.auth.bearer)"}
        | {key: f"{file} (http.auth.bearer.{key})" for key in _KEYS}
        | {"rootcertbundle": f"{file} (http.auth.bearer.cert)"},
    )


def _whole(text: str, file: str) -> dict[str, Any]:
    if len(text) > MAX_TEXT:
        raise LoadError([Fault(file, 0, "", f"is larger than {MAX_TEXT} characters")])
    try:
        value = json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise LoadError([Fault(file, error.lineno, "", f"is not JSON: {error.msg}")]) from error
    except (_Refused, RecursionError) as error:
        raise LoadError([Fault(file, 0, "", f"is not read: {error or 'is nested too deeply'}")]) from error
    return value if isinstance(value, dict) else {}


def _http_section(whole: dict[str, Any], file: str) -> dict[str, Any]:
    other = other_document(whole)
    if other is not None:
        raise LoadError([Fault(file, 0, "", other)])
    http = whole.get("http")
    if not isinstance(http, dict):
        raise LoadError([Fault(file, 0, "http", 'is missing: zot\'s configuration is {"http": {…}, "storage": {…}}')])
    return http


def _auth_sections(http: Mapping[str, Any], file: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """`http.auth`, and its `bearer`, which is None if absent."""
    auth = http.get("auth")
    auth = {} if auth is None else auth
    if not isinstance(auth, dict):
        raise LoadError([Fault(file, 0, "http.auth", "must be an object")])
    bearer = auth.get("bearer")
    if bearer is not None and not isinstance(bearer, dict):
        raise LoadError([Fault(file, 0, "http.auth.bearer", "must be an object with realm, service and cert")])
    return auth, bearer


def _is_complete(bearer: Mapping[str, Any]) -> bool:
    """Whether zot requires the tokens of a token server."""
    has_keys = bool(bearer.get("cert")) or isinstance(bearer.get("awssecretsmanager"), dict)
    return has_keys and bool(bearer.get("realm")) and bool(bearer.get("service"))


def _other_ways(http: Mapping[str, Any], auth: Mapping[str, Any], bearer: Mapping[str, Any]) -> str:
    """The other authentication methods that are enabled; `none` if zot is open to anyone."""
    tls = http.get("tls")
    ways = {way: way for way in _OTHER_WAYS if way in auth}
    if _has_issuer(bearer.get("oidc")):
        return "bearer.oidc"
    if any(_is_on(way, auth[way]) for way in ways):
        return " and ".join(ways)
    return "client certificates" if isinstance(tls, dict) and tls.get("cacert") else "none"


def _is_on(way: str, section: Any) -> bool:
    """Whether zot enables this method; it ignores an incomplete one."""
    match way, section:
        case "htpasswd", {"path": str(path)}:
            return bool(path)
        case "openid", {"providers": dict(providers)}:
            return not _OPENID_PROVIDERS.isdisjoint(providers)
        case "ldap", dict():
            return True
        case "apikey", _:
            return section is True
    return False


def _has_issuer(oidc: Any) -> bool:
    entries = oidc if isinstance(oidc, list) else []
    return any(isinstance(one, dict) and one.get("issuer") and one.get("audiences") for one in entries)


def _needs_users(access: Any) -> bool:
    """Whether accessControl has rules for users, which zot only starts with if it has users itself."""
    if not isinstance(access, dict):
        return False
    repositories = access.get("repositories", access)
    entries = list(repositories.values()) if isinstance(repositories, dict) else []
    is_anonymous = all(isinstance(one, dict) and one.get("anonymouspolicy") for one in entries)
    admin = access.get("adminpolicy")
    return bool(isinstance(admin, dict) and admin.get("users")) or not entries or not is_anonymous


def _remark(http: Mapping[str, Any], *, has_section: bool) -> str:
    parts = [_OFF] if has_section else []
    if http.get("accesscontrol"):
        parts.append("only its accessControl limits what they may do")
    return "; ".join(parts)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object with lower-case keys."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key.lower() in found:
            raise _Refused(f"the key {key!r} is duplicated")
        found[key.lower()] = value
    return found
