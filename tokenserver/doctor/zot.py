"""Reads zot's configuration: `http.auth.bearer`, and what else decides about tokens.

zot finds keys whatever their case. A key that stands twice is refused: zot would take one of them, unseen.
"""

from __future__ import annotations

import json
from typing import Any

from tokenserver.doctor.facts import Setup
from tokenserver.documents import nearest
from tokenserver.errors import Fault, LoadError

MAX_TEXT = 256 * 1024

_KEYS = ("realm", "service", "cert")
_MORE_KEYS = ("awssecretsmanager", "oidc")
_OTHER_WAYS = ("htpasswd", "ldap", "openid", "apikey")


class _Refused(ValueError):
    """A key stands twice."""


def looks_like_zot(text: str) -> bool:
    """Whether this is JSON, as zot's configuration is, and not the YAML of Distribution."""
    return text.lstrip("\ufeff \t\r\n").startswith("{")


def read_zot(text: str, file: str) -> Setup:
    """What zot's configuration file says about tokens.

    Raises:
        LoadError: no JSON, or no configuration that zot would start with.
    """
    if len(text) > MAX_TEXT:
        raise LoadError([Fault(file, 0, "", f"is larger than {MAX_TEXT} characters")])
    try:
        value = json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise LoadError([Fault(file, error.lineno, "", f"is not JSON: {error.msg}")]) from error
    except (_Refused, RecursionError) as error:
        raise LoadError([Fault(file, 0, "", f"is not read: {error or 'is nested too deeply'}")]) from error
    if not isinstance(value, dict) or not isinstance(value.get("http"), dict):
        raise LoadError([Fault(file, 0, "http", 'is missing: zot\'s configuration is {"http": {…}, "storage": {…}}')])
    http = value["http"]
    auth = http.get("auth") or {}
    if not isinstance(auth, dict):
        raise LoadError([Fault(file, 0, "http.auth", "must be an object")])
    bearer = auth.get("bearer")
    places = {"": f"{file} (http.auth.bearer)"}
    is_https = isinstance(http.get("tls"), dict)
    if bearer is None:
        other = " and ".join(way for way in _OTHER_WAYS if way in auth)
        return Setup(is_zot=True, auth=other or "none", https=is_https, places=places)
    if not isinstance(bearer, dict):
        raise LoadError([Fault(file, 0, "http.auth.bearer", "must be an object with realm, service and cert")])
    faults = [
        Fault(file, 0, f"http.auth.bearer.{key}", "must be text")
        for key in _KEYS
        if bearer.get(key) is not None and not isinstance(bearer[key], str)
    ]
    if faults:
        raise LoadError(faults)
    known = {*_KEYS, *_MORE_KEYS}
    return Setup(
        is_zot=True,
        auth="token",
        realm=bearer.get("realm") or None,
        service=bearer.get("service") or None,
        bundle=bearer.get("cert") or None,
        strange=tuple((key, nearest(key, known)) for key in bearer if key not in known),
        https=is_https,
        places=places | {key: f"{file} (http.auth.bearer.{key})" for key in (*_KEYS, "rootcertbundle")},
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object with its keys in lower case."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key.lower() in found:
            raise _Refused(f"the key {key!r} stands twice in one object")
        found[key.lower()] = value
    return found
